/*
 * A real file through a ring between processes of Windows, byte for byte: in
 * memory and in a file, with deaths on either side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "roles.h"

#define CONSUMERS 3
#define CAPACITY 65536
#define PATIENCE_NS ((int64_t)60 * 1000000000)

static const char *const ways[CONSUMERS] = {"place", "one", "copy"};

/* The source: this program and libraries of the system, one behind the other. */

static char source[PATH_SIZE];
static uint64_t source_size;

static bool append_file(FILE *to, const char *path)
{
    FILE *from = fopen(path, "rb");
    if (!CHECK(from != NULL))
        return false;
    static char buffer[1 << 16];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, from)) > 0) {
        CHECK(fwrite(buffer, 1, got, to) == got);
        source_size += got;
    }
    fclose(from);
    return true;
}

static bool make_source(void)
{
    static const char *const libraries[] = {"shell32.dll", "ntdll.dll", "kernel32.dll"};
    unique_path(source, "source");
    FILE *to = fopen(source, "wb");
    char path[MAX_PATH + 16];
    GetModuleFileNameA(NULL, path, MAX_PATH);
    bool made = CHECK(to != NULL) && append_file(to, path);
    for (size_t i = 0; made && i < sizeof libraries / sizeof libraries[0]; i++) {
        UINT length = GetSystemDirectoryA(path, MAX_PATH);
        snprintf(path + length, sizeof path - length, "\\%s", libraries[i]);
        made = append_file(to, path);
    }
    return made && fclose(to) == 0 && CHECK(source_size > (4u << 20));
}

static bool same_as_source(const char *path)
{
    static char expected[1 << 16], found[1 << 16];
    FILE *one = fopen(source, "rb");
    FILE *other = fopen(path, "rb");
    bool same = one != NULL && other != NULL;
    size_t got = 1;
    while (same && got > 0) {
        got = fread(expected, 1, sizeof expected, one);
        same = fread(found, 1, sizeof found, other) == got && memcmp(expected, found, got) == 0;
    }
    if (one != NULL)
        fclose(one);
    if (other != NULL)
        fclose(other);
    return same;
}

/* A stream: its processes, and what they make. */

struct stream {
    char name[NAME_SIZE];
    char ring_file[PATH_SIZE]; /* "-": in memory */
    struct child producer;
    struct child consumers[CONSUMERS];
    char targets[CONSUMERS][PATH_SIZE];
};

static struct child start_producer(const struct stream *stream, const char *consumers, uint64_t pause)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)pause);
    const char *arguments[] = {"produce", stream->name, stream->ring_file, source, consumers, number, NULL};
    return start_child(NULL, arguments);
}

static struct child start_consumer(const char *name, const char *way, const char *target)
{
    const char *arguments[] = {"consume", name, way, target, NULL};
    return start_child(NULL, arguments);
}

/* The consumers come first, and wait for the ring. */
static void start_stream(struct stream *stream, const char *use, bool in_file, const char *consumers, uint64_t pause)
{
    unique_name(stream->name, use);
    strcpy(stream->ring_file, "-");
    if (in_file)
        unique_path(stream->ring_file, use);
    for (int i = 0; i < CONSUMERS; i++) {
        unique_path(stream->targets[i], ways[i]);
        stream->consumers[i] = start_consumer(stream->name, ways[i], stream->targets[i]);
    }
    stream->producer = start_producer(stream, consumers, pause);
    expect_line(&stream->producer, "created");
    for (int i = 0; i < CONSUMERS; i++)
        expect_line(&stream->consumers[i], "attached");
}

static mapring_ring_info stat_ring(const char *name, const char *file)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t status = mapring_stat(name, file, &info, NULL, 0);
    if (!CHECK_IS(status < 0 ? status : 0, 0))
        memset(&info, 0, sizeof info);
    return info;
}

/* The producer has drained, and waits; the consumers have ended. */
static mapring_ring_info end_stream(struct stream *stream)
{
    char line[LINE_SIZE], ended[LINE_SIZE];
    expect_line(&stream->producer, "done");
    mapring_ring_info info = stat_ring(stream->name, NULL);
    snprintf(ended, sizeof ended, "ended %llu", (unsigned long long)info.messages);
    for (int i = 0; i < CONSUMERS; i++) {
        read_line(&stream->consumers[i], line);
        CHECK(strcmp(line, ended) == 0);
        CHECK_IS(end_child(&stream->consumers[i]), 0);
        CHECK(same_as_source(stream->targets[i]));
        CHECK(DeleteFileA(stream->targets[i]));
    }
    CHECK_IS(end_child(&stream->producer), 0);
    CHECK_IS(info.ended, 1);
    CHECK_IS((int64_t)info.capacity, CAPACITY);
    int32_t status = mapring_stat(stream->name, NULL, &info, NULL, 0);
    CHECK_IS(status, MAPRING_NOT_FOUND);
    return info;
}

/* Waits until the ring has so many messages. It gets them, or the time of all tests is up. */
static void await_messages(const char *name, uint64_t messages)
{
    while (stat_ring(name, NULL).messages < messages)
        Sleep(1);
}

/* Waits until the producer has no room left for the longest message. */
static void await_full(const char *name)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    mapring_consumer_info consumers[8];
    uint64_t lag = 0;
    uint64_t position = 1;
    do {
        Sleep(20);
        int32_t count = mapring_stat(name, NULL, &info, consumers, 8);
        uint64_t before = position;
        position = info.position;
        lag = 0;
        for (int32_t i = 0; i < count; i++)
            if (consumers[i].lag_bytes > lag)
                lag = consumers[i].lag_bytes;
        if (position != before)
            lag = 0;
    } while (lag < CAPACITY - CAPACITY / 4 - CAPACITY / 64);
}

/* Tests. */

static void through_memory(void)
{
    struct stream stream;
    start_stream(&stream, "memory", false, "3", 0);
    mapring_ring_info info = end_stream(&stream);
    printf("%llu bytes in %llu messages\n", (unsigned long long)source_size, (unsigned long long)info.messages);
}

static void through_a_file(void)
{
    struct stream stream;
    start_stream(&stream, "file", true, "3", 0);
    mapring_ring_info info = end_stream(&stream);

    /* The file stays, and tells the end of the story. */
    mapring_ring_info left = stat_ring(NULL, stream.ring_file);
    CHECK_IS((int64_t)left.messages, (int64_t)info.messages);
    CHECK_IS(left.ended, 1);
    CHECK_IS(left.producer_pid, 0);
    CHECK_IS(left.consumers, 0);
    CHECK(strcmp(left.name, stream.name) == 0);

    /* It can be continued, under its name alone. */
    mapring_producer_options options = {.struct_size = sizeof options, .file = stream.ring_file};
    mapring_producer *producer;
    CHECK_IS(mapring_producer_open("another", &options, &producer), MAPRING_WRONG_NAME);
    if (CHECK_IS(mapring_producer_open(stream.name, &options, &producer), 1)) {
        left = stat_ring(stream.name, NULL);
        CHECK_IS(left.ended, 0);
        CHECK_IS((int64_t)left.epoch, 2);
        CHECK_IS(left.producer_pid, GetCurrentProcessId());
        CHECK_IS(left.producer_alive, 1);
        left = stat_ring(NULL, stream.ring_file);
        CHECK_IS(left.producer_alive, 1);
        mapring_producer_close(producer);
    }
    CHECK(DeleteFileA(stream.ring_file));
}

/* Each producer is killed while it publishes, or at the latest where it pauses, long before the end. */

#define DEATHS 4
#define LIFE 1500u

static uint64_t pause_of(uint32_t life)
{
    return life < DEATHS ? (life + 1) * LIFE + LIFE / 2 : 0;
}

static void killed_producers_are_succeeded(void)
{
    for (int in_file = 0; in_file < 2; in_file++) {
        struct stream stream;
        start_stream(&stream, "killed", in_file, "3", pause_of(0));
        for (uint32_t deaths = 1; deaths <= DEATHS; deaths++) {
            await_messages(stream.name, deaths * LIFE);
            mapring_ring_info info = stat_ring(stream.name, NULL);
            CHECK_IS(info.producer_alive, 1);
            CHECK_IS(info.producer_pid, GetProcessId(stream.producer.process));
            mapring_producer *second;
            CHECK_IS(mapring_producer_open(stream.name, NULL, &second), MAPRING_PRODUCER_EXISTS);
            kill_child(&stream.producer);
            end_child(&stream.producer);
            info = stat_ring(stream.name, NULL);
            CHECK_IS(info.producer_alive, 0);
            CHECK_IS((int64_t)info.epoch, deaths);
            stream.producer = start_producer(&stream, "3", pause_of(deaths));
            expect_line(&stream.producer, "continued");
        }
        mapring_ring_info info = end_stream(&stream);
        CHECK_IS((int64_t)info.epoch, DEATHS + 1);
        if (in_file)
            CHECK(DeleteFileA(stream.ring_file));
    }
}

static void a_killed_consumer_does_not_hold_the_producer(void)
{
    struct stream stream;
    start_stream(&stream, "deadly", false, "4", 0);
    struct child lazy = start_consumer(stream.name, "never", "-");
    expect_line(&lazy, "attached");
    await_full(stream.name);
    CHECK_IS(stat_ring(stream.name, NULL).consumers, 4);
    kill_child(&lazy);
    end_child(&lazy);
    end_stream(&stream);
}

/* Starts so many at once. Returns how many were told `wanted`; the others are to be told that there is a producer. */

#define APPLICANTS 4

static int apply_at_once(const char *name, const char *ring_file, const char *wanted)
{
    const char *arguments[] = {"apply", name, ring_file, NULL};
    struct child applicants[APPLICANTS];
    for (int i = 0; i < APPLICANTS; i++)
        applicants[i] = start_child(NULL, arguments);
    for (int i = 0; i < APPLICANTS; i++)
        expect_line(&applicants[i], "ready");
    for (int i = 0; i < APPLICANTS; i++)
        CHECK(write_child(&applicants[i], "\n", 1));
    int accepted = 0;
    for (int i = 0; i < APPLICANTS; i++) {
        char line[LINE_SIZE];
        read_line(&applicants[i], line);
        if (strcmp(line, wanted) == 0)
            accepted++;
        else if (!CHECK(strcmp(line, "MAPRING_PRODUCER_EXISTS") == 0))
            printf("an applicant was told %s\n", line);
    }
    for (int i = 0; i < APPLICANTS; i++)
        CHECK_IS(end_child(&applicants[i]), 0);
    return accepted;
}

static void one_of_many_becomes_the_producer(void)
{
    for (int round = 0; round < 5; round++) {
        char name[NAME_SIZE], path[PATH_SIZE];
        unique_name(name, "applied");
        unique_path(path, "applied");
        CHECK_IS(apply_at_once(name, "-", "created"), 1);
        CHECK_IS(apply_at_once(name, path, "created"), 1);
        CHECK_IS(apply_at_once(name, path, "continued"), 1);
        CHECK(DeleteFileA(path));
    }
}

/* Waking. Without it most turns would take the quantum of 0.1 s. */

#define TURNS 400
#define TURNS_LIMIT_MS 5000u

static void report_turns(const char *what, ULONGLONG start)
{
    ULONGLONG elapsed = GetTickCount64() - start;
    printf("%s: %d in %u ms\n", what, TURNS, (unsigned)elapsed);
    CHECK(elapsed < TURNS_LIMIT_MS);
}

static void a_waiting_consumer_is_woken(void)
{
    char there[NAME_SIZE], back[NAME_SIZE];
    unique_name(there, "there");
    unique_name(back, "back");
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = 4096};
    mapring_consumer_options patient = {.struct_size = sizeof patient, .timeout_ns = PATIENCE_NS};
    mapring_producer *producer;
    mapring_consumer *consumer;
    if (!CHECK_IS(mapring_producer_open(there, &options, &producer), 0))
        return;
    const char *arguments[] = {"echo", there, back, "0", NULL};
    struct child child = start_child(NULL, arguments);
    expect_line(&child, "attached");
    if (CHECK_IS(mapring_consumer_open(back, &patient, &consumer), MAPRING_OK)) {
        ULONGLONG start = GetTickCount64();
        for (uint32_t i = 0; i < TURNS; i++) {
            mapring_message message;
            CHECK_IS(mapring_publish(producer, &i, sizeof i, i, 0, PATIENCE_NS), MAPRING_OK);
            if (!CHECK_IS(mapring_read(consumer, &message, 1, PATIENCE_NS), 1))
                break;
            CHECK(message.tag == i && message.length == sizeof i && memcmp(message.data, &i, sizeof i) == 0);
            mapring_release(consumer, 1);
        }
        report_turns("round trips", start);
        mapring_end(producer);
        mapring_consumer_close(consumer);
    }
    CHECK_IS(end_child(&child), 0);
    mapring_producer_close(producer);
}

static void a_blocked_producer_is_woken(void)
{
    char name[NAME_SIZE];
    unique_name(name, "narrow");
    mapring_producer_options options = {.struct_size = sizeof options, .capacity = 4096};
    mapring_producer *producer;
    if (!CHECK_IS(mapring_producer_open(name, &options, &producer), 0))
        return;
    const char *arguments[] = {"echo", name, "-", "2", NULL};
    struct child child = start_child(NULL, arguments);
    expect_line(&child, "attached");
    static const char payload[1024];
    int full = 0;
    ULONGLONG start = GetTickCount64();
    for (uint32_t i = 0; i < TURNS; i++) {
        int32_t status = mapring_publish(producer, payload, sizeof payload, i, 0, 0);
        full += status == MAPRING_FULL;
        if (status == MAPRING_FULL)
            status = mapring_publish(producer, payload, sizeof payload, i, 0, PATIENCE_NS);
        CHECK_IS(status, MAPRING_OK);
    }
    report_turns("messages to a slow consumer", start);
    CHECK(full > TURNS / 2);
    mapring_end(producer);
    CHECK_IS(mapring_drain(producer, PATIENCE_NS), MAPRING_OK);
    CHECK_IS(end_child(&child), 0);
    mapring_producer_close(producer);
}

int main(int argc, char **argv)
{
    start_tests(150);
    if (argc == 7 && strcmp(argv[1], "produce") == 0)
        return produce(argv[2], argv[3], argv[4], argv[5], argv[6]);
    if (argc == 5 && strcmp(argv[1], "consume") == 0)
        return consume(argv[2], argv[3], argv[4]);
    if (argc == 5 && strcmp(argv[1], "echo") == 0)
        return echo(argv[2], argv[3], argv[4]);
    if (argc == 4 && strcmp(argv[1], "apply") == 0)
        return apply(argv[2], argv[3]);
    if (!make_source())
        return 1;
    run_test("a waiting consumer is woken", a_waiting_consumer_is_woken);
    run_test("a blocked producer is woken", a_blocked_producer_is_woken);
    run_test("one of many becomes the producer", one_of_many_becomes_the_producer);
    run_test("through memory", through_memory);
    run_test("through a file", through_a_file);
    run_test("killed producers are succeeded", killed_producers_are_succeeded);
    run_test("a killed consumer does not hold the producer", a_killed_consumer_does_not_hold_the_producer);
    DeleteFileA(source);
    return finish_tests();
}
