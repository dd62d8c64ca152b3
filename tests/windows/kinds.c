/*
 * Consumers of every kind, and producers that hand over, in processes of their own; some are killed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "opening.h"

#define PATIENCE_NS ((int64_t)60 * 1000000000)
#define MOMENT_NS 100000000
#define CAPACITY 65536u
#define BATCH 16
#define LENGTH_MAX 600u
#define MESSAGES 5000u

/* Messages that tell who they are: their number, and bytes that follow from it. */

static uint64_t length_of(uint64_t sequence)
{
    return sizeof sequence + sequence * 7919 % (LENGTH_MAX - sizeof sequence);
}

static void publish(mapring_producer *producer, uint64_t first, uint64_t count, int64_t timeout_ns)
{
    uint8_t message[LENGTH_MAX];
    for (uint64_t sequence = first; sequence < first + count; sequence++) {
        memset(message, (uint8_t)sequence, sizeof message);
        memcpy(message, &sequence, sizeof sequence);
        if (!CHECK_IS(mapring_publish(producer, message, length_of(sequence), (uint32_t)sequence, 0, timeout_ns),
                      MAPRING_OK))
            return;
    }
}

static bool is_right(const mapring_message *message)
{
    uint64_t sequence;
    if (message->length != length_of(message->sequence) || message->tag != (uint32_t)message->sequence)
        return false;
    memcpy(&sequence, message->data, sizeof sequence);
    const uint8_t *bytes = message->data;
    for (uint64_t i = sizeof sequence; i < message->length; i++)
        if (bytes[i] != (uint8_t)sequence)
            return false;
    return sequence == message->sequence;
}

static mapring_producer *create_ring(const char *name, const mapring_producer_options *more)
{
    mapring_producer_options options = more != NULL ? *more : (mapring_producer_options){.capacity = CAPACITY};
    options.struct_size = sizeof options;
    mapring_producer *producer = NULL;
    CHECK_IS(mapring_producer_open(name, &options, &producer), 0);
    return producer;
}

/* Consumers. */

/* What came of each message, in shared memory: how often it was received and released. */
static volatile LONG *board_of(const char *name)
{
    mapring_segment *segment = NULL;
    mapring_segment_options options = {.struct_size = sizeof options, .size = MESSAGES * sizeof(LONG)};
    /* It stays open as long as the process. */
    return mapring_segment_open(name, &options, &segment) < 0 ? NULL : (void *)map_all(segment, 0);
}

static mapring_consumer *attach(const char *name, const char *kind, const char *own, int32_t *status)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = PATIENCE_NS};
    options.kind = strcmp(kind, "lossy") == 0      ? MAPRING_LOSSY
                   : strcmp(kind, "observer") == 0 ? MAPRING_OBSERVER
                   : strcmp(kind, "member") == 0   ? MAPRING_MEMBER
                                                   : MAPRING_RELIABLE;
    if (options.kind == MAPRING_MEMBER)
        options.group = own;
    else if (options.kind == MAPRING_OBSERVER)
        options.file = strcmp(own, "-") == 0 ? NULL : own;
    else
        options.own_name = strcmp(own, "-") == 0 ? NULL : own;
    mapring_consumer *consumer = NULL;
    *status = mapring_consumer_open(name, &options, &consumer);
    return consumer;
}

/* A child: receives until the end, and tells what it got, lost, and had from others. Stops for the parent with
 * `stop` messages unreleased, if that is not 0. */
static int follow(const char *name, const char *kind, const char *own, const char *board_name, const char *stop)
{
    int32_t status;
    mapring_consumer *consumer = attach(name, kind, own, &status);
    tell(status == MAPRING_RESUMED ? "resumed" : mapring_status_name(status));
    volatile LONG *board = board_of(board_name);
    if (consumer == NULL || board == NULL)
        return 1;
    uint64_t got = 0, marked = 0, next = 0;
    uint64_t to_stop = strtoull(stop, NULL, 10);
    if (to_stop == 0)
        await_parent();
    for (;;) {
        mapring_message messages[BATCH];
        static uint8_t copies[BATCH * (LENGTH_MAX + 8)];
        int32_t count = to_stop > 0
                            ? mapring_read(consumer, messages, to_stop < BATCH ? (uint32_t)to_stop : BATCH, PATIENCE_NS)
                            : mapring_receive(consumer, copies, sizeof copies, messages, BATCH, PATIENCE_NS);
        if (count == MAPRING_STREAM_ENDED)
            break;
        if (count == MAPRING_NO_PRODUCER || count == MAPRING_LAPPED)
            continue;
        if (count == MAPRING_EVICTED) {
            tell("evicted");
            status = mapring_rejoin(consumer);
            continue;
        }
        if (count <= 0 || status < 0)
            return 2;
        for (int32_t i = 0; i < count; i++, got++) {
            if (!is_right(&messages[i]) || messages[i].sequence >= MESSAGES ||
                (got > 0 && messages[i].sequence < next && messages[i].flags == 0))
                return 3;
            next = messages[i].sequence + 1;
            marked += messages[i].flags == MAPRING_REDELIVERED;
        }
        if (to_stop > 0) {
            char line[LINE_SIZE];
            snprintf(line, sizeof line, "holds %d", count);
            tell(line);
            await_parent();
            to_stop = 0;
            got -= (uint64_t)count;
            status = mapring_release(consumer, (uint32_t)count);
            if (status == MAPRING_EVICTED)
                continue;
            got += (uint64_t)count;
        }
        for (int32_t i = 0; i < count; i++)
            InterlockedIncrement(&board[messages[i].sequence]);
    }
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    if (mapring_progress(consumer, &progress) < 0)
        return 4;
    char line[LINE_SIZE];
    snprintf(line, sizeof line, "%llu %llu %llu %llu", (unsigned long long)got,
             (unsigned long long)(progress.lost_messages + progress.torn_messages), (unsigned long long)marked,
             (unsigned long long)progress.epoch);
    tell(line);
    mapring_consumer_close(consumer);
    return 0;
}

struct outcome {
    unsigned long long got, lost, marked, epoch;
};

static struct outcome outcome_of(struct child *child)
{
    struct outcome outcome = {0, 0, 0, 0};
    char line[LINE_SIZE];
    read_line(child, line);
    if (!CHECK(sscanf(line, "%llu %llu %llu %llu", &outcome.got, &outcome.lost, &outcome.marked, &outcome.epoch) == 4))
        printf("a child said '%s'\n", line);
    CHECK_IS(end_child(child), 0);
    return outcome;
}

static struct child start_follower(const char *name, const char *kind, const char *own, const char *board,
                                   const char *stop)
{
    const char *arguments[] = {"follow", name, kind, own, board, stop, NULL};
    return start_child(NULL, arguments);
}

static void let_go_on(struct child *child)
{
    CHECK(write_child(child, "\n", 1));
}

/* How many messages were received and released other than `times` times. */
static int64_t others_than(volatile LONG *board, LONG times)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < MESSAGES; i++)
        count += board[i] != times;
    return count;
}

/* Tests. */

static void follow_without_waiting(const char *kind, const char *file)
{
    char name[NAME_SIZE], board_name[NAME_SIZE];
    unique_name(name, kind);
    unique_name(board_name, "board");
    volatile LONG *board = board_of(board_name);
    mapring_producer *producer = create_ring(name, &(mapring_producer_options){.capacity = CAPACITY, .file = file});
    struct child child = start_follower(name, kind, file != NULL ? file : "-", board_name, "0");
    expect_line(&child, "MAPRING_OK");
    mapring_ring_info info = {.struct_size = sizeof info};
    CHECK_IS(mapring_stat(name, NULL, &info, NULL, 0), 0);
    CHECK_IS(info.consumers, strcmp(kind, "lossy") == 0);
    /* It has not read yet, and nobody waits for it. */
    publish(producer, 0, MESSAGES / 2, 0);
    let_go_on(&child);
    publish(producer, MESSAGES / 2, MESSAGES / 2, 0);
    CHECK_IS(mapring_end(producer), MAPRING_OK);
    struct outcome outcome = outcome_of(&child);
    CHECK_IS((int64_t)(outcome.got + outcome.lost), MESSAGES);
    CHECK(outcome.got > 0 && outcome.lost > 0 && outcome.marked == 0);
    CHECK_IS(others_than(board, 0), (int64_t)outcome.got);
    printf("%s: %llu of %u received\n", kind, outcome.got, MESSAGES);
    mapring_producer_close(producer);
}

static void lossy_consumers_are_told_what_they_lost(void)
{
    follow_without_waiting("lossy", NULL);
}

static void observers_are_not_seen(void)
{
    char path[PATH_SIZE];
    unique_path(path, "observed");
    follow_without_waiting("observer", NULL);
    follow_without_waiting("observer", path);
    CHECK(DeleteFileA(path));
}

static void a_killed_member_is_inherited(void)
{
    char name[NAME_SIZE], board_name[NAME_SIZE];
    unique_name(name, "group");
    unique_name(board_name, "board");
    volatile LONG *board = board_of(board_name);
    mapring_producer *producer = create_ring(name, NULL);
    publish(producer, 0, 100, 0);
    struct child victim = start_follower(name, "member", "workers", board_name, "5");
    expect_line(&victim, "MAPRING_OK");
    expect_line(&victim, "holds 5");
    struct child heir = start_follower(name, "member", "workers", board_name, "0");
    expect_line(&heir, "resumed");
    let_go_on(&heir);
    kill_child(&victim);
    end_child(&victim);
    publish(producer, 100, MESSAGES - 100, PATIENCE_NS);
    CHECK_IS(mapring_end(producer), MAPRING_OK);
    struct outcome outcome = outcome_of(&heir);
    CHECK_IS((int64_t)outcome.got, MESSAGES);
    CHECK_IS((int64_t)outcome.marked, 5);
    CHECK_IS(others_than(board, 1), 0);
    mapring_producer_close(producer);
}

static void members_share_the_work(void)
{
    char name[NAME_SIZE], board_name[NAME_SIZE];
    unique_name(name, "share");
    unique_name(board_name, "board");
    volatile LONG *board = board_of(board_name);
    mapring_producer *producer = create_ring(name, NULL);
    struct child members[3];
    for (int i = 0; i < 3; i++) {
        members[i] = start_follower(name, "member", "workers", board_name, "0");
        expect_line(&members[i], i == 0 ? "MAPRING_OK" : "resumed");
    }
    for (int i = 0; i < 3; i++)
        let_go_on(&members[i]);
    publish(producer, 0, MESSAGES, PATIENCE_NS);
    CHECK_IS(mapring_end(producer), MAPRING_OK);
    uint64_t got = 0;
    for (int i = 0; i < 3; i++)
        got += outcome_of(&members[i]).got;
    CHECK_IS((int64_t)got, MESSAGES);
    CHECK_IS(others_than(board, 1), 0);
    mapring_producer_close(producer);
}

static void a_named_consumer_comes_back(void)
{
    char name[NAME_SIZE], board_name[NAME_SIZE];
    unique_name(name, "named");
    unique_name(board_name, "board");
    volatile LONG *board = board_of(board_name);
    mapring_producer *producer = create_ring(name, NULL);
    publish(producer, 0, 100, 0);
    struct child first = start_follower(name, "reliable", "keeper", board_name, "7");
    expect_line(&first, "MAPRING_OK");
    expect_line(&first, "holds 7");
    int32_t status;
    CHECK(attach(name, "reliable", "keeper", &status) == NULL);
    CHECK_IS(status, MAPRING_NAME_IN_USE);
    CHECK_IS(mapring_forget(name, "keeper"), MAPRING_NAME_IN_USE);
    kill_child(&first);
    end_child(&first);

    /* It holds the producer back while it is gone. */
    uint64_t published = 100;
    void *room = NULL;
    while (mapring_claim(producer, LENGTH_MAX, 0, &room) == MAPRING_OK) {
        CHECK_IS(mapring_abandon(producer), MAPRING_OK);
        publish(producer, published++, 1, PATIENCE_NS);
        if (!CHECK(published < MESSAGES))
            break;
    }
    CHECK_IS(mapring_claim(producer, LENGTH_MAX, MOMENT_NS, &room), MAPRING_FULL);
    struct child second = start_follower(name, "reliable", "keeper", board_name, "0");
    expect_line(&second, "resumed");
    let_go_on(&second);
    publish(producer, published, MESSAGES - published, PATIENCE_NS);
    CHECK_IS(mapring_end(producer), MAPRING_OK);
    struct outcome outcome = outcome_of(&second);
    /* From where the first had released, which was nothing. */
    CHECK_IS((int64_t)outcome.got, MESSAGES);
    CHECK_IS((int64_t)outcome.lost, 0);
    CHECK_IS(others_than(board, 1), 0);
    CHECK_IS(mapring_forget(name, "keeper"), MAPRING_OK);
    CHECK_IS(mapring_forget(name, "keeper"), MAPRING_NOT_FOUND);
    mapring_producer_close(producer);
}

static void who_is_too_slow_is_evicted(void)
{
    char name[NAME_SIZE], board_name[NAME_SIZE];
    unique_name(name, "evict");
    unique_name(board_name, "board");
    volatile LONG *board = board_of(board_name);
    mapring_producer *producer = create_ring(
        name,
        &(mapring_producer_options){.capacity = CAPACITY, .slow_policy = MAPRING_SLOW_EVICT, .slow_ns = MOMENT_NS});
    publish(producer, 0, 100, 0);
    struct child slow = start_follower(name, "reliable", "-", board_name, "3");
    expect_line(&slow, "MAPRING_OK");
    expect_line(&slow, "holds 3");
    publish(producer, 100, MESSAGES - 200, PATIENCE_NS);
    let_go_on(&slow);
    expect_line(&slow, "evicted");
    publish(producer, MESSAGES - 100, 100, PATIENCE_NS);
    CHECK_IS(mapring_end(producer), MAPRING_OK);
    struct outcome outcome = outcome_of(&slow);
    CHECK_IS((int64_t)(outcome.got + outcome.lost), MESSAGES);
    CHECK(outcome.got > 0 && outcome.lost > 0);
    CHECK_IS(others_than(board, 0), (int64_t)outcome.got);
    mapring_producer_close(producer);
}

/* A child: takes the stream over when it is handed over, publishes the second half, and ends it. */
static int succeed(const char *name)
{
    mapring_producer_options options = {
        .struct_size = sizeof options,
        .mode = MAPRING_OPEN_EXISTING,
        .timeout_ns = PATIENCE_NS,
    };
    mapring_producer *producer = NULL;
    tell("waiting");
    int32_t status = mapring_producer_open(name, &options, &producer);
    tell(status == 1 ? "has it" : mapring_status_name(status));
    if (status != 1)
        return 1;
    publish(producer, MESSAGES / 2, MESSAGES / 2, PATIENCE_NS);
    mapring_end(producer);
    mapring_drain(producer, PATIENCE_NS);
    mapring_producer_close(producer);
    return 0;
}

static void a_stream_is_handed_over(void)
{
    char name[NAME_SIZE], board_name[NAME_SIZE];
    unique_name(name, "handover");
    unique_name(board_name, "board");
    volatile LONG *board = board_of(board_name);
    mapring_producer *producer = create_ring(name, NULL);
    struct child reader = start_follower(name, "reliable", "-", board_name, "0");
    expect_line(&reader, "MAPRING_OK");
    let_go_on(&reader);
    publish(producer, 0, MESSAGES / 2, PATIENCE_NS);
    CHECK_IS(mapring_handover(producer, MOMENT_NS), MAPRING_TIMEOUT);
    const char *arguments[] = {"succeed", name, NULL};
    struct child successor = start_child(NULL, arguments);
    expect_line(&successor, "waiting");
    CHECK_IS(mapring_handover(producer, PATIENCE_NS), MAPRING_OK);
    expect_line(&successor, "has it");
    CHECK_IS(mapring_publish(producer, "x", 1, 0, 0, 0), MAPRING_HANDED_OVER);
    struct outcome outcome = outcome_of(&reader);
    CHECK_IS((int64_t)outcome.got, MESSAGES);
    CHECK_IS((int64_t)outcome.lost, 0);
    CHECK_IS(others_than(board, 1), 0);
    CHECK_IS(end_child(&successor), 0);
    mapring_producer_close(producer);
}

/* A child: continues a durable ring that it knows by its name alone. */
static int continue_durable(const char *name)
{
    mapring_producer_options options = {.struct_size = sizeof options, .mode = MAPRING_OPEN_EXISTING};
    mapring_producer *producer = NULL;
    tell(mapring_status_name(mapring_producer_open(name, &options, &producer)));
    publish(producer, MESSAGES / 2, MESSAGES / 4, PATIENCE_NS);
    tell(mapring_status_name(mapring_flush(producer)));
    await_parent();
    return 0;
}

/* Who takes over by the name has the file from those who are still there, and keeps it from others. */
static void a_durable_ring_stays_durable(void)
{
    char name[NAME_SIZE], board_name[NAME_SIZE], path[PATH_SIZE];
    unique_name(name, "durable");
    unique_name(board_name, "board");
    unique_path(path, "durable");
    volatile LONG *board = board_of(board_name);
    mapring_producer_options options = {
        .capacity = CAPACITY,
        .file = path,
        .flags = MAPRING_DURABLE,
    };
    mapring_producer *producer = create_ring(name, &options);
    struct child reader = start_follower(name, "reliable", "-", board_name, "0");
    expect_line(&reader, "MAPRING_OK");
    let_go_on(&reader);
    publish(producer, 0, MESSAGES / 2, PATIENCE_NS);
    CHECK_IS(mapring_flush(producer), MAPRING_OK);
    mapring_producer_close(producer);
    const char *arguments[] = {"durable", name, NULL};
    struct child successor = start_child(NULL, arguments);
    expect_line(&successor, "MAPRING_OK");
    expect_line(&successor, "MAPRING_OK");
    HANDLE intruder = CreateFileA(path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
                                  FILE_ATTRIBUTE_NORMAL, NULL);
    CHECK(intruder == INVALID_HANDLE_VALUE && GetLastError() == ERROR_SHARING_VIOLATION);
    kill_child(&successor);
    end_child(&successor);

    /* By the path again, though the reader has the file. */
    options.struct_size = sizeof options;
    CHECK_IS(mapring_producer_open(name, &options, &producer), 1);
    publish(producer, MESSAGES / 2 + MESSAGES / 4, MESSAGES / 4, PATIENCE_NS);
    CHECK_IS(mapring_flush(producer), MAPRING_OK);
    CHECK_IS(mapring_end(producer), MAPRING_OK);
    struct outcome outcome = outcome_of(&reader);
    CHECK_IS((int64_t)outcome.got, MESSAGES);
    CHECK_IS((int64_t)outcome.epoch, 3);
    CHECK_IS(others_than(board, 1), 0);
    mapring_producer_close(producer);
    CHECK(DeleteFileA(path));
}

int main(int argc, char **argv)
{
    start_tests(240);
    if (argc == 3 && strcmp(argv[1], "durable") == 0)
        return continue_durable(argv[2]);
    if (argc == 7 && strcmp(argv[1], "follow") == 0)
        return follow(argv[2], argv[3], argv[4], argv[5], argv[6]);
    if (argc == 3 && strcmp(argv[1], "succeed") == 0)
        return succeed(argv[2]);
    run_test("lossy consumers are told what they lost", lossy_consumers_are_told_what_they_lost);
    run_test("observers are not seen", observers_are_not_seen);
    run_test("members share the work", members_share_the_work);
    run_test("a killed member is inherited", a_killed_member_is_inherited);
    run_test("a named consumer comes back", a_named_consumer_comes_back);
    run_test("who is too slow is evicted", who_is_too_slow_is_evicted);
    run_test("a stream is handed over", a_stream_is_handed_over);
    run_test("a durable ring stays durable", a_durable_ring_stays_durable);
    return finish_tests();
}
