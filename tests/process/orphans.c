/*
 * What is not death, and what is: children of fork() that keep the locks of their dead parents, processes in another
 * name space of process ids, stopped processes, and those that go on in other threads when the first has ended.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomic.h"
#include "traffic.h"

#define CAPACITY 16384u
#define MAX 512u

/* A process that has a handle and then stands still, with a child that lives longer than it. */
struct holder {
    mapring_consumer_options options;
    uint32_t reads;    /* messages read in place, */
    uint32_t releases; /* and some of them released */
    bool produces;     /* a producer, which publishes so many messages */
    bool forks;
    struct gate ready;
    struct gate child_may_end;
    struct gate child_ended;
    pid_t *pid; /* as the one who asks for it sees it */
};

static struct holder new_holder(mapring_consumer_options options)
{
    options.struct_size = sizeof options;
    return (struct holder){
        .options = options, .ready = gate_new(), .child_may_end = gate_new(), .child_ended = gate_new(), .forks = true};
}

/* Lives on without exec: ends when it may, or when nobody is left who could say so. */
static _Noreturn void outlive(const struct holder *holder)
{
    char byte;
    close(holder->child_may_end.fds[1]);
    gate_open(holder->ready);
    while (read(holder->child_may_end.fds[0], &byte, 1) < 0 && errno == EINTR)
        ;
    pid_t pid = getpid();
    _exit(write(holder->child_ended.fds[1], &pid, sizeof pid) == (ssize_t)sizeof pid ? 0 : 1);
}

static void hold(void *argument)
{
    const struct holder *holder = argument;
    if (holder->produces) {
        mapring_producer_options options = {.struct_size = sizeof options};
        mapring_producer *producer;
        int32_t status = mapring_producer_open(RING, &options, &producer);
        CHECK(status >= 0, "opening the producer: %s", mapring_status_name(status));
        uint64_t sequence = stat_ring().messages;
        for (uint32_t i = 0; i < holder->reads; i++)
            publish_message(producer, sequence++, MAX);
        /* What is not committed was never there. */
        void *payload;
        CHECK_STATUS(mapring_claim(producer, 8, 0, &payload), MAPRING_OK);
    } else {
        mapring_consumer *consumer;
        int32_t status = mapring_consumer_open(RING, &holder->options, &consumer);
        CHECK(status >= 0, "opening a consumer: %s", mapring_status_name(status));
        mapring_message messages[16];
        if (holder->reads > 0)
            CHECK_STATUS(mapring_read(consumer, messages, holder->reads, SECOND), (int32_t)holder->reads);
        CHECK_STATUS(mapring_release(consumer, holder->releases), MAPRING_OK);
    }
    if (holder->forks && fork() == 0)
        outlive(holder);
    if (!holder->forks)
        gate_open(holder->ready);
    gate_pass(gate_new());
}

static pid_t start(struct holder *holder)
{
    /* The children of those who are killed become ours. */
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "becoming a reaper: %s", strerror(errno));
    pid_t pid = spawn(hold, holder);
    gate_pass(holder->ready);
    return pid;
}

/* Returns when it holds nothing any longer. */
static void end_child(const struct holder *holder)
{
    pid_t pid = 0;
    gate_open(holder->child_may_end);
    CHECK(read(holder->child_ended.fds[0], &pid, sizeof pid) == (ssize_t)sizeof pid, "a child did not end");
    CHECK(waitpid(pid, NULL, 0) == pid, "child %d is not ours: %s", (int)pid, strerror(errno));
}

static bool try_publish(mapring_producer *producer, uint64_t *sequence, int64_t timeout_ns)
{
    static uint8_t bytes[MAX];
    uint64_t length = message_length(*sequence, MAX);
    payload_fill(bytes, length, *sequence);
    int32_t status = mapring_publish(producer, bytes, length, message_tag(*sequence), 0, timeout_ns);
    CHECK(status == MAPRING_OK || status == MAPRING_FULL, "publishing: %s", mapring_status_name(status));
    *sequence += status == MAPRING_OK;
    return status == MAPRING_OK;
}

static void fill(mapring_producer *producer, uint64_t *sequence)
{
    while (try_publish(producer, sequence, 0))
        ;
}

static mapring_consumer_info consumer_info(void)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    mapring_consumer_info consumer = {0};
    CHECK_STATUS(mapring_stat(RING, NULL, &info, &consumer, 1), 1);
    return consumer;
}

/* Room comes within a second. */
static void expect_room(mapring_producer *producer, uint64_t *sequence)
{
    int64_t since = now_ns();
    CHECK(try_publish(producer, sequence, 5 * SECOND), "no room");
    CHECK(now_ns() - since < SECOND, "room after %" PRId64 " ms", (now_ns() - since) / MS);
}

/* Room does not come, though the producer looks for the dead. */
static void expect_no_room(mapring_producer *producer, uint64_t *sequence)
{
    CHECK(consumer_info().alive == 1, "counts as dead");
    CHECK(!try_publish(producer, sequence, 250 * MS), "a living consumer was overtaken");
    CHECK(consumer_info().alive == 1, "counts as dead");
}

/* Children that live on. */

static void a_consumer_leaves_a_child(void)
{
    mapring_producer *producer = open_producer(CAPACITY, 2);
    uint64_t sequence = 0;
    for (int round = 0; round < 4; round++) {
        struct holder holder = new_holder((mapring_consumer_options){.start = MAPRING_FROM_NEWEST});
        pid_t pid = start(&holder);
        fill(producer, &sequence);
        expect_no_room(producer, &sequence);
        kill(pid, SIGKILL);
        /* First as a zombie. */
        if (round % 2 == 0)
            expect_room(producer, &sequence);
        join_killed(pid, SIGKILL);
        if (round % 2 != 0)
            expect_room(producer, &sequence);
        CHECK(consumer_info().alive == 0, "a dead consumer counts as alive");
        CHECK_STATUS(mapring_wait_consumers(producer, 1, 0), MAPRING_TIMEOUT);
        CHECK_STATUS(mapring_drain(producer, 0), MAPRING_OK);
        for (int i = 0; i < 500; i++)
            CHECK(try_publish(producer, &sequence, 0), "full again");
        end_child(&holder);
        /* The slot comes back. */
        mapring_consumer *consumers[2] = {open_consumer(MAPRING_FROM_NEWEST), open_consumer(MAPRING_FROM_NEWEST)};
        mapring_consumer_close(consumers[0]);
        mapring_consumer_close(consumers[1]);
        CHECK(stat_ring().consumers == 0, "a slot is lost");
    }
    mapring_producer_close(producer);
}

static mapring_consumer *come_back(const mapring_consumer_options *options, int32_t expected)
{
    mapring_consumer *consumer;
    int64_t since = now_ns();
    CHECK_STATUS(mapring_consumer_open(RING, options, &consumer), expected);
    CHECK(now_ns() - since < SECOND, "it took %" PRId64 " ms", (now_ns() - since) / MS);
    return consumer;
}

static void a_named_consumer_leaves_a_child(void)
{
    mapring_producer *producer = open_producer(CAPACITY, 8);
    uint64_t sequence = 0, next = 0;
    struct holder holders[4];
    for (int round = 0; round < 4; round++) {
        struct holder *holder = &holders[round];
        *holder = new_holder((mapring_consumer_options){.own_name = "n"});
        holder->reads = 5;
        holder->releases = 3;
        while (sequence < next + 8)
            publish_message(producer, sequence++, MAX);
        pid_t pid = start(holder);
        next += 3;
        mapring_consumer *consumer;
        CHECK_STATUS(mapring_consumer_open(RING, &holder->options, &consumer), MAPRING_NAME_IN_USE);
        fill(producer, &sequence);
        kill(pid, SIGKILL);
        if (round % 2 == 0)
            join_killed(pid, SIGKILL);
        /* Its place is held. */
        CHECK(!try_publish(producer, &sequence, 150 * MS), "its place is lost");
        consumer = come_back(&holder->options, MAPRING_RESUMED);
        mapring_message message;
        while (mapring_read(consumer, &message, 1, 0) == 1) {
            check_message(&message, next++, MAX);
            CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
        }
        CHECK(next == sequence, "%" PRIu64 " messages of %" PRIu64, next, sequence);
        for (int i = 0; i < 50; i++)
            CHECK(try_publish(producer, &sequence, 0), "the dead hold the producer back");
        mapring_consumer_close(consumer);
        if (round % 2 != 0)
            join_killed(pid, SIGKILL);
    }
    /* Forgotten while a child keeps the lock. */
    struct holder holder = new_holder((mapring_consumer_options){.own_name = "m"});
    pid_t pid = start(&holder);
    CHECK_STATUS(mapring_forget(RING, "m"), MAPRING_NAME_IN_USE);
    kill_child(pid);
    CHECK_STATUS(mapring_forget(RING, "m"), MAPRING_OK);
    CHECK_STATUS(mapring_forget(RING, "m"), MAPRING_NOT_FOUND);
    CHECK_STATUS(mapring_forget(RING, "n"), MAPRING_OK);
    CHECK(try_publish(producer, &sequence, 0), "forgotten, and still in the way");
    mapring_consumer_close(come_back(&holder.options, MAPRING_OK));
    CHECK_STATUS(mapring_forget(RING, "m"), MAPRING_OK);
    end_child(&holder);
    for (int round = 0; round < 4; round++)
        end_child(&holders[round]);
    mapring_consumer *consumers[8];
    for (int i = 0; i < 8; i++)
        consumers[i] = open_consumer(MAPRING_FROM_NEWEST);
    for (int i = 0; i < 8; i++)
        mapring_consumer_close(consumers[i]);
    CHECK(stat_ring().consumers == 0, "a slot is lost");
    mapring_producer_close(producer);
}

static void a_member_leaves_a_child(void)
{
    mapring_producer *producer = open_producer(CAPACITY, 4);
    uint64_t sequence = 0;
    for (int round = 0; round < 4; round++) {
        struct holder holder = new_holder((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g"});
        mapring_consumer *heir;
        int32_t status = mapring_consumer_open(RING, &holder.options, &heir);
        CHECK(status >= 0, "joining: %s", mapring_status_name(status));
        uint64_t next = sequence;
        holder.reads = 6;
        holder.releases = 2;
        for (int i = 0; i < 8; i++)
            publish_message(producer, sequence++, 64);
        pid_t pid = start(&holder);
        fill(producer, &sequence);
        kill(pid, SIGKILL);
        if (round % 2 == 0)
            join_killed(pid, SIGKILL);
        int64_t since = now_ns();
        bool seen[2000] = {false};
        uint64_t redelivered = 0, count = 0;
        CHECK(sequence - next <= 2000, "too many");
        while (count < sequence - next - 2) {
            mapring_message message;
            CHECK_STATUS(mapring_read(heir, &message, 1, SECOND), 1);
            uint64_t i = message.sequence - next;
            CHECK(i >= 2 && i < sequence - next && !seen[i], "message %" PRIu64, i);
            CHECK((message.flags == MAPRING_REDELIVERED) == (i < 6), "a wrong mark");
            redelivered += i < 6;
            seen[i] = true;
            count++;
            CHECK_STATUS(mapring_release(heir, 1), MAPRING_OK);
        }
        CHECK(now_ns() - since < SECOND, "it took %" PRId64 " ms", (now_ns() - since) / MS);
        CHECK(redelivered == 4, "%" PRIu64 " are redelivered", redelivered);
        CHECK_STATUS(mapring_drain(producer, 0), MAPRING_OK);
        if (round % 2 != 0)
            join_killed(pid, SIGKILL);
        mapring_group_info info;
        CHECK_STATUS(mapring_groups(RING, NULL, &info, 1), 1);
        CHECK(info.members == 1 && info.dead == 0, "%u members, %u dead", info.members, info.dead);
        mapring_consumer_close(heir);
        end_child(&holder);
    }
    CHECK_STATUS(mapring_forget(RING, "g"), MAPRING_OK);
    mapring_consumer *consumers[4];
    for (int i = 0; i < 4; i++)
        consumers[i] = open_consumer(MAPRING_FROM_NEWEST);
    for (int i = 0; i < 4; i++)
        mapring_consumer_close(consumers[i]);
    CHECK(stat_ring().consumers == 0, "a slot is lost");
    mapring_producer_close(producer);
}

/* Several times, one after the other: each child keeps the lock that its parent had. */
static void a_producer_leaves_a_child(void)
{
    mapring_producer *first = open_producer(CAPACITY, 4);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 3);
    reader.sequence = 0;
    mapring_producer_close(first);
    struct holder holders[5];
    for (int i = 0; i < 5; i++) {
        holders[i] = new_holder((mapring_consumer_options){0});
        holders[i].produces = true;
        holders[i].reads = 20;
        pid_t pid = start(&holders[i]);
        mapring_producer *other;
        CHECK_STATUS(mapring_producer_open(RING, NULL, &other), MAPRING_PRODUCER_EXISTS);
        kill(pid, SIGKILL);
        if (i % 2 == 0)
            join_killed(pid, SIGKILL);
        int32_t status;
        int64_t since = now_ns();
        do
            status = reader_step(&reader, SECOND);
        while (status >= 0);
        CHECK_STATUS(status, MAPRING_NO_PRODUCER);
        CHECK(now_ns() - since < SECOND, "it took %" PRId64 " ms", (now_ns() - since) / MS);
        CHECK(reader.sequence == 20 * (uint64_t)(i + 1), "%" PRIu64 " messages", reader.sequence);
        CHECK(stat_ring().producer_alive == 0, "a dead producer counts as alive");
        if (i % 2 != 0)
            join_killed(pid, SIGKILL);
    }
    mapring_producer *last = open_producer(0, 0);
    publish_message(last, 100, MAX);
    CHECK(stat_ring().epoch == 7 && stat_ring().messages == 101, "epoch %" PRIu64, stat_ring().epoch);
    for (int i = 0; i < 5; i++)
        end_child(&holders[i]);
    mapring_producer *other;
    CHECK_STATUS(mapring_producer_open(RING, NULL, &other), MAPRING_PRODUCER_EXISTS);
    CHECK_STATUS(mapring_end(last), MAPRING_OK);
    reader_finish(&reader);
    mapring_producer_close(last);
    reader_close(&reader);
}

/* Who is killed while it waits for a successor is not waited for. */
static void hand_over(void *argument)
{
    mapring_producer *producer = open_producer(0, 0);
    gate_open(*(struct gate *)argument);
    mapring_handover(producer, MAPRING_FOREVER);
}

static void a_producer_dies_while_it_hands_over(void)
{
    struct gate gate = gate_new();
    mapring_producer *first = open_producer(CAPACITY, 4);
    struct reader reader = reader_open(MAPRING_FROM_OLDEST, MAX, 3);
    mapring_producer_close(first);
    pid_t pid = spawn(hand_over, &gate);
    gate_pass(gate);
    CHECK_STATUS(reader_step(&reader, 400 * MS), 0);
    kill_child(pid);
    int64_t since = now_ns();
    CHECK_STATUS(reader_step(&reader, 5 * SECOND), MAPRING_NO_PRODUCER);
    CHECK(now_ns() - since < SECOND, "it took %" PRId64 " ms", (now_ns() - since) / MS);
    mapring_producer *last = open_producer(0, 0);
    reader.sequence = 0;
    publish_message(last, 0, MAX);
    CHECK_STATUS(reader_step(&reader, SECOND), 1);
    CHECK(stat_ring().epoch == 3, "epoch %" PRIu64, stat_ring().epoch);
    mapring_producer_close(last);
    reader_close(&reader);
}

/* Name spaces. */

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        skip("name spaces cannot be made");
    close(fd);
}

/* Runs hold() as the first process of a new name space, and says what its number is outside. */
static void hold_elsewhere(void *argument)
{
    struct holder *holder = argument;
    char map[64];
    snprintf(map, sizeof map, "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
    if (unshare(CLONE_NEWPID) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
            skip("name spaces cannot be made");
        write_text("/proc/self/setgroups", "deny");
        write_text("/proc/self/uid_map", map);
    }
    struct gate known = gate_new();
    pid_t pid = fork();
    CHECK(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        gate_pass(known);
        hold(holder);
        _exit(0);
    }
    *holder->pid = pid;
    gate_open(known);
    join_killed(pid, SIGKILL);
}

static void a_consumer_in_another_name_space(void)
{
    static const mapring_consumer_options kinds[] = {
        {.start = MAPRING_FROM_NEWEST},
        {.start = MAPRING_FROM_NEWEST, .own_name = "n"},
        {.start = MAPRING_FROM_NEWEST, .kind = MAPRING_MEMBER, .group = "g"},
    };
    mapring_producer *producer = open_producer(CAPACITY, 4);
    uint64_t sequence = 0;
    for (int round = 0; round < 3; round++) {
        struct holder holder = new_holder(kinds[round]);
        holder.forks = false;
        holder.pid = shared_memory(4096);
        pid_t outer = spawn(hold_elsewhere, &holder);
        /* Or it skips, which closes the pipe's last end but ours. */
        char byte;
        close(holder.ready.fds[1]);
        if (read(holder.ready.fds[0], &byte, 1) != 1) {
            mapring_producer_close(producer);
            join(outer);
        }
        fill(producer, &sequence);
        expect_no_room(producer, &sequence);
        if (kinds[round].own_name != NULL)
            CHECK_STATUS(mapring_forget(RING, "n"), MAPRING_NAME_IN_USE);
        if (kinds[round].group != NULL)
            CHECK_STATUS(mapring_forget(RING, "g"), MAPRING_NAME_IN_USE);
        CHECK(*holder.pid > 1, "whom to kill?");
        kill(*holder.pid, SIGKILL);
        join(outer);
        CHECK(consumer_info().alive == 0, "a dead consumer counts as alive");
        if (kinds[round].own_name != NULL)
            CHECK_STATUS(mapring_forget(RING, "n"), MAPRING_OK);
        if (kinds[round].group != NULL)
            CHECK_STATUS(mapring_forget(RING, "g"), MAPRING_OK);
        expect_room(producer, &sequence);
    }
    mapring_producer_close(producer);
}

/* Stopped, or without its first thread. */

static void stopped_ones_are_waited_for(void)
{
    static const mapring_consumer_options kinds[] = {
        {.start = MAPRING_FROM_NEWEST, .own_name = "n"},
        {.start = MAPRING_FROM_NEWEST, .kind = MAPRING_MEMBER, .group = "g"},
    };
    for (int round = 0; round < 2; round++) {
        mapring_producer *producer = open_producer(CAPACITY, 4);
        uint64_t sequence = 0;
        struct holder holder = new_holder(kinds[round]);
        holder.forks = false;
        pid_t pid = start(&holder);
        stop_child(pid);
        fill(producer, &sequence);
        expect_no_room(producer, &sequence);
        CHECK_STATUS(mapring_forget(RING, round == 0 ? "n" : "g"), MAPRING_NAME_IN_USE);
        kill_child(pid);
        CHECK_STATUS(mapring_forget(RING, round == 0 ? "n" : "g"), MAPRING_OK);
        expect_room(producer, &sequence);
        mapring_producer_close(producer);
    }
}

static void *hold_in_thread(void *argument)
{
    hold(argument);
    return NULL;
}

static void lose_first_thread(void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, hold_in_thread, argument) == 0, "no thread");
    pthread_exit(NULL);
}

static void a_process_goes_on_without_its_first_thread(void)
{
    mapring_producer *producer = open_producer(CAPACITY, 4);
    uint64_t sequence = 0;
    struct holder holder = new_holder((mapring_consumer_options){.start = MAPRING_FROM_NEWEST});
    holder.forks = false;
    pid_t pid = spawn(lose_first_thread, &holder);
    gate_pass(holder.ready);
    fill(producer, &sequence);
    expect_no_room(producer, &sequence);
    kill_child(pid);
    expect_room(producer, &sequence);
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"a_consumer_leaves_a_child", a_consumer_leaves_a_child},
        {"a_named_consumer_leaves_a_child", a_named_consumer_leaves_a_child},
        {"a_member_leaves_a_child", a_member_leaves_a_child},
        {"a_producer_leaves_a_child", a_producer_leaves_a_child},
        {"a_producer_dies_while_it_hands_over", a_producer_dies_while_it_hands_over},
        {"a_consumer_in_another_name_space", a_consumer_in_another_name_space},
        {"stopped_ones_are_waited_for", stopped_ones_are_waited_for},
        {"a_process_goes_on_without_its_first_thread", a_process_goes_on_without_its_first_thread},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
