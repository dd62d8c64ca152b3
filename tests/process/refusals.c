/*
 * Sandboxes that refuse system calls which waiting is built on. Every way to wait works without, or says that it does
 * not, with the status that its header promises, and then its consumer reads on. Messages come as they are published,
 * and not when somebody looks by itself after 0.1 s; silence costs next to nothing, and nothing is left behind.
 * (membarrier(2): fences.c.)
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "refuse.h"
#include "traffic.h"

#define MESSAGES 200u
#define LENGTH_MAX 100u
#define PAUSE_MAX_NS 3000000
#define LATE_NS (20 * MS)
#define SYS_FUTEX_WAITV 449
#define SYS_EPOLL_PWAIT2 441

#define WAYS 7
#define ATTACHED 6 /* of these, and one of them unseen */

static shared64 *sent_ns; /* of each message */

/* What cannot be had in the sandbox. */
#define NO_DESCRIPTOR 1u /* of a consumer, by any method, */
#define NO_FIFO 2u       /* or that others write to */
#define NO_MIXED_SET 4u  /* that waits on descriptors, */
#define NO_SET 8u        /* or on consumers only */

static struct {
    const long *calls; /* and behind them -1 */
    int error;
    bool later; /* not before half of the messages are there */
    unsigned refused;
} sandbox;

static void enter_sandbox(void)
{
    for (int i = 0; sandbox.calls[i] >= 0; i++)
        refuse_with(sandbox.calls[i], sandbox.error);
}

/* Whether something works, or else cannot be had, and says why. */
static bool works(const char *what, int32_t status, unsigned needed)
{
    if (status >= 0 && (sandbox.later || (sandbox.refused & needed) == 0))
        return true;
    int32_t expected = sandbox.error == ENOSYS ? MAPRING_UNSUPPORTED : MAPRING_PERMISSION;
    CHECK((sandbox.refused & needed) != 0 && status == expected, "%s: %s", what, mapring_status_name(status));
    return false;
}

/* Silence. */

#define SILENCE (300 * MS)
#define AWAKE_MAX 0.15

struct moment {
    int64_t time;
    int64_t spent; /* of the processor */
};

static struct moment moment_now(void)
{
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (struct moment){now_ns(), (int64_t)spent.tv_sec * SECOND + spent.tv_nsec};
}

static void check_silence(struct moment before, const char *who)
{
    struct moment now = moment_now();
    double awake = (double)(now.spent - before.spent) / (double)(now.time - before.time);
    CHECK(now.time - before.time >= SILENCE / 2, "%s: the silence lasted %" PRId64 " ns", who, now.time - before.time);
    CHECK(awake < AWAKE_MAX, "%s was awake for %.0f %% of the silence", who, 100 * awake);
}

struct receiver {
    mapring_consumer *consumer;
    uint64_t sequence;
    uint64_t late;
    int descriptors; /* that the process had before */
    struct moment silence;
    bool ended;
};

static struct receiver receiver_open(uint32_t kind)
{
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = kind, .start = MAPRING_FROM_OLDEST, .timeout_ns = 20 * SECOND};
    struct receiver receiver = {.descriptors = count_descriptors()};
    CHECK_STATUS(mapring_consumer_open(RING, &options, &receiver.consumer), MAPRING_OK);
    return receiver;
}

static void receiver_close(struct receiver *receiver)
{
    CHECK(receiver->sequence == MESSAGES, "%" PRIu64 " messages", receiver->sequence);
    CHECK(receiver->late < MESSAGES / 2, "%" PRIu64 " messages came late", receiver->late);
    mapring_consumer_close(receiver->consumer);
    CHECK(count_descriptors() == receiver->descriptors, "%d descriptors instead of %d", count_descriptors(),
          receiver->descriptors);
}

/* Everything that is there; or waits for something. */
static void receive(struct receiver *receiver, int64_t timeout_ns)
{
    for (;;) {
        mapring_message message;
        int32_t status = mapring_read(receiver->consumer, &message, 1, timeout_ns);
        receiver->ended = status == MAPRING_STREAM_ENDED;
        if (receiver->ended)
            check_silence(receiver->silence, "a consumer");
        if (status == 0 || receiver->ended)
            return;
        /* With a descriptor. */
        if (status < 0 && sandbox.later && receiver->sequence >= MESSAGES / 2 &&
            !works("reading", status, NO_DESCRIPTOR | NO_FIFO))
            return;
        CHECK_STATUS(status, 1);
        check_message(&message, receiver->sequence, LENGTH_MAX);
        uint64_t sent = load64_relaxed(&sent_ns[receiver->sequence++]);
        receiver->late += now_ns() - (int64_t)sent > LATE_NS;
        if (sandbox.later && receiver->sequence == MESSAGES / 2)
            enter_sandbox();
        receiver->silence = moment_now();
        int32_t released = mapring_release(receiver->consumer, 1);
        if (released != MAPRING_OK)
            CHECK(!works("releasing", released, sandbox.later ? NO_DESCRIPTOR | NO_FIFO : 0), "it cannot");
    }
}

static void read_on(struct receiver *receiver)
{
    while (!receiver->ended)
        receive(receiver, 10 * SECOND);
    receiver_close(receiver);
}

static void by_reading(void *unused)
{
    (void)unused;
    struct receiver receiver = receiver_open(MAPRING_RELIABLE);
    read_on(&receiver);
}

static void by_observing(void *unused)
{
    (void)unused;
    struct receiver receiver = receiver_open(MAPRING_OBSERVER);
    read_on(&receiver);
}

static bool futexes_are_refused;

/* What everybody can see of this process. */
static uint32_t visible_method(void)
{
    mapring_consumer_info info[WAYS];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    int32_t count = mapring_stat(RING, NULL, &ring, info, WAYS);
    for (int32_t i = 0; i < count; i++)
        if (info[i].pid == (uint32_t)getpid())
            return info[i].descriptor;
    fail(__FILE__, __LINE__, "the consumer is not to be seen");
}

static void by_polling_some_way(uint32_t which)
{
    struct receiver receiver = receiver_open(MAPRING_RELIABLE);
    int64_t descriptor;
    int before = count_descriptors();
    int32_t method = mapring_consumer_descriptor(receiver.consumer, which, &descriptor);
    /* Without FIFOs there may be another way. */
    bool may_lack_fifo = which == MAPRING_DESCRIPTOR_WAKE || method < 0;
    if (!works("a descriptor", method, may_lack_fifo ? NO_DESCRIPTOR | NO_FIFO : NO_DESCRIPTOR)) {
        CHECK(count_descriptors() == before, "descriptors were left open");
        CHECK(visible_method() == 0, "it looks as if there were a descriptor");
        read_on(&receiver);
        return;
    }
    CHECK(!futexes_are_refused || method == MAPRING_DESCRIPTOR_WAKE, "method %d", (int)method);
    CHECK(visible_method() == (uint32_t)method, "nobody can see which method is in use");
    receive(&receiver, 0);
    while (!receiver.ended) {
        struct pollfd poller = {.fd = (int)descriptor, .events = POLLIN};
        int ready = poll(&poller, 1, 10000);
        CHECK(ready == 1 || (ready < 0 && errno == EINTR), "nothing to read for 10 s");
        receive(&receiver, 0);
    }
    receiver_close(&receiver);
}

static void by_polling(void *unused)
{
    (void)unused;
    by_polling_some_way(MAPRING_DESCRIPTOR_ANY);
}

static void by_polling_a_fifo(void *unused)
{
    (void)unused;
    by_polling_some_way(MAPRING_DESCRIPTOR_WAKE);
}

/* A set that may wait on futexes only, or one with a descriptor in it, which it cannot. */
static void by_set(bool with_descriptor)
{
    struct receiver receiver = receiver_open(MAPRING_RELIABLE);
    mapring_wait_set *set;
    int ends[2];
    CHECK(pipe(ends) == 0, "no pipe");
    CHECK_STATUS(mapring_wait_set_open(&set), MAPRING_OK);
    CHECK_STATUS(mapring_wait_set_add_consumer(set, receiver.consumer, 7), MAPRING_OK);
    unsigned needed = with_descriptor ? NO_MIXED_SET : NO_SET;
    int32_t status = MAPRING_OK;
    if (with_descriptor)
        status = mapring_wait_set_add_descriptor(set, ends[0], MAPRING_EVENT_READABLE, 8);
    while (status >= 0 && !receiver.ended) {
        mapring_ready ready;
        status = mapring_wait_set_wait(set, &ready, 1, 10 * SECOND);
        if (status < 0)
            break;
        CHECK_STATUS(status, 1);
        CHECK(ready.token == 7, "token %" PRIu64, ready.token);
        receive(&receiver, 0);
    }
    works("a wait set", status, needed);
    mapring_wait_set_close(set);
    close(ends[0]);
    close(ends[1]);
    read_on(&receiver);
}

static void by_waiting_on_a_set(void *unused)
{
    (void)unused;
    by_set(false);
}

static void by_waiting_on_a_mixed_set(void *unused)
{
    (void)unused;
    by_set(true);
}

/* A producer that waits for consumers, and a consumer that waits for a ring. */
static void wait_in_vain(mapring_producer *producer, uint32_t consumers)
{
    struct moment before = moment_now();
    CHECK_STATUS(mapring_wait_consumers(producer, consumers, SILENCE), MAPRING_TIMEOUT);
    check_silence(before, "a producer");
}

static void wait_for_a_ring(const char *name, const char *file)
{
    mapring_consumer *consumer;
    mapring_consumer_options options = {.struct_size = sizeof options, .file = file, .timeout_ns = SILENCE};
    options.kind = file != NULL ? MAPRING_OBSERVER : MAPRING_RELIABLE;
    struct moment before = moment_now();
    CHECK_STATUS(mapring_consumer_open(name, &options, &consumer), MAPRING_TIMEOUT);
    check_silence(before, "who waits for a ring");
}

static void by_waiting_for_a_ring(void *unused)
{
    (void)unused;
    int before = count_descriptors();
    wait_for_a_ring("absent", NULL);
    wait_for_a_ring(NULL, case_file());
    CHECK(count_descriptors() == before, "descriptors were left open");
}

/* Sleeping may be refused. */
static void pause_random(uint64_t *random)
{
    struct timespec pause = {.tv_nsec = (long)(random_next(random) % PAUSE_MAX_NS)};
    ppoll(NULL, 0, &pause, NULL);
}

static void every_way_works(void)
{
    static void (*const ways[WAYS])(void *) = {
        by_reading,   by_polling,           by_polling_a_fifo, by_waiting_on_a_set, by_waiting_on_a_mixed_set,
        by_observing, by_waiting_for_a_ring};
    pid_t children[WAYS];
    sent_ns = shared_memory(MESSAGES * sizeof *sent_ns);
    int descriptors = count_descriptors();
    mapring_producer *producer = open_producer(4096, WAYS);
    for (int i = 0; i < WAYS; i++)
        children[i] = spawn(ways[i], NULL);
    CHECK_STATUS(mapring_wait_consumers(producer, ATTACHED - 1, 20 * SECOND), MAPRING_OK);
    uint64_t random = 11;
    for (uint64_t sequence = 0; sequence < MESSAGES; sequence++) {
        pause_random(&random);
        store64_relaxed(&sent_ns[sequence], (uint64_t)now_ns());
        publish_message(producer, sequence, LENGTH_MAX);
    }
    wait_in_vain(producer, WAYS);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    for (int i = 0; i < WAYS; i++)
        join(children[i]);
    mapring_producer_close(producer);
    CHECK(count_descriptors() == descriptors, "descriptors were left open");
}

static void without(const long *calls, int error, unsigned refused)
{
    sandbox.calls = calls;
    sandbox.error = error;
    sandbox.refused = refused;
    if (!sandbox.later)
        enter_sandbox();
    every_way_works();
}

#define LIST(...) ((const long[]){__VA_ARGS__, -1})
#define WITHOUT(...) without(LIST(__VA_ARGS__), EPERM, 0)

static void with_everything(void)
{
    every_way_works();
}

static void without_futex_waitv(void)
{
    WITHOUT(SYS_FUTEX_WAITV);
}

static void without_io_uring(void)
{
    futexes_are_refused = true;
    WITHOUT(SYS_io_uring_setup);
}

static void without_io_uring_register(void)
{
    futexes_are_refused = true;
    WITHOUT(SYS_io_uring_register);
}

static void without_io_uring_enter(void)
{
    futexes_are_refused = true;
    WITHOUT(SYS_io_uring_enter);
}

static void without_pidfd_open(void)
{
    WITHOUT(SYS_pidfd_open);
}

static void without_sockets(void)
{
    WITHOUT(SYS_socket, SYS_socketpair);
}

/* Then whoever would sleep on one looks every millisecond. */
static void without_futexes(void)
{
    futexes_are_refused = true;
    WITHOUT(SYS_futex, SYS_FUTEX_WAITV, SYS_io_uring_setup);
}

static void without_all_that_can_be_missed(void)
{
    futexes_are_refused = true;
    WITHOUT(SYS_membarrier, SYS_FUTEX_WAITV, SYS_io_uring_setup, SYS_pidfd_open, SYS_socket, SYS_socketpair);
}

/* A sandbox says that a call is not permitted, or that there is none of that number. */

#ifdef SYS_epoll_wait
#define EPOLL_WAITS SYS_epoll_wait, SYS_epoll_pwait, SYS_EPOLL_PWAIT2
#else
#define EPOLL_WAITS SYS_epoll_pwait, SYS_EPOLL_PWAIT2
#endif
#ifdef SYS_mknod
#define MKNODS SYS_mknod, SYS_mknodat
#else
#define MKNODS SYS_mknodat
#endif

#define EVERY_REFUSAL(X)                                                                                               \
    X(timerfd_create, NO_DESCRIPTOR, SYS_timerfd_create)                                                               \
    X(timerfd_settime, NO_DESCRIPTOR, SYS_timerfd_settime)                                                             \
    X(epoll_create, NO_DESCRIPTOR | NO_MIXED_SET, SYS_epoll_create1)                                                   \
    X(epoll_ctl, NO_DESCRIPTOR | NO_MIXED_SET, SYS_epoll_ctl)                                                          \
    X(epoll_wait, NO_MIXED_SET, EPOLL_WAITS)                                                                           \
    X(eventfd, NO_DESCRIPTOR | NO_MIXED_SET, SYS_eventfd2)                                                             \
    X(mknod, NO_FIFO | NO_MIXED_SET, MKNODS)                                                                           \
    X(futex_waitv_and_timerfd, NO_DESCRIPTOR, SYS_FUTEX_WAITV, SYS_timerfd_create)                                     \
    X(futex_waitv_and_epoll, NO_DESCRIPTOR | NO_MIXED_SET | NO_SET, SYS_FUTEX_WAITV, SYS_epoll_create1)                \
    X(futex_waitv_and_mknod, NO_FIFO | NO_MIXED_SET | NO_SET, SYS_FUTEX_WAITV, MKNODS)                                 \
    X(sleeping, 0, SYS_nanosleep, SYS_clock_nanosleep)                                                                 \
    X(sleeping_and_futexes, 0, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_FUTEX_WAITV, SYS_io_uring_setup)     \
    X(sched_yield, 0, SYS_sched_yield)                                                                                 \
    X(getrandom, 0, SYS_getrandom)                                                                                     \
    X(inotify, 0, SYS_inotify_init1, SYS_inotify_add_watch)                                                            \
    X(membarrier, 0, SYS_membarrier)                                                                                   \
    X(kill, 0, SYS_kill)                                                                                               \
    X(madvise, 0, SYS_madvise)

#define BOTH(name, refused, ...)                                                                                       \
    static void name##_not_permitted(void)                                                                             \
    {                                                                                                                  \
        without(LIST(__VA_ARGS__), EPERM, refused);                                                                    \
    }                                                                                                                  \
    static void name##_not_known(void)                                                                                 \
    {                                                                                                                  \
        without(LIST(__VA_ARGS__), ENOSYS, refused);                                                                   \
    }

EVERY_REFUSAL(BOTH)

/* A program that opens what it needs, then enters its sandbox. */

static void later_without_timerfd_settime(void)
{
    sandbox.later = true;
    without(LIST(SYS_timerfd_settime), EPERM, NO_DESCRIPTOR);
}

static void later_without_epoll_wait(void)
{
    sandbox.later = true;
    without(LIST(EPOLL_WAITS), EPERM, NO_MIXED_SET);
}

static void later_without_io_uring_and_mknod(void)
{
    sandbox.later = true;
    without(LIST(SYS_io_uring_enter, MKNODS), EPERM, NO_FIFO);
}

static void later_without_what_is_open_by_then(void)
{
    sandbox.later = true;
    without(LIST(SYS_timerfd_create, SYS_epoll_create1, SYS_epoll_ctl, SYS_eventfd2, MKNODS, SYS_io_uring_setup), EPERM,
            0);
}

/* That is, without a pause between two looks for it. */
static void waiting_for_a_ring_without_poll(void)
{
#ifdef SYS_poll
    refuse(SYS_poll);
#endif
    refuse(SYS_ppoll);
    by_waiting_for_a_ring(NULL);
}

/* The death of a producer is noticed without its pidfd. */
static void produce_until_killed(void *unused)
{
    (void)unused;
    mapring_producer *producer = open_producer(4096, 1);
    publish_message(producer, 0, LENGTH_MAX);
    for (;;)
        pause();
}

static void a_death_without_pidfd_open(void)
{
    refuse(SYS_pidfd_open);
    sent_ns = shared_memory(MESSAGES * sizeof *sent_ns);
    pid_t child = spawn(produce_until_killed, NULL);
    struct receiver receiver = receiver_open(MAPRING_RELIABLE);
    int64_t descriptor;
    CHECK(mapring_consumer_descriptor(receiver.consumer, MAPRING_DESCRIPTOR_ANY, &descriptor) > 0, "no descriptor");
    while (receiver.sequence < 1)
        receive(&receiver, 0);
    kill_child(child);
    int64_t end = now_ns() + 5 * SECOND;
    mapring_message message;
    int32_t status = 0;
    while (status == 0) {
        CHECK(now_ns() < end, "the descriptor does not tell that the producer died");
        struct pollfd poller = {.fd = (int)descriptor, .events = POLLIN};
        if (poll(&poller, 1, 1000) == 1)
            status = mapring_read(receiver.consumer, &message, 1, 0);
    }
    CHECK_STATUS(status, MAPRING_NO_PRODUCER);
    mapring_consumer_close(receiver.consumer);
}

#define NAMED(name, refused, ...)                                                                                      \
    {#name "_not_permitted", name##_not_permitted}, {#name "_not_known", name##_not_known},

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"with_everything", with_everything},
        {"without_futex_waitv", without_futex_waitv},
        {"without_io_uring", without_io_uring},
        {"without_io_uring_register", without_io_uring_register},
        {"without_io_uring_enter", without_io_uring_enter},
        {"without_pidfd_open", without_pidfd_open},
        {"without_sockets", without_sockets},
        {"without_futexes", without_futexes},
        {"without_all_that_can_be_missed", without_all_that_can_be_missed},
        {"later_without_timerfd_settime", later_without_timerfd_settime},
        {"later_without_epoll_wait", later_without_epoll_wait},
        {"later_without_io_uring_and_mknod", later_without_io_uring_and_mknod},
        {"later_without_what_is_open_by_then", later_without_what_is_open_by_then},
        {"waiting_for_a_ring_without_poll", waiting_for_a_ring_without_poll},
        {"a_death_without_pidfd_open", a_death_without_pidfd_open},
        EVERY_REFUSAL(NAMED) /* each with both errors */
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
