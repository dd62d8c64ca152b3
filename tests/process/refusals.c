/*
 * Sandboxes that refuse system calls which waiting is built on: every way to wait works without, and messages come as
 * they are published, and not when somebody looks by itself after 0.1 s. (membarrier(2): fences.c.)
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomic.h"
#include "refuse.h"
#include "traffic.h"

#define MESSAGES 200u
#define LENGTH_MAX 100u
#define PAUSE_MAX_NS 3000000
#define LATE_NS (20 * MS)
#define SYS_FUTEX_WAITV 449

static shared64 *sent_ns; /* of each message */

struct receiver {
    mapring_consumer *consumer;
    uint64_t sequence;
    uint64_t late;
    bool ended;
};

static struct receiver receiver_open(uint32_t kind)
{
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = kind, .start = MAPRING_FROM_OLDEST, .timeout_ns = 20 * SECOND};
    struct receiver receiver = {0};
    CHECK_STATUS(mapring_consumer_open(RING, &options, &receiver.consumer), MAPRING_OK);
    return receiver;
}

static void receiver_close(struct receiver *receiver)
{
    CHECK(receiver->sequence == MESSAGES, "%" PRIu64 " messages", receiver->sequence);
    CHECK(receiver->late < MESSAGES / 2, "%" PRIu64 " messages came late", receiver->late);
    mapring_consumer_close(receiver->consumer);
}

/* Everything that is there; or waits for something. */
static void receive(struct receiver *receiver, int64_t timeout_ns)
{
    for (;;) {
        mapring_message message;
        int32_t status = mapring_read(receiver->consumer, &message, 1, timeout_ns);
        receiver->ended = status == MAPRING_STREAM_ENDED;
        if (status == 0 || receiver->ended)
            return;
        CHECK_STATUS(status, 1);
        check_message(&message, receiver->sequence, LENGTH_MAX);
        uint64_t sent = load64_relaxed(&sent_ns[receiver->sequence++]);
        receiver->late += now_ns() - (int64_t)sent > LATE_NS;
        CHECK_STATUS(mapring_release(receiver->consumer, 1), MAPRING_OK);
    }
}

static void by_reading(void *unused)
{
    (void)unused;
    struct receiver receiver = receiver_open(MAPRING_RELIABLE);
    while (!receiver.ended)
        receive(&receiver, 10 * SECOND);
    receiver_close(&receiver);
}

static void by_observing(void *unused)
{
    (void)unused;
    struct receiver receiver = receiver_open(MAPRING_OBSERVER);
    while (!receiver.ended)
        receive(&receiver, 10 * SECOND);
    receiver_close(&receiver);
}

static bool futexes_are_refused;

static void by_polling(void *unused)
{
    (void)unused;
    struct receiver receiver = receiver_open(MAPRING_RELIABLE);
    int64_t descriptor;
    int32_t method = mapring_consumer_descriptor(receiver.consumer, MAPRING_DESCRIPTOR_ANY, &descriptor);
    CHECK(method > 0, "a descriptor: %s", mapring_status_name(method));
    CHECK(!futexes_are_refused || method == MAPRING_DESCRIPTOR_WAKE, "method %d", (int)method);
    mapring_consumer_info info[4];
    mapring_ring_info ring = {.struct_size = sizeof ring};
    int32_t count = mapring_stat(RING, NULL, &ring, info, 4);
    bool visible = false;
    for (int32_t i = 0; i < count; i++)
        visible |= info[i].pid == (uint32_t)getpid() && info[i].descriptor == (uint32_t)method;
    CHECK(visible, "nobody can see which method is in use");
    receive(&receiver, 0);
    while (!receiver.ended) {
        struct pollfd poller = {.fd = (int)descriptor, .events = POLLIN};
        int ready = poll(&poller, 1, 10000);
        CHECK(ready == 1 || (ready < 0 && errno == EINTR), "nothing to read for 10 s");
        receive(&receiver, 0);
    }
    receiver_close(&receiver);
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
    if (with_descriptor)
        CHECK_STATUS(mapring_wait_set_add_descriptor(set, ends[0], MAPRING_EVENT_READABLE, 8), MAPRING_OK);
    while (!receiver.ended) {
        mapring_ready ready;
        CHECK_STATUS(mapring_wait_set_wait(set, &ready, 1, 10 * SECOND), 1);
        CHECK(ready.token == 7, "token %" PRIu64, ready.token);
        receive(&receiver, 0);
    }
    mapring_wait_set_close(set);
    close(ends[0]);
    close(ends[1]);
    receiver_close(&receiver);
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

#define WAYS 5

static void every_way_works(void)
{
    static void (*const ways[WAYS])(void *) = {by_reading, by_polling, by_waiting_on_a_set, by_waiting_on_a_mixed_set,
                                               by_observing};
    pid_t children[WAYS];
    sent_ns = shared_memory(MESSAGES * sizeof *sent_ns);
    mapring_producer *producer = open_producer(4096, WAYS);
    for (int i = 0; i < WAYS; i++)
        children[i] = spawn(ways[i], NULL);
    CHECK_STATUS(mapring_wait_consumers(producer, WAYS - 1, 20 * SECOND), MAPRING_OK);
    uint64_t random = 11;
    for (uint64_t sequence = 0; sequence < MESSAGES; sequence++) {
        sleep_random(&random, PAUSE_MAX_NS);
        store64_relaxed(&sent_ns[sequence], (uint64_t)now_ns());
        publish_message(producer, sequence, LENGTH_MAX);
    }
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    for (int i = 0; i < WAYS; i++)
        join(children[i]);
    mapring_producer_close(producer);
}

static void without(const long *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        refuse(calls[i]);
    every_way_works();
}

#define WITHOUT(...) without((const long[]){__VA_ARGS__}, sizeof((const long[]){__VA_ARGS__}) / sizeof(long))

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
        {"a_death_without_pidfd_open", a_death_without_pidfd_open},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
