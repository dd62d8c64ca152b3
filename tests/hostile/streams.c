/*
 * A peer that writes anything anywhere, at any time: the others get statuses.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foreign.h"
#include "record.h"
#include "rings.h"

TestSuite(streams, .timeout = 120);

/* Sees that every byte of a message can be read. */
static uint64_t touch(const mapring_message *messages, int32_t count)
{
    uint64_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < messages[i].length; j++)
            sum += ((const uint8_t *)messages[i].data)[j];
    return sum;
}

static uint64_t successes, complaints;

static bool is_known(int32_t status)
{
    successes += status > 0;
    complaints += status == MAPRING_CORRUPT;
    return strcmp(mapring_status_name(status), "MAPRING_UNKNOWN") != 0;
}

/* What the calls of a stream may say, whatever the others did. */
static void expect(const char *call, int32_t status)
{
    bool expected = status >= 0 || status == MAPRING_FULL || status == MAPRING_TIMEOUT || status == MAPRING_CORRUPT ||
                    status == MAPRING_STREAM_ENDED || status == MAPRING_NO_PRODUCER ||
                    status == MAPRING_BUFFER_TOO_SMALL || status == MAPRING_UNRELEASED;
    cr_assert(is_known(status) && expected, "%s: %s", call, mapring_status_name(status));
}

#define CALL(call) expect(#call, call)

struct victim {
    struct ends ends;
    uint64_t random;
    uint32_t held;
    int64_t patience_ns;   /* the longest that a call waits */
    volatile uint64_t sum; /* so that reading the messages is not optimised away */
};

/* Most calls do not wait. */
static int64_t time_limit(struct victim *victim)
{
    return random_next(&victim->random) % 4 == 0
               ? (int64_t)(random_next(&victim->random) & INT64_MAX) % (victim->patience_ns + 1)
               : 0;
}

static void publish_something(struct victim *victim)
{
    static const uint8_t bytes[1024];
    mapring_producer *producer = victim->ends.producer;
    uint64_t length = random_next(&victim->random) % 1025;
    if (random_next(&victim->random) % 8 != 0)
        length %= 64;
    mapring_message batch[4] = {{.data = bytes, .length = length}, {.data = bytes, .length = 8}, {0}, {0}};
    void *payload;
    switch (random_next(&victim->random) % 6) {
    case 0:
        CALL(mapring_publish_batch(producer, batch, 4, time_limit(victim)));
        break;
    case 1:
        if (mapring_claim(producer, length, time_limit(victim), &payload) == MAPRING_OK) {
            memset(payload, 1, length);
            cr_assert_status(mapring_commit(producer, length / 2, 0, 0), MAPRING_OK);
        }
        break;
    case 2: {
        int32_t granted = mapring_claim_batch(producer, batch, 4, time_limit(victim));
        CALL(granted);
        for (int32_t i = 0; i < granted; i++)
            memset((void *)(uintptr_t)batch[i].data, 1, batch[i].length);
        if (granted > 0)
            cr_assert_status(mapring_commit_batch(producer, batch, (uint32_t)granted), MAPRING_OK);
        break;
    }
    default:
        CALL(mapring_publish(producer, bytes, length, 7, (uint32_t)random_next(&victim->random) % 2,
                             time_limit(victim)));
    }
}

static void read_something(struct victim *victim)
{
    static uint8_t buffer[4096];
    mapring_consumer *consumer = victim->ends.consumer;
    mapring_message messages[8];
    if (random_next(&victim->random) % 3 == 0) {
        int32_t found = mapring_receive(consumer, buffer, sizeof buffer, messages, 8, time_limit(victim));
        CALL(found);
        victim->sum += touch(messages, found);
        if (found == MAPRING_BUFFER_TOO_SMALL)
            CALL(mapring_read(consumer, messages, 1, 0));
        if (found == MAPRING_BUFFER_TOO_SMALL)
            victim->held++;
    } else {
        int32_t found = mapring_read(consumer, messages, 8, time_limit(victim));
        CALL(found);
        victim->sum += touch(messages, found);
        victim->held += found > 0 ? (uint32_t)found : 0;
    }
    uint32_t count = (uint32_t)(random_next(&victim->random) % (victim->held + 1));
    cr_assert_status(mapring_release(consumer, count), MAPRING_OK);
    victim->held -= count;
}

static void open_another(struct victim *victim)
{
    mapring_consumer_options options = {.struct_size = sizeof options,
                                        .start = (uint32_t)random_next(&victim->random) % 2};
    mapring_consumer *consumer;
    int32_t status = mapring_consumer_open(victim->ends.name, &options, &consumer);
    cr_assert(is_known(status));
    if (status < 0)
        return;
    mapring_message messages[8];
    int32_t found = mapring_read(consumer, messages, 8, 0);
    CALL(found);
    victim->sum += touch(messages, found);
    mapring_consumer_close(consumer);
}

static void look(struct victim *victim)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    mapring_consumer_info consumers[70];
    cr_assert(is_known(mapring_stat(victim->ends.name, NULL, &info, consumers, 70)));
}

static void step(struct victim *victim)
{
    switch (random_next(&victim->random) % 40) {
    case 0:
        open_another(victim);
        break;
    case 1:
        look(victim);
        break;
    case 2:
        CALL(mapring_wait_consumers(victim->ends.producer, 2, time_limit(victim)));
        break;
    case 3:
        CALL(mapring_drain(victim->ends.producer, time_limit(victim)));
        break;
    case 4:
        CALL(mapring_end_run(victim->ends.producer));
        break;
    default:
        if (random_next(&victim->random) % 2 == 0)
            publish_something(victim);
        else
            read_something(victim);
    }
}

/* The producer goes; another may or may not come, but nothing breaks. */
static void finish(struct victim *victim)
{
    mapring_producer_close(victim->ends.producer);
    victim->ends.producer = NULL;
    mapring_producer_options options = {.struct_size = sizeof options};
    int32_t status = mapring_producer_open(victim->ends.name, &options, &victim->ends.producer);
    cr_assert(is_known(status));
    if (status >= 0)
        for (int i = 0; i < 100; i++)
            publish_something(victim);
    for (int i = 0; i < 100; i++)
        read_something(victim);
    mapring_producer_close(victim->ends.producer);
    mapring_consumer_close(victim->ends.consumer);
}

static uint64_t some_seed(void)
{
    const char *given = getenv("MAPRING_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)now_ns();
    fprintf(stderr, "MAPRING_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Where a peer writes. */
enum part { IDENTITY, PRODUCER_LINES, INDEX, DATA, READERS, ANYWHERE };

static void write_evil(const struct segment_view *view, enum part part, uint64_t *random)
{
    const struct {
        void *words;
        uint64_t count;
    } targets[] = {
        [IDENTITY] = {view->identity, sizeof(struct identity) / 8},
        [PRODUCER_LINES] = {view->stream, (offsetof(struct stream, producer_pid) + 8) / 8},
        [INDEX] = {view->stream->index, sizeof view->stream->index / 8},
        [DATA] = {view->data, 4096 / 8},
        [READERS] = {view->readers, view->readers_size / 8},
    };
    uint64_t target = part == ANYWHERE ? random_next(random) % ANYWHERE : part;
    uint64_t position = view->stream->index[random_next(random) % STRIDE_COUNT].position.word;
    uint64_t *words = targets[target].words;
    words[random_next(random) % targets[target].count] = evil_word(random, position, 4096);
}

/* Between two calls of the victim's the peer writes: every failure can be repeated. */
static void write_between_calls(enum part part, uint64_t rounds)
{
    uint64_t seed = some_seed();
    for (uint64_t round = 0; round < rounds * test_length(); round++) {
        struct victim victim = {.ends = open_ends(4096), .random = seed + round};
        char path[512];
        path_of_name(path, victim.ends.name);
        struct segment_view view = view_segment(path);
        for (int i = 0; i < 200; i++) {
            step(&victim);
            if (i > 20 && random_next(&victim.random) % 4 == 0)
                write_evil(&view, part, &victim.random);
        }
        finish(&victim);
        unview_segment(&view);
        /* The identity may be spoilt, so that nobody dares to remove what is left. */
        unlink(path);
    }
    fprintf(stderr, "%llu calls went well, %llu found damage\n", (unsigned long long)successes,
            (unsigned long long)complaints);
    cr_assert_gt(successes, 0);
    cr_assert((part != DATA && part != ANYWHERE) || complaints > 0, "the writes went unnoticed");
}

Test(streams, writes_to_the_readers)
{
    write_between_calls(READERS, 1000);
}

Test(streams, writes_to_the_lines_of_the_producer)
{
    write_between_calls(PRODUCER_LINES, 1000);
}

Test(streams, writes_to_the_index)
{
    write_between_calls(INDEX, 1000);
}

Test(streams, writes_to_the_data)
{
    write_between_calls(DATA, 1000);
}

Test(streams, writes_anywhere)
{
    write_between_calls(ANYWHERE, 1000);
}

/* While the victim works, the peer writes as fast as it can: words change between two looks at them. */
static void write_all_the_time(enum part part)
{
    uint64_t seed = some_seed();
    int64_t end = now_ns() + 1500 * MS * (int64_t)test_length();
    for (uint64_t round = 0; now_ns() < end; round++) {
        struct victim victim = {.ends = open_ends(4096), .random = seed + round, .patience_ns = MS};
        char path[512];
        path_of_name(path, victim.ends.name);
        struct segment_view view = view_segment(path);
        pid_t parent = getpid();
        pid_t peer = fork();
        if (peer == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
            uint64_t random = ~seed + round;
            for (;;)
                write_evil(&view, part, &random);
        }
        cr_assert_gt(peer, 0);
        /* Nothing here waits long, also where the peer rings the bells, or spoils them. */
        int64_t start = now_ns();
        for (int i = 0; i < 1000; i++)
            step(&victim);
        cr_assert_lt(now_ns() - start, 20000 * MS, "calls do not keep to their time limits");
        finish(&victim);
        kill(peer, SIGKILL);
        int status;
        cr_assert_eq(waitpid(peer, &status, 0), peer);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the peer did not last");
        unview_segment(&view);
        unlink(path);
    }
}

Test(streams, a_race_with_the_readers)
{
    write_all_the_time(READERS);
}

Test(streams, a_race_with_the_lines_of_the_producer)
{
    write_all_the_time(PRODUCER_LINES);
}

Test(streams, a_race_with_the_index)
{
    write_all_the_time(INDEX);
}

Test(streams, a_race_with_the_data)
{
    write_all_the_time(DATA);
}

Test(streams, a_race_everywhere)
{
    write_all_the_time(ANYWHERE);
}

/* Headers that no producer of ours writes. */
Test(streams, unsound_headers)
{
    const uint64_t headers[] = {
        1,                                     /* not committed */
        HEADER_COMMITTED | HEADER_LENGTH_MASK, /* beyond the end of the data */
        message_header(4096 - 7, 0),           /* by one byte */
        padding_header(4096 + 8),              /* padding beyond the end */
        HEADER_PADDING | 8,                    /* padding that is not committed */
        UINT64_MAX,                            /* all at once */
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct ends ends = open_ends(4096);
        char path[512], buffer[64];
        path_of_name(path, ends.name);
        struct segment_view view = view_segment(path);
        memcpy(view.data, &headers[i], 8);
        mapring_message message;
        for (int again = 0; again < 2; again++) {
            cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_CORRUPT);
            cr_assert_status(mapring_read(ends.consumer, &message, 1, MAPRING_FOREVER), MAPRING_CORRUPT);
            cr_assert_status(mapring_receive(ends.consumer, buffer, 64, &message, 1, 0), MAPRING_CORRUPT);
        }
        mapring_ring_info info = {.struct_size = sizeof info};
        cr_assert_status(mapring_stat(ends.name, NULL, &info, NULL, 0), MAPRING_CORRUPT);
        mapring_consumer_options newest = {.struct_size = sizeof newest, .start = MAPRING_FROM_NEWEST};
        mapring_consumer *other;
        cr_assert_status(mapring_consumer_open(ends.name, &newest, &other), MAPRING_CORRUPT);
        mapring_producer_close(ends.producer);
        cr_assert_status(mapring_producer_open(ends.name, NULL, &ends.producer), MAPRING_CORRUPT);
        ends.producer = NULL;

        /* The position has not moved. */
        uint64_t sound = message_header(8, 5);
        memcpy(view.data, &sound, 8);
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
        cr_assert_eq(message.sequence, 0);
        unview_segment(&view);
        close_ends(&ends);
    }
}

Test(streams, an_unsound_index)
{
    const uint64_t positions[] = {1, 4, 4095, UINT64_MAX - 3, NO_POSITION, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        struct ends ends = open_ends(4096);
        char path[512];
        path_of_name(path, ends.name);
        struct segment_view view = view_segment(path);
        for (uint32_t j = 0; j < STRIDE_COUNT; j++)
            view.stream->index[j].position.word = positions[i];
        mapring_ring_info info = {.struct_size = sizeof info};
        mapring_consumer *other;
        cr_assert_status(mapring_stat(ends.name, NULL, &info, NULL, 0), MAPRING_CORRUPT);
        cr_assert_status(mapring_consumer_open(ends.name, NULL, &other), MAPRING_CORRUPT);
        /* Who is in the ring already does not need the index. */
        put(&ends, 8, 0);
        take(&ends, 8, 0);
        for (uint32_t j = 0; j < STRIDE_COUNT; j++)
            view.stream->index[j].position.word = positions[i];
        mapring_producer_close(ends.producer);
        cr_assert_status(mapring_producer_open(ends.name, NULL, &ends.producer), MAPRING_CORRUPT);
        unview_segment(&view);
        mapring_consumer_close(ends.consumer);
    }
}

Test(streams, nothing_but_padding)
{
    struct ends ends = open_ends(4096);
    char path[512];
    path_of_name(path, ends.name);
    struct segment_view view = view_segment(path);
    const uint64_t sizes[] = {8, 4096, 2048, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t header = padding_header(sizes[i]);
        for (uint64_t offset = 0; offset < 4096; offset += sizes[i])
            memcpy(view.data + offset, &header, 8);
        mapring_message message;
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_CORRUPT);
        cr_assert_status(mapring_read(ends.consumer, &message, 1, MAPRING_FOREVER), MAPRING_CORRUPT);
        mapring_ring_info info = {.struct_size = sizeof info};
        cr_assert(is_known(mapring_stat(ends.name, NULL, &info, NULL, 0)));
    }
    unview_segment(&view);
    close_ends(&ends);
}

Test(streams, a_false_end)
{
    /* An end where the consumer is not, and one where it will be. */
    struct ends ends = open_ends(4096);
    char path[512];
    path_of_name(path, ends.name);
    struct segment_view view = view_segment(path);
    put(&ends, 8, 0);
    view.stream->end.word = 8;
    take(&ends, 8, 0);
    mapring_message message;
    cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 0);
    view.stream->end.word = 16;
    cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), MAPRING_STREAM_ENDED);
    view.stream->end.word = UINT64_MAX;
    put(&ends, 8, 1);
    take(&ends, 8, 1);
    unview_segment(&view);
    close_ends(&ends);
}

Test(streams, a_full_slot_table)
{
    /* Slots that claim to be taken, with every cursor in the way, but nobody behind them. */
    struct ends ends = open_ends(4096);
    char path[512];
    path_of_name(path, ends.name);
    struct segment_view view = view_segment(path);
    for (uint32_t i = 1; i < 64; i++) {
        view.readers->slots[i].cursor.word = 0;
        view.readers->slots[i].state.word = MAPRING_RELIABLE | (uint64_t)getpid() << SLOT_PID_SHIFT;
    }
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_status(mapring_publish(ends.producer, &i, 8, 0, 0, 5000 * MS), MAPRING_OK);
        mapring_message message;
        cr_assert_status(mapring_read(ends.consumer, &message, 1, 0), 1);
        cr_assert_status(mapring_release(ends.consumer, 1), MAPRING_OK);
    }
    unview_segment(&view);
    close_ends(&ends);
}
