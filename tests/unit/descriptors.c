/*
 * A consumer's descriptor: readable while there is something to read, and not otherwise, by each method that there is.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rings.h"

TestSuite(descriptors, .timeout = 30);

static const uint32_t methods[] = {MAPRING_DESCRIPTOR_FUTEX, MAPRING_DESCRIPTOR_WAKE};

#define EACH_METHOD(method)                                                                                            \
    for (uint32_t method##_ = 0, method = methods[0]; method##_ < 2; method = methods[++method##_ % 2])                \
        if (method_is_there(method))

/* The first depends on the kernel and on how the library was built. */
static bool method_is_there(uint32_t method)
{
    struct ends ends = open_ends(4096);
    int64_t descriptor;
    int32_t status = mapring_consumer_descriptor(ends.consumer, method, &descriptor);
    cr_assert(status == (int32_t)method || (method == MAPRING_DESCRIPTOR_FUTEX && status == MAPRING_UNSUPPORTED), "%s",
              mapring_status_name(status));
    close_ends(&ends);
    return status > 0;
}

static int describe(mapring_consumer *consumer, uint32_t method)
{
    int64_t descriptor = -1;
    cr_assert_status(mapring_consumer_descriptor(consumer, method, &descriptor), (int32_t)method);
    cr_assert_geq(descriptor, 0);
    return (int)descriptor;
}

static bool becomes_readable(int descriptor, int timeout_ms)
{
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    int count;
    while ((count = poll(&poller, 1, timeout_ms)) < 0)
        cr_assert_eq(errno, EINTR);
    cr_assert(count == 0 || (poller.revents & ~POLLIN) == 0, "events %x", (unsigned)poller.revents);
    return count == 1;
}

static bool is_readable(int descriptor)
{
    return becomes_readable(descriptor, 0);
}

Test(descriptors, readable_while_there_are_messages)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(1 << 16);
        int descriptor = describe(ends.consumer, method);
        cr_assert(!is_readable(descriptor));
        for (uint64_t i = 0; i < 100; i += 2) {
            put(&ends, 8, i);
            cr_assert(is_readable(descriptor), "message %d", (int)i);
            put(&ends, 8, i + 1);
            cr_assert(is_readable(descriptor));
            take(&ends, 8, i);
            cr_assert(is_readable(descriptor), "one of two is left");
            take(&ends, 8, i + 1);
            cr_assert(!is_readable(descriptor), "all are read");
        }
        close_ends(&ends);
    }
}

/* Left unreadable counts as a sleep; readable with nothing to say, as one for nothing. */
Test(descriptors, counts_as_sleeping)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        int descriptor = describe(ends.consumer, method);
        mapring_consumer_info info[2];
        mapring_ring_info ring = {.struct_size = sizeof ring};
        mapring_message message;
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 0);
        put(&ends, 8, 0);
        take(&ends, 8, 0);
        cr_assert_status(mapring_stat(ends.name, NULL, &ring, info, 2), 1);
        cr_assert(info[0].parks == 2 && info[0].spurious_wakes == 0 && info[0].wakes_avoided == 0);
        cr_assert_status(mapring_wake(ends.producer), MAPRING_OK);
        cr_assert(becomes_readable(descriptor, 1000));
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 0);
        cr_assert_status(mapring_stat(ends.name, NULL, &ring, info, 2), 1);
        cr_assert(info[0].parks == 3 && info[0].spurious_wakes == 1 && info[0].wakes_avoided == 0);
        close_ends(&ends);
    }
}

Test(descriptors, readable_before_it_was_asked_for_and_at_the_end)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        put(&ends, 8, 0);
        int descriptor = describe(ends.consumer, method);
        cr_assert(is_readable(descriptor));
        take(&ends, 8, 0);
        cr_assert(!is_readable(descriptor));
        cr_assert_status(mapring_end(ends.producer), MAPRING_OK);
        mapring_message message;
        for (int i = 0; i < 3; i++) {
            cr_assert(is_readable(descriptor));
            cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_STREAM_ENDED);
        }
        close_ends(&ends);
    }
}

Test(descriptors, receiving_keeps_it_right)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(1 << 16);
        int descriptor = describe(ends.consumer, method);
        char buffer[64];
        mapring_message messages[4];
        put(&ends, 60, 0);
        cr_assert_status(mapring_receive(ends.consumer, buffer, 8, messages, 4, 0), MAPRING_BUFFER_TOO_SMALL);
        cr_assert(is_readable(descriptor), "it is not consumed");
        cr_assert_status(mapring_receive(ends.consumer, buffer, sizeof buffer, messages, 4, 0), 1);
        cr_assert_status(mapring_receive(ends.consumer, buffer, sizeof buffer, messages, 4, 0), 0);
        cr_assert(!is_readable(descriptor));
        for (uint64_t i = 0; i < 3; i++)
            put(&ends, 8, i);
        cr_assert_status(mapring_receive(ends.consumer, buffer, sizeof buffer, messages, 2, 0), 2);
        cr_assert(is_readable(descriptor));
        cr_assert_status(mapring_receive(ends.consumer, buffer, sizeof buffer, messages, 4, 0), 1);
        cr_assert_status(mapring_receive(ends.consumer, buffer, sizeof buffer, messages, 4, 0), 0);
        cr_assert(!is_readable(descriptor));
        close_ends(&ends);
    }
}

Test(descriptors, every_kind_has_one_but_observers)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        mapring_consumer_options options[] = {
            {.struct_size = sizeof options[0], .kind = MAPRING_LOSSY},
            {.struct_size = sizeof options[0], .kind = MAPRING_MEMBER, .group = "workers"},
            {.struct_size = sizeof options[0], .own_name = "one"},
            {.struct_size = sizeof options[0], .tag_mask = 1, .tag_value = 1},
        };
        for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
            mapring_consumer *consumer;
            mapring_message message;
            cr_assert_geq(mapring_consumer_open(ends.name, &options[i], &consumer), 0);
            while (mapring_read(consumer, &message, 1, 0) == 1)
                cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
            int descriptor = describe(consumer, method);
            cr_assert(!is_readable(descriptor), "kind %d", (int)i);
            put(&ends, 8, 2 * i + 1);
            cr_assert(is_readable(descriptor), "kind %d", (int)i);
            cr_assert_status(mapring_read(consumer, &message, 1, 0), 1);
            cr_assert_status(mapring_release(consumer, 1), MAPRING_OK);
            cr_assert(!is_readable(descriptor), "kind %d", (int)i);
            mapring_consumer_close(consumer);
        }
        mapring_consumer *observer;
        mapring_consumer_options watching = {.struct_size = sizeof watching, .kind = MAPRING_OBSERVER};
        int64_t none;
        cr_assert_status(mapring_consumer_open(ends.name, &watching, &observer), MAPRING_OK);
        cr_assert_status(mapring_consumer_descriptor(observer, method, &none), MAPRING_UNSUPPORTED);
        mapring_consumer_close(observer);
        close_ends(&ends);
    }
}

struct publishing {
    mapring_producer *producer;
    uint64_t count;
};

static void *publish_slowly(void *argument)
{
    const struct publishing *publishing = argument;
    uint64_t random = 3;
    for (uint64_t i = 0; i < publishing->count; i++) {
        if (mapring_publish(publishing->producer, &i, sizeof i, 0, 0, 10000 * MS) != MAPRING_OK)
            return "publishing failed";
        for (uint64_t spins = random_next(&random) % 3000; spins > 0; spins--)
            __asm__ __volatile__("");
    }
    return mapring_end(publishing->producer) == MAPRING_OK ? NULL : "no end";
}

Test(descriptors, an_event_loop_gets_every_message_and_the_end)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        int descriptor = describe(ends.consumer, method);
        int loop = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN};
        cr_assert_eq(epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event), 0);
        struct publishing publishing = {ends.producer, 20000};
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, publish_slowly, &publishing), 0);
        uint64_t expected = 0;
        int32_t status = 0;
        while (status != MAPRING_STREAM_ENDED) {
            int count;
            /* The kernel interrupts who closed an io_uring a moment ago. */
            while ((count = epoll_wait(loop, &event, 1, 10000)) < 0)
                cr_assert_eq(errno, EINTR);
            cr_assert_eq(count, 1, "asleep before message %d", (int)expected);
            mapring_message messages[16];
            while ((status = mapring_read(ends.consumer, messages, 16, 0)) > 0) {
                for (int32_t i = 0; i < status; i++)
                    cr_assert_eq(messages[i].sequence, expected++);
                cr_assert_status(mapring_release(ends.consumer, (uint32_t)status), MAPRING_OK);
            }
            cr_assert(status == 0 || status == MAPRING_STREAM_ENDED, "%s", mapring_status_name(status));
        }
        cr_assert_eq(expected, publishing.count);
        void *failure;
        pthread_join(thread, &failure);
        cr_assert_null(failure);
        close(loop);
        close_ends(&ends);
    }
}

Test(descriptors, a_watermark_counts)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(1 << 16);
        int descriptor = describe(ends.consumer, method);
        mapring_message messages[4];
        cr_assert_status(mapring_consumer_set_watermark(ends.consumer, 48, 20000 * MS), MAPRING_OK);
        put(&ends, 8, 0);
        take(&ends, 8, 0);
        put(&ends, 8, 1);
        cr_assert(!is_readable(descriptor), "16 of 48 bytes");
        put(&ends, 8, 2);
        put(&ends, 8, 3);
        cr_assert(is_readable(descriptor));
        cr_assert_status(mapring_read(ends.consumer, messages, 4, 0), 3);
        cr_assert_status(mapring_release(ends.consumer, 3), MAPRING_OK);

        /* The time, and after it the first message. */
        cr_assert_status(mapring_consumer_set_watermark(ends.consumer, 48, 50 * MS), MAPRING_OK);
        put(&ends, 8, 4);
        take(&ends, 8, 4);
        int64_t start = now_ns();
        put(&ends, 8, 5);
        cr_assert(becomes_readable(descriptor, 10000));
        cr_assert_geq(now_ns() - start, 20 * MS);
        take(&ends, 8, 5);
        cr_assert(becomes_readable(descriptor, 10000), "the time is over");
        cr_assert_status(mapring_read(ends.consumer, messages, 4, 0), 0);
        put(&ends, 8, 6);
        cr_assert(is_readable(descriptor), "the first after a silence");
        close_ends(&ends);
    }
}

/* What a blocking call asks for meanwhile is not what the descriptor waits for afterwards. */
Test(descriptors, a_watermark_and_a_blocking_call)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(1 << 16);
        mapring_message message;
        cr_assert_status(mapring_consumer_set_watermark(ends.consumer, 48, 50 * MS), MAPRING_OK);
        int descriptor = describe(ends.consumer, method);
        cr_assert(becomes_readable(descriptor, 10000), "the time is over");
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 0);
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 20 * MS), 0);
        put(&ends, 8, 1);
        int64_t start = now_ns();
        cr_assert(becomes_readable(descriptor, 10000));
        cr_assert_lt(now_ns() - start, 800 * MS);
        take(&ends, 8, 1);
        close_ends(&ends);
    }
}

struct handed_on {
    mapring_consumer *consumer;
    int descriptor;
    uint64_t seed;
};

static void *read_elsewhere(void *argument)
{
    const struct handed_on *handed_on = argument;
    mapring_message message;
    struct pollfd poller = {.fd = handed_on->descriptor, .events = POLLIN};
    int32_t status = 0;
    /* It may have been readable for the end of what the last thread left in the kernel. */
    while (status == 0) {
        if (poll(&poller, 1, 10000) == 0)
            return "asleep";
        status = mapring_read(handed_on->consumer, &message, 1, 0);
    }
    if (status != 1 || !payload_matches(message.data, message.length, handed_on->seed))
        return "no message";
    return mapring_release(handed_on->consumer, 1) == MAPRING_OK ? NULL : "no release";
}

/* One thread at a time, but not always the same. */
Test(descriptors, other_threads_read_on)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        struct handed_on handed_on = {.consumer = ends.consumer, .descriptor = describe(ends.consumer, method)};
        for (handed_on.seed = 0; handed_on.seed < 20; handed_on.seed++) {
            put(&ends, 8, handed_on.seed);
            void *failure = NULL;
            pthread_t thread;
            if (handed_on.seed % 3 == 0) {
                failure = read_elsewhere(&handed_on);
            } else {
                cr_assert_eq(pthread_create(&thread, NULL, read_elsewhere, &handed_on), 0);
                pthread_join(thread, &failure);
            }
            cr_assert_null(failure, "message %d: %s", (int)handed_on.seed, (const char *)failure);
        }
        close_ends(&ends);
    }
}

/* What it took and has not read is there, though the group has nothing more. */
Test(descriptors, a_member_with_messages_left)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        mapring_consumer_options options = {.struct_size = sizeof options, .kind = MAPRING_MEMBER, .group = "workers"};
        mapring_consumer *member;
        mapring_message messages[4];
        char buffer[16];
        cr_assert_geq(mapring_consumer_open(ends.name, &options, &member), 0);
        int descriptor = describe(member, method);
        for (uint64_t i = 0; i < 4; i++)
            put(&ends, 16, i);
        /* It takes all four, and there is room for one. */
        for (uint64_t i = 0; i < 4; i++) {
            cr_assert(becomes_readable(descriptor, 10000), "message %d", (int)i);
            cr_assert_status(mapring_receive(member, buffer, sizeof buffer, messages, 4, 0), 1);
        }
        mapring_consumer_close(member);
        close_ends(&ends);
    }
}

static void *cancel_soon(void *consumer)
{
    mapring_consumer_cancel(consumer);
    return NULL;
}

Test(descriptors, cancelling_shows)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        int descriptor = describe(ends.consumer, method);
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, ends.consumer), 0);
        cr_assert(becomes_readable(descriptor, 10000));
        mapring_message message;
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_CANCELLED);
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 0);
        cr_assert(!is_readable(descriptor));
        pthread_join(thread, NULL);
        close_ends(&ends);
    }
}

Test(descriptors, a_producer_that_leaves_is_told)
{
    EACH_METHOD(method)
    {
        struct ends ends = open_ends(4096);
        int descriptor = describe(ends.consumer, method);
        mapring_message message;
        mapring_producer_close(ends.producer);
        int32_t status = 0;
        int64_t end = now_ns() + 10000 * MS;
        while (status == 0 && now_ns() < end) {
            cr_assert(becomes_readable(descriptor, 10000));
            status = mapring_read(ends.consumer, &message, 1, 0);
        }
        cr_assert_status(status, MAPRING_NO_PRODUCER);
        /* A successor wakes it. */
        ends.producer = open_producer(ends.name, 0);
        put(&ends, 8, 1);
        cr_assert(is_readable(descriptor));
        take(&ends, 8, 1);
        close_ends(&ends);
    }
}

Test(descriptors, what_is_refused)
{
    struct ends ends = open_ends(4096);
    int64_t descriptor, again;
    cr_assert_status(mapring_consumer_descriptor(NULL, 0, &descriptor), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_descriptor(ends.consumer, 0, NULL), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_descriptor(ends.consumer, 3, &descriptor), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_descriptor(ends.consumer, MAPRING_DESCRIPTOR_WAKE, &descriptor),
                     MAPRING_DESCRIPTOR_WAKE);
    cr_assert_status(mapring_consumer_descriptor(ends.consumer, MAPRING_DESCRIPTOR_FUTEX, &again),
                     MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_descriptor(ends.consumer, MAPRING_DESCRIPTOR_ANY, &again),
                     MAPRING_DESCRIPTOR_WAKE);
    cr_assert_eq(descriptor, again);
    mapring_ring_info info = {.struct_size = sizeof info};
    mapring_consumer_info consumer;
    cr_assert_status(mapring_stat(ends.name, NULL, &info, &consumer, 1), 1);
    cr_assert_eq(consumer.descriptor, MAPRING_DESCRIPTOR_WAKE);
    close_ends(&ends);
}

/* For who has an io_uring: what the entry asks of the kernel. */
Test(descriptors, an_entry_is_prepared_when_there_is_nothing_to_read)
{
    struct ends ends = open_ends(4096);
    struct io_uring_sqe entry = {.opcode = 99};
    int32_t status = mapring_consumer_prepare_wait(ends.consumer, &entry);
    if (status == MAPRING_UNSUPPORTED) {
        cr_skip_test("the kernel waits on no futex by io_uring");
    }
    cr_assert_status(status, MAPRING_OK);
    cr_assert_neq(entry.opcode, 99);
    cr_assert_neq(entry.addr, 0);
    put(&ends, 8, 0);
    struct io_uring_sqe untouched = {.opcode = 99};
    cr_assert_status(mapring_consumer_prepare_wait(ends.consumer, &untouched), 1);
    cr_assert_eq(untouched.opcode, 99);
    cr_assert_status(mapring_consumer_prepare_wait(NULL, &entry), MAPRING_INVALID_ARGUMENT);
    cr_assert_status(mapring_consumer_prepare_wait(ends.consumer, NULL), MAPRING_INVALID_ARGUMENT);
    close_ends(&ends);
}
