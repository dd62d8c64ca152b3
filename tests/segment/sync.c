/*
 * Events, semaphores and mutexes between processes that wait, and that are killed.
 */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "payload.h"
#include "segments.h"

#define NAME "sync"
#define PROCESSES 8u

/* Far more than any wait here should take. */
#define LONG (20 * SECOND)

static mapring_event *open_event(uint32_t manual_reset)
{
    mapring_event_options options = {.struct_size = sizeof options, .manual_reset = manual_reset};
    mapring_event *event;
    int32_t status = mapring_event_open(NAME, &options, &event);
    CHECK(status >= 0, "an event: %s", mapring_status_name(status));
    return event;
}

static mapring_semaphore *open_semaphore(uint32_t initial, uint32_t maximum)
{
    mapring_semaphore_options options = {.struct_size = sizeof options, .initial = initial, .maximum = maximum};
    mapring_semaphore *semaphore;
    int32_t status = mapring_semaphore_open(NAME, &options, &semaphore);
    CHECK(status >= 0, "a semaphore: %s", mapring_status_name(status));
    return semaphore;
}

static mapring_mutex *open_mutex(void)
{
    mapring_mutex *mutex;
    int32_t status = mapring_mutex_open(NAME, NULL, &mutex);
    CHECK(status >= 0, "a mutex: %s", mapring_status_name(status));
    return mutex;
}

/* Returns when the process sleeps in the kernel. */
static void await_sleep(pid_t process)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    for (int64_t end = now_ns() + LONG; state != 'S';) {
        CHECK(now_ns() < end, "a child does not go to sleep");
        FILE *file = fopen(path, "r");
        CHECK(file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) == 1, "%s", path);
        fclose(file);
    }
}

struct crew {
    struct gate ready;
    struct gate done;
    uint32_t manual_reset;
};

static struct crew crew_new(uint32_t manual_reset)
{
    return (struct crew){gate_new(), gate_new(), manual_reset};
}

/* Events. */

static void wait_for_event(void *argument)
{
    const struct crew *crew = argument;
    mapring_event *event = open_event(crew->manual_reset);
    gate_open(crew->ready);
    CHECK_STATUS(mapring_event_wait(event, LONG), MAPRING_OK);
    gate_open(crew->done);
    mapring_event_close(event);
}

static void spawn_waiting(struct crew *crew, pid_t children[PROCESSES])
{
    for (uint32_t i = 0; i < PROCESSES; i++) {
        children[i] = spawn(wait_for_event, crew);
        gate_pass(crew->ready);
        await_sleep(children[i]);
    }
}

static void event_lets_one_go(void)
{
    struct crew crew = crew_new(0);
    mapring_event *event = open_event(0);
    pid_t children[PROCESSES];
    spawn_waiting(&crew, children);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        CHECK_STATUS(mapring_event_set(event), MAPRING_OK);
        gate_pass(crew.done);
        CHECK_STATUS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    }
    for (uint32_t i = 0; i < PROCESSES; i++)
        join(children[i]);
    /* Setting it twice lets one go. */
    CHECK_STATUS(mapring_event_set(event), MAPRING_OK);
    CHECK_STATUS(mapring_event_set(event), MAPRING_OK);
    CHECK_STATUS(mapring_event_wait(event, 0), MAPRING_OK);
    CHECK_STATUS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    mapring_event_close(event);
}

/* Also those that have not looked yet when it is reset. */
static void event_lets_all_go(void)
{
    struct crew crew = crew_new(1);
    mapring_event *event = open_event(1);
    pid_t children[PROCESSES];
    spawn_waiting(&crew, children);
    CHECK_STATUS(mapring_event_set(event), MAPRING_OK);
    CHECK_STATUS(mapring_event_reset(event), MAPRING_OK);
    for (uint32_t i = 0; i < PROCESSES; i++)
        join(children[i]);
    CHECK_STATUS(mapring_event_wait(event, 0), MAPRING_TIMEOUT);
    CHECK_STATUS(mapring_event_set(event), MAPRING_OK);
    CHECK_STATUS(mapring_event_wait(event, 0), MAPRING_OK);
    CHECK_STATUS(mapring_event_wait(event, 0), MAPRING_OK);
    mapring_event_close(event);
}

/* A process that was woken and killed takes its wakeup along: the next one looks by itself. */
static void event_survives_death(void)
{
    struct crew crew = crew_new(0);
    mapring_event *event = open_event(0);
    for (int round = 0; round < 20; round++) {
        pid_t first = spawn(wait_for_event, &crew);
        gate_pass(crew.ready);
        await_sleep(first);
        pid_t second = spawn(wait_for_event, &crew);
        gate_pass(crew.ready);
        await_sleep(second);
        /* Stopped, it cannot take the event that it is woken for. */
        stop_child(first);
        CHECK_STATUS(mapring_event_set(event), MAPRING_OK);
        kill_child(first);
        join(second);
    }
    mapring_event_close(event);
}

static void timeouts(void)
{
    mapring_event *event = open_event(0);
    const int64_t times[] = {0, 1, MS, 150 * MS};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int64_t start = now_ns();
        CHECK_STATUS(mapring_event_wait(event, times[i]), MAPRING_TIMEOUT);
        int64_t taken = now_ns() - start;
        CHECK(taken >= times[i] && taken < times[i] + 5 * SECOND, "%" PRId64 " ns took %" PRId64, times[i], taken);
    }
    CHECK_STATUS(mapring_event_wait(event, -1), MAPRING_INVALID_ARGUMENT);
    mapring_event_close(event);
}

/* Semaphores: as many at once as there are permits. */

struct crowd {
    uint32_t permits;
    uint32_t inside;
    uint32_t most;
    uint64_t entered;
};

static void enter_and_leave(void *argument)
{
    struct crowd *crowd = argument;
    mapring_semaphore *semaphore = open_semaphore(0, 0);
    uint64_t random = (uint64_t)getpid();
    for (uint64_t i = 0; i < 500 * test_length(); i++) {
        CHECK_STATUS(mapring_semaphore_wait(semaphore, LONG), MAPRING_OK);
        uint32_t inside = __atomic_add_fetch(&crowd->inside, 1, __ATOMIC_RELAXED);
        CHECK(inside <= crowd->permits, "%" PRIu32 " are inside", inside);
        __atomic_add_fetch(&crowd->entered, 1, __ATOMIC_RELAXED);
        if (random_next(&random) % 4 == 0)
            usleep(1);
        __atomic_sub_fetch(&crowd->inside, 1, __ATOMIC_RELAXED);
        CHECK(mapring_semaphore_release(semaphore, 1) >= 0, "releasing");
    }
    mapring_semaphore_close(semaphore);
}

static void semaphore_counts(void)
{
    struct crowd *crowd = shared_memory(sizeof *crowd);
    crowd->permits = 3;
    mapring_semaphore *semaphore = open_semaphore(3, 3);
    pid_t children[PROCESSES];
    for (uint32_t i = 0; i < PROCESSES; i++)
        children[i] = spawn(enter_and_leave, crowd);
    for (uint32_t i = 0; i < PROCESSES; i++)
        join(children[i]);
    CHECK(crowd->entered == 500 * test_length() * PROCESSES, "some did not enter");
    CHECK_STATUS(mapring_semaphore_release(semaphore, 1), MAPRING_FULL);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(mapring_semaphore_wait(semaphore, 0), MAPRING_OK);
    CHECK_STATUS(mapring_semaphore_wait(semaphore, 0), MAPRING_TIMEOUT);
    CHECK_STATUS(mapring_semaphore_release(semaphore, 2), 0);
    CHECK_STATUS(mapring_semaphore_release(semaphore, 2), MAPRING_FULL);
    CHECK_STATUS(mapring_semaphore_release(semaphore, 1), 2);
    CHECK_STATUS(mapring_semaphore_release(semaphore, 0), MAPRING_INVALID_ARGUMENT);
    mapring_semaphore_close(semaphore);
}

/* Mutexes: several writers of one segment, in turn. */

struct account {
    uint64_t debit;
    uint64_t credit; /* the same, but while somebody has the mutex */
};

#define ACCOUNT "account"

static struct account *map_account(mapring_segment **segment)
{
    *segment = open_segment(ACCOUNT);
    return map_segment(*segment);
}

static void write_in_turn(void *argument)
{
    (void)argument;
    mapring_segment *segment;
    struct account *account = map_account(&segment);
    mapring_mutex *mutex = open_mutex();
    for (uint64_t i = 0; i < 1000 * test_length(); i++) {
        CHECK_STATUS(mapring_mutex_lock(mutex, LONG), MAPRING_OK);
        CHECK(account->debit == account->credit, "somebody else is inside");
        account->debit++;
        account->credit++;
        CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_OK);
    }
    mapring_mutex_close(mutex);
    mapring_segment_close(segment);
}

static void mutex_excludes(void)
{
    mapring_segment *segment = create_segment(ACCOUNT, sizeof(struct account), 0);
    const struct account *account = map_segment(segment);
    mapring_mutex *mutex = open_mutex();
    pid_t children[PROCESSES];
    for (uint32_t i = 0; i < PROCESSES; i++)
        children[i] = spawn(write_in_turn, NULL);
    for (uint32_t i = 0; i < PROCESSES; i++)
        join(children[i]);
    CHECK(account->debit == PROCESSES * 1000 * test_length() && account->credit == account->debit, "turns were lost");
    mapring_mutex_close(mutex);
    mapring_segment_close(segment);
}

/* Killed at any moment: whoever is next is told, and finds the two sides equal if he is not. */

static void write_until_killed(void *argument)
{
    volatile uint64_t *told = argument;
    mapring_segment *segment;
    volatile struct account *account = map_account(&segment);
    mapring_mutex *mutex = open_mutex();
    for (;;) {
        int32_t status = mapring_mutex_lock(mutex, LONG);
        CHECK(status == MAPRING_OK || status == MAPRING_ABANDONED, "locking: %s", mapring_status_name(status));
        if (status == MAPRING_ABANDONED) {
            account->credit = account->debit;
            *told += 1;
        }
        CHECK(account->debit == account->credit, "the next was not told that its owner died");
        account->debit++;
        spin_ns(10000);
        account->credit++;
        CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_OK);
    }
}

static void mutex_survives_its_owners(void)
{
    mapring_segment *segment = create_segment(ACCOUNT, sizeof(struct account), 0);
    const volatile struct account *account = map_segment(segment);
    uint64_t *told = shared_memory(sizeof *told);
    mapring_mutex *mutex = open_mutex();
    pid_t children[PROCESSES / 2];
    for (uint32_t i = 0; i < PROCESSES / 2; i++)
        children[i] = spawn(write_until_killed, told);
    uint64_t random = 3;
    for (uint64_t kills = 0; kills < 200 * test_length(); kills++) {
        uint64_t i = random_next(&random) % (PROCESSES / 2);
        sleep_random(&random, 3000000);
        kill_child(children[i]);
        children[i] = spawn(write_until_killed, told);
    }
    for (uint32_t i = 0; i < PROCESSES / 2; i++)
        kill_child(children[i]);
    int32_t status = mapring_mutex_lock(mutex, LONG);
    CHECK(status >= 0, "the dead keep it: %s", mapring_status_name(status));
    CHECK(status == MAPRING_ABANDONED || account->debit == account->credit, "not told");
    printf("%" PRIu64 " turns, %" PRIu64 " times told of a death\n", account->debit, *told);
    CHECK(*told > 0, "nobody died inside");
    mapring_mutex_close(mutex);
    mapring_segment_close(segment);
}

static void lock_and_wait(void *argument)
{
    const struct crew *crew = argument;
    mapring_mutex *mutex = open_mutex();
    CHECK_STATUS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    gate_open(crew->ready);
    gate_pass(crew->done);
}

/* Its owner dies while somebody sleeps for it. */
static void mutex_is_inherited_soon(void)
{
    struct crew crew = crew_new(0);
    mapring_mutex *mutex = open_mutex();
    pid_t child = spawn(lock_and_wait, &crew);
    gate_pass(crew.ready);
    CHECK_STATUS(mapring_mutex_lock(mutex, MS), MAPRING_TIMEOUT);
    CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_NOT_LOCKED);
    kill_child(child);
    CHECK_STATUS(mapring_mutex_lock(mutex, LONG), MAPRING_ABANDONED);
    CHECK_STATUS(mapring_mutex_lock(mutex, LONG), MAPRING_LOCKED);
    CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_OK);
    CHECK_STATUS(mapring_mutex_lock(mutex, 0), MAPRING_OK);

    /* Closed while it is held, as if its process had died. */
    mapring_mutex *other = open_mutex();
    CHECK_STATUS(mapring_mutex_lock(other, 0), MAPRING_TIMEOUT);
    mapring_mutex_close(mutex);
    CHECK_STATUS(mapring_mutex_lock(other, 0), MAPRING_ABANDONED);
    mapring_mutex_close(other);
    CHECK(count_names() == 0, "something is left");
}

/* A child of fork() lives on, with copies of all that its parent had. */

static void lock_fork_and_die(void *argument)
{
    const struct crew *crew = argument;
    mapring_mutex *mutex = open_mutex();
    CHECK_STATUS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    if (fork() == 0) {
        mapring_mutex_close(mutex);
        gate_open(crew->ready);
        gate_pass(crew->done);
        _exit(0);
    }
    gate_pass(crew->ready);
    gate_open(crew->ready);
    raise(SIGKILL);
}

/* The child has closed its copy of the handle, and does not keep the mutex. */
static void forked_children_keep_nothing(void)
{
    struct crew crew = crew_new(0);
    mapring_mutex *mutex = open_mutex();
    pid_t child = spawn(lock_fork_and_die, &crew);
    join_killed(child, SIGKILL);
    CHECK_STATUS(mapring_mutex_lock(mutex, LONG), MAPRING_ABANDONED);
    gate_open(crew.done);
    mapring_mutex_close(mutex);
}

static void lock_fork_and_die_owning(void *argument)
{
    const struct crew *crew = argument;
    mapring_mutex *mutex = open_mutex();
    CHECK(mapring_mutex_lock(mutex, LONG) >= 0, "locking");
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        gate_open(crew->ready);
        gate_pass(crew->done);
        _exit(0);
    }
    gate_pass(crew->ready);
    raise(SIGKILL);
}

/* The child has copies of all its parent had, the lock too, and lives on. */
static void owners_with_children(void)
{
    struct crew crew = crew_new(0);
    mapring_mutex *mutex = open_mutex(), *other = open_mutex();
    for (int round = 0; round < 5; round++) {
        pid_t child = spawn(lock_fork_and_die_owning, &crew);
        join_killed(child, SIGKILL);
        CHECK_STATUS(mapring_mutex_lock(mutex, LONG), MAPRING_ABANDONED);
        CHECK_STATUS(mapring_mutex_lock(other, 250 * MS), MAPRING_TIMEOUT);
        CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_OK);
        CHECK_STATUS(mapring_mutex_lock(other, 0), MAPRING_OK);
        CHECK_STATUS(mapring_mutex_unlock(other), MAPRING_OK);
    }
    /* A stopped owner is not dead. */
    pid_t child = spawn(lock_and_wait, &crew);
    gate_pass(crew.ready);
    stop_child(child);
    CHECK_STATUS(mapring_mutex_lock(mutex, 350 * MS), MAPRING_TIMEOUT);
    kill_child(child);
    CHECK_STATUS(mapring_mutex_lock(mutex, LONG), MAPRING_ABANDONED);
    for (int round = 0; round < 5; round++)
        gate_open(crew.done);
    mapring_mutex_close(mutex);
    mapring_mutex_close(other);
    /* The name goes with the last child that has it. */
    for (int64_t end = now_ns() + LONG; count_names() > 0 && now_ns() < end;) {
        CHECK(mapring_sweep() >= 0, "sweeping");
        sched_yield();
    }
}

/* All that hold one are killed: it is gone, and a new one is as new. */
static void gone_with_the_dead(void)
{
    struct crew crew = crew_new(1);
    pid_t child = spawn(wait_for_event, &crew);
    gate_pass(crew.ready);
    kill_child(child);
    CHECK_STATUS(mapring_sweep(), 1);
    child = spawn(wait_for_event, &crew);
    gate_pass(crew.ready);
    kill_child(child);
    mapring_semaphore *semaphore = open_semaphore(5, 0);
    CHECK_STATUS(mapring_kind(NAME), MAPRING_KIND_SEMAPHORE);
    mapring_event *event = NULL;
    CHECK_STATUS(mapring_event_open(NAME, NULL, &event), MAPRING_WRONG_KIND);
    mapring_semaphore_close(semaphore);
    CHECK(count_names() == 0, "something is left");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"event_lets_one_go", event_lets_one_go},
        {"event_lets_all_go", event_lets_all_go},
        {"event_survives_death", event_survives_death},
        {"timeouts", timeouts},
        {"semaphore_counts", semaphore_counts},
        {"mutex_excludes", mutex_excludes},
        {"mutex_survives_its_owners", mutex_survives_its_owners},
        {"mutex_is_inherited_soon", mutex_is_inherited_soon},
        {"forked_children_keep_nothing", forked_children_keep_nothing},
        {"owners_with_children", owners_with_children},
        {"gone_with_the_dead", gone_with_the_dead},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
