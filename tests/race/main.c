/*
 * Races as they can be seen with real threads: a program for each protocol, to be run under ThreadSanitizer.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

#define MESSAGES 20000u
#define TSAN_STATUS 66

static mapring_producer *producer;
static atomic_uint over; /* how many have finished what the others wait for */

static void publish_all(void)
{
    for (uint64_t i = 0; i < MESSAGES; i++)
        publish(producer, i, i % 5 == 0 ? MAPRING_MORE : 0);
    must(mapring_end(producer), "ending");
}

static mapring_consumer *open_as(uint32_t kind)
{
    return attach((mapring_consumer_options){.kind = kind, .start = MAPRING_FROM_OLDEST});
}

/* Everything comes, whoever reads how. */
static void read_all(mapring_consumer *consumer, int32_t (*read)(mapring_consumer *, uint64_t *, int64_t))
{
    uint64_t next = 0;
    int32_t status;
    while ((status = read(consumer, &next, MAPRING_FOREVER)) != MAPRING_STREAM_ENDED)
        must(status, "reading");
    if (next != MESSAGES)
        must(MAPRING_CORRUPT, "reading to the end");
    mapring_consumer_close(consumer);
}

static mapring_consumer *first, *second, *third;

static void first_in_place(void)
{
    read_all(first, read_in_place);
}

static void second_copies(void)
{
    read_all(second, read_copies);
}

static void reliable(void)
{
    producer = create((mapring_producer_options){0});
    first = open_as(MAPRING_RELIABLE);
    second = open_as(MAPRING_RELIABLE);
    run_together((const role[]){publish_all, first_in_place, second_copies, NULL});
}

/* Both sides sleep at once when they have nothing to do. */
static void parking(void)
{
    producer = create((mapring_producer_options){.waiting = MAPRING_WAIT_PARK});
    first = attach((mapring_consumer_options){.start = MAPRING_FROM_OLDEST, .waiting = MAPRING_WAIT_PARK});
    second = attach((mapring_consumer_options){.start = MAPRING_FROM_OLDEST, .waiting = MAPRING_WAIT_PARK});
    run_together((const role[]){publish_all, first_in_place, second_copies, NULL});
}

/* Some is lost. */
static void read_what_is_there(mapring_consumer *consumer, int32_t (*read)(mapring_consumer *, uint64_t *, int64_t))
{
    uint64_t next = 0;
    int32_t status;
    while ((status = read(consumer, &next, MAPRING_FOREVER)) != MAPRING_STREAM_ENDED) {
        if (status == MAPRING_EVICTED)
            must(mapring_rejoin(consumer), "rejoining");
        else if (status != MAPRING_LAPPED && status != MAPRING_DEMOTED)
            must(status, "reading");
    }
    mapring_consumer_close(consumer);
}

static void first_lossy(void)
{
    read_what_is_there(first, read_lossy);
}

static void second_lossy(void)
{
    read_what_is_there(second, read_copies);
}

static void third_lossy(void)
{
    read_what_is_there(third, read_copies);
}

static void lossy(void)
{
    producer = create((mapring_producer_options){0});
    first = open_as(MAPRING_LOSSY);
    second = open_as(MAPRING_LOSSY);
    third = open_as(MAPRING_OBSERVER);
    run_together((const role[]){publish_all, first_lossy, second_lossy, third_lossy, NULL});
}

/* Those that are slow are let go. */
static void let_go(uint32_t policy)
{
    producer = create((mapring_producer_options){.slow_policy = policy, .slow_ns = 1});
    first = open_as(MAPRING_RELIABLE);
    second = open_as(MAPRING_RELIABLE);
    run_together((const role[]){publish_all, first_lossy, second_lossy, NULL});
}

static void evicted(void)
{
    let_go(MAPRING_SLOW_EVICT);
}

static void demoted(void)
{
    let_go(MAPRING_SLOW_DEMOTE);
}

/* Competing consumers, of whom one leaves with what it has. */

static atomic_uint got;

static mapring_consumer *join_group(void)
{
    return attach((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g", .start = MAPRING_FROM_OLDEST});
}

static void work(mapring_consumer *member)
{
    int32_t status;
    uint64_t next;
    while ((status = read_in_place(member, &next, MAPRING_FOREVER)) != MAPRING_STREAM_ENDED)
        atomic_fetch_add(&got, (unsigned)must(status, "working"));
    mapring_consumer_close(member);
}

static void first_works(void)
{
    work(first);
}

static void second_works(void)
{
    work(second);
}

static void third_leaves(void)
{
    uint64_t next;
    for (int i = 0; i < 20; i++) {
        int32_t count = read_in_place(third, &next, 1000000);
        if (count == MAPRING_STREAM_ENDED)
            break;
        atomic_fetch_add(&got, (unsigned)must(count, "working"));
    }
    mapring_message message;
    mapring_read(third, &message, 1, 0);
    mapring_consumer_close(third);
    third = join_group();
    work(third);
}

static void group(void)
{
    producer = create((mapring_producer_options){0});
    first = join_group();
    second = join_group();
    third = join_group();
    run_together((const role[]){publish_all, first_works, second_works, third_leaves, NULL});
    if (atomic_load(&got) != MESSAGES)
        must(MAPRING_CORRUPT, "working through all messages");
}

/* Joining and leaving, while the stream goes on. */

static void join_and_leave(uint32_t start)
{
    for (int i = 0; i < 200; i++) {
        mapring_consumer *consumer = attach((mapring_consumer_options){.start = start});
        uint64_t next;
        for (int j = 0; j < 3; j++) {
            int32_t status = read_in_place(consumer, &next, 0);
            if (status != MAPRING_STREAM_ENDED)
                must(status, "reading");
        }
        mapring_consumer_close(consumer);
    }
}

static void join_oldest(void)
{
    join_and_leave(MAPRING_FROM_OLDEST);
}

static void join_newest(void)
{
    join_and_leave(MAPRING_FROM_NEWEST);
}

static void joining(void)
{
    producer = create((mapring_producer_options){0});
    run_together((const role[]){publish_all, join_oldest, join_newest, join_oldest, NULL});
}

/* One that comes back under its name gets everything once. */

static void come_and_go(void)
{
    uint64_t next = 0;
    int32_t status = 0;
    while (status != MAPRING_STREAM_ENDED) {
        mapring_consumer *consumer = attach((mapring_consumer_options){.own_name = "n", .start = MAPRING_FROM_OLDEST});
        for (int i = 0; i < 20 && status != MAPRING_STREAM_ENDED; i++)
            status = read_in_place(consumer, &next, MAPRING_FOREVER);
        mapring_consumer_close(consumer);
    }
    if (next != MESSAGES)
        must(MAPRING_CORRUPT, "reading to the end");
}

static void named(void)
{
    producer = create((mapring_producer_options){0});
    mapring_consumer_close(attach((mapring_consumer_options){.own_name = "n", .start = MAPRING_FROM_OLDEST}));
    run_together((const role[]){publish_all, come_and_go, NULL});
}

/* Producers that follow each other. */

static atomic_ullong published;

static void publish_in_turn(void)
{
    for (int i = 0; i < 10; i++) {
        mapring_producer *mine = take_over();
        uint64_t from = atomic_load(&published);
        uint64_t end = from + MESSAGES / 20;
        for (; from < end; from++)
            publish(mine, from, 0);
        atomic_store(&published, end);
        if (end == MESSAGES)
            must(mapring_end(mine), "ending");
        mapring_producer_close(mine);
    }
}

static int32_t read_beyond_producers(mapring_consumer *consumer, uint64_t *next, int64_t timeout_ns)
{
    int32_t status = read_in_place(consumer, next, timeout_ns);
    return status == MAPRING_NO_PRODUCER ? 0 : status;
}

static void first_beyond_producers(void)
{
    read_all(first, read_beyond_producers);
}

static void takeover(void)
{
    producer = create((mapring_producer_options){0});
    first = open_as(MAPRING_RELIABLE);
    mapring_producer_close(producer);
    producer = NULL;
    run_together((const role[]){publish_in_turn, publish_in_turn, first_beyond_producers, NULL});
}

/* Who looks on from outside. */

static void look(void)
{
    while (atomic_load(&over) == 0) {
        mapring_ring_info info = {.struct_size = sizeof info};
        must(mapring_stat(RING, NULL, &info, NULL, 0), "looking");
        mapring_check_report report = {.struct_size = sizeof report};
        must(mapring_check(RING, NULL, &report), "checking");
    }
}

static void publish_and_finish(void)
{
    publish_all();
    atomic_store(&over, 1);
}

static void looking(void)
{
    producer = create((mapring_producer_options){0});
    first = open_as(MAPRING_RELIABLE);
    second = open_as(MAPRING_RELIABLE);
    run_together((const role[]){publish_and_finish, first_in_place, second_copies, look, NULL});
}

/* All is released when the producer is told so. */

static uint64_t subject;

static void drain(void)
{
    publish_all();
    must(mapring_drain(producer, MAPRING_FOREVER), "draining");
    subject = 1;
}

static void look_at_subject(void)
{
    uint64_t next = 0;
    while (next < MESSAGES) {
        mapring_message message;
        must(mapring_read(first, &message, 1, MAPRING_FOREVER), "reading");
        next = message.sequence + 1 + subject;
        must(mapring_release(first, 1), "releasing");
    }
    mapring_consumer_close(first);
}

static void draining(void)
{
    producer = create((mapring_producer_options){0});
    first = open_as(MAPRING_RELIABLE);
    run_together((const role[]){drain, look_at_subject, NULL});
}

/* A race that is there: somebody reads on in the first message, which it has released. */

static volatile uint8_t last_byte;

static void read_after_release(void)
{
    mapring_message message;
    must(mapring_read(first, &message, 1, MAPRING_FOREVER), "reading");
    const volatile uint8_t *released = message.data;
    must(mapring_release(first, 1), "releasing");
    int32_t status;
    uint64_t next;
    while ((status = read_copies(first, &next, MAPRING_FOREVER)) != MAPRING_STREAM_ENDED) {
        must(status, "reading");
        last_byte = *released;
    }
    mapring_consumer_close(first);
}

static void reading_after_release(void)
{
    producer = create((mapring_producer_options){0});
    first = open_as(MAPRING_RELIABLE);
    run_together((const role[]){publish_all, read_after_release, NULL});
}

static void write_without_order(void)
{
    subject++;
}

static void writing_twice(void)
{
    producer = create((mapring_producer_options){0});
    run_together((const role[]){write_without_order, write_without_order, NULL});
}

/* Whether ThreadSanitizer ends the child. */
static int expect_race(void (*program)(void))
{
    pid_t child = fork();
    if (child == 0) {
        program();
        mapring_producer_close(producer);
        exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    /* The next to use the name clears away what the child left, or does so as its last holder. */
    mapring_consumer_options options = {.struct_size = sizeof options};
    mapring_consumer *consumer = NULL;
    if (mapring_consumer_open(RING, &options, &consumer) >= 0)
        mapring_consumer_close(consumer);
    bool found = WIFEXITED(status) && WEXITSTATUS(status) == TSAN_STATUS;
    printf("%s\n", found ? "the race was found" : "THE RACE WAS NOT FOUND");
    return found ? 0 : 1;
}

static const struct {
    const char *name;
    void (*run)(void);
    bool races;
} programs[] = {
    {"reliable", reliable, false},
    {"parking", parking, false},
    {"lossy", lossy, false},
    {"evicted", evicted, false},
    {"demoted", demoted, false},
    {"group", group, false},
    {"joining", joining, false},
    {"named", named, false},
    {"takeover", takeover, false},
    {"looking", looking, false},
    {"draining", draining, false},
    {"reading-after-release", reading_after_release, true},
    {"writing-twice", writing_twice, true},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        if (argc != 2 || strcmp(programs[i].name, argv[1]) != 0)
            continue;
        if (programs[i].races)
            return expect_race(programs[i].run);
        programs[i].run();
        mapring_producer_close(producer);
        return 0;
    }
    fputs("usage: race PROGRAM\n", stderr);
    return 2;
}
