/*
 * A program that has an io_uring of its own waits for messages with it, beside what else it waits for.
 */
#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <string.h>

#include "traffic.h"

#define MAX 512u
#define MESSAGES 20000u

enum { NEWS = 1, TIME = 2 };

static void publish_stream(void *unused)
{
    (void)unused;
    mapring_producer *producer = open_producer(1 << 14, 2);
    uint64_t random = 3;
    CHECK_STATUS(mapring_wait_consumers(producer, 1, 20 * SECOND), MAPRING_OK);
    for (uint64_t sequence = 0; sequence < MESSAGES * test_length(); sequence++) {
        if (sequence % 4 == 0)
            spin_ns((int64_t)(random_next(&random) % 30000));
        publish_message(producer, sequence, MAX);
    }
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK_STATUS(mapring_drain(producer, 20 * SECOND), MAPRING_OK);
    mapring_producer_close(producer);
}

/* Waits for the next message, or for as long as the library's own waits do. How often it was the time. */
static uint64_t wait_by(struct io_uring *ring, mapring_consumer *consumer, struct __kernel_timespec *quantum)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    CHECK(entry != NULL, "no entry");
    int32_t status = mapring_consumer_prepare_wait(consumer, entry);
    if (status == 1) {
        io_uring_prep_nop(entry);
        io_uring_sqe_set_data64(entry, NEWS);
    } else {
        CHECK_STATUS(status, MAPRING_OK);
        io_uring_sqe_set_data64(entry, NEWS);
        entry->flags |= IOSQE_IO_LINK;
        entry = io_uring_get_sqe(ring);
        CHECK(entry != NULL, "no second entry");
        io_uring_prep_link_timeout(entry, quantum, 0);
        io_uring_sqe_set_data64(entry, TIME);
    }
    int expected = status == 1 ? 1 : 2;
    CHECK(io_uring_submit(ring) == expected, "nothing was submitted");
    uint64_t late = 0;
    for (int i = 0; i < expected; i++) {
        struct io_uring_cqe *completion;
        int result;
        while ((result = io_uring_wait_cqe(ring, &completion)) == -EINTR)
            ;
        CHECK(result == 0, "waiting: %s", strerror(-result));
        int outcome = completion->res;
        bool is_news = io_uring_cqe_get_data64(completion) == NEWS;
        CHECK(!is_news || outcome == 0 || outcome == -EAGAIN || outcome == -ECANCELED, "the wait: %s",
              strerror(-outcome));
        late += is_news && outcome == -ECANCELED;
        io_uring_cqe_seen(ring, completion);
    }
    return late;
}

static void stream_by_uring(void)
{
    struct io_uring ring;
    int error = -io_uring_queue_init(8, &ring, 0);
    if (error != 0)
        skip("no io_uring here");
    pid_t child = spawn(publish_stream, NULL);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    struct io_uring_sqe probe;
    if (mapring_consumer_prepare_wait(consumer, &probe) == MAPRING_UNSUPPORTED)
        skip("the kernel waits on no futex by io_uring");
    struct __kernel_timespec quantum = {.tv_nsec = 100000000};
    uint64_t sequence = 0, late = 0;
    int32_t status = 0;
    while (status != MAPRING_STREAM_ENDED) {
        mapring_message messages[16];
        while ((status = mapring_read(consumer, messages, 16, 0)) > 0) {
            for (int32_t i = 0; i < status; i++)
                check_message(&messages[i], sequence++, MAX);
            CHECK_STATUS(mapring_release(consumer, (uint32_t)status), MAPRING_OK);
        }
        CHECK(status == 0 || status == MAPRING_STREAM_ENDED, "%s", mapring_status_name(status));
        if (status == 0)
            late += wait_by(&ring, consumer, &quantum);
    }
    CHECK(sequence == MESSAGES * test_length(), "%" PRIu64 " messages", sequence);
    /* The producer never pauses for so long; a busy machine may, now and then. */
    CHECK(late < 5, "%" PRIu64 " waits were not over before their time", late);
    mapring_consumer_close(consumer);
    io_uring_queue_exit(&ring);
    join(child);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {{"stream_by_uring", stream_by_uring}};
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 120);
}
