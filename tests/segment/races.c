/*
 * Many processes that create, open and close the same name, and are killed at any moment.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "payload.h"
#include "segments.h"

#define PROCESSES 8u
#define NAME "raced"

/* All open at once: one creates, and all others get the same. */

struct meeting {
    pthread_barrier_t barrier;
    uint32_t modes[PROCESSES];
    int32_t results[PROCESSES];
    uint64_t seen[PROCESSES];
    bool in_file;
    bool nothing_left;
};

struct guest {
    struct meeting *meeting;
    uint32_t place;
};

static uint64_t size_of_round(uint64_t round)
{
    return 1 + round * 7919 % 200000;
}

static void check_round(struct meeting *meeting, uint64_t round)
{
    uint32_t creators = 0, could_create = 0;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        uint32_t mode = meeting->modes[i];
        int32_t result = meeting->results[i];
        bool expected = (result == 0 && mode != MAPRING_OPEN_EXISTING) || (result == 1 && mode != MAPRING_CREATE_NEW) ||
                        (result == MAPRING_EXISTS && mode == MAPRING_CREATE_NEW) ||
                        (result == MAPRING_NOT_FOUND && mode == MAPRING_OPEN_EXISTING) ||
                        /* Who has the file alone is about to give it the name. */
                        (result == MAPRING_BUSY && meeting->in_file && mode == MAPRING_CREATE_NEW);
        CHECK(expected, "round %" PRIu64 ": mode %" PRIu32 " gave %s", round, mode, mapring_status_name(result));
        creators += result == 0;
        could_create += mode != MAPRING_OPEN_EXISTING;
        CHECK(result < 0 || meeting->seen[i] == round + 1, "round %" PRIu64 ": a segment of its own", round);
    }
    CHECK(creators == (could_create > 0), "round %" PRIu64 ": %" PRIu32 " creators", round, creators);
}

static void meet(void *argument)
{
    const struct guest *guest = argument;
    struct meeting *meeting = guest->meeting;
    uint64_t rounds = 1000 * test_length();
    uint64_t random = guest->place + 1;
    int descriptors = count_descriptors();
    for (uint64_t round = 0; round < rounds; round++) {
        mapring_segment_options options = segment_options((uint32_t)(random_next(&random) % 3), size_of_round(round));
        if (meeting->in_file)
            options.file = case_file();
        meeting->modes[guest->place] = options.mode;
        pthread_barrier_wait(&meeting->barrier);
        mapring_segment *segment = NULL;
        int32_t result = mapring_segment_open(NAME, &options, &segment);
        meeting->results[guest->place] = result;
        uint8_t *bytes = NULL;
        if (result >= 0) {
            CHECK(stat_segment(segment).size == options.size, "another size than it was created with");
            bytes = map_segment(segment);
            CHECK(bytes[options.size - 1] == 0, "it is not new");
        }
        if (result == 0 && options.size >= 8)
            memcpy(bytes, &(uint64_t){round + 1}, 8);
        pthread_barrier_wait(&meeting->barrier);
        meeting->seen[guest->place] = round + 1;
        if (result >= 0 && options.size >= 8)
            memcpy(&meeting->seen[guest->place], bytes, 8);
        pthread_barrier_wait(&meeting->barrier);
        if (guest->place == 0)
            check_round(meeting, round);
        mapring_segment_close(segment);
        pthread_barrier_wait(&meeting->barrier);
        if (guest->place == 0) {
            CHECK(count_names() == 0, "round %" PRIu64 ": %d names are left", round, count_names());
            if (meeting->in_file)
                unlink(case_file());
        }
    }
    CHECK(count_descriptors() == descriptors, "descriptors are left");
}

static void run_meeting(bool in_file)
{
    struct meeting *meeting = shared_memory(sizeof *meeting);
    meeting->in_file = in_file;
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    CHECK(pthread_barrier_init(&meeting->barrier, &attributes, PROCESSES) == 0, "no barrier");
    pid_t children[PROCESSES];
    for (uint32_t i = 0; i < PROCESSES; i++)
        children[i] = spawn(meet, &(struct guest){.meeting = meeting, .place = i});
    for (uint32_t i = 0; i < PROCESSES; i++)
        join(children[i]);
    unlink(case_file());
}

static void one_creates_in_memory(void)
{
    run_meeting(false);
}

static void one_creates_in_a_file(void)
{
    run_meeting(true);
}

/* Killed at any moment. */

/* Each process that is started has a number, and never the same again. */
struct arena {
    uint64_t instance;
    uint64_t place;
    shared64 *rounds;
    shared64 *outcomes;
    bool in_file;
};

enum outcome { CREATED, OPENED, REFUSED, ABSENT, OTHER_KIND, BUSY, OUTCOMES };

static void count(const struct arena *arena, enum outcome outcome)
{
    shared64 *word = &arena->outcomes[arena->place * OUTCOMES + outcome];
    store64_relaxed(word, load64_relaxed(word) + 1);
}

#define SIZE 200000u

/* The name is held: everybody who opens it gets the same memory. */
static void use(const struct arena *arena, mapring_segment *segment)
{
    CHECK(stat_segment(segment).size == SIZE, "half-made: %" PRIu64 " bytes", stat_segment(segment).size);
    uint64_t *words = map_segment(segment);
    uint64_t stamp = arena->instance << 32 | 1;
    words[arena->place] = stamp;
    words[SIZE / 8 - 1] = stamp;
    mapring_segment *again;
    CHECK_STATUS(mapring_segment_open(NAME, NULL, &again), 1);
    uint64_t *same = map_segment(again);
    CHECK(same[arena->place] == stamp, "the name has become another segment while it was held");
    CHECK_STATUS(mapring_kind(NAME), MAPRING_KIND_SEGMENT);
    mapring_segment_close(again);
    words[arena->place] = 0;
}

static void try_segment(const struct arena *arena, uint64_t *random)
{
    mapring_segment_options options = segment_options((uint32_t)(random_next(random) % 3), SIZE);
    if (arena->in_file)
        options.file = case_file();
    mapring_segment *segment = NULL;
    int32_t status = mapring_segment_open(NAME, &options, &segment);
    if (status >= 0) {
        count(arena, status == 0 ? CREATED : OPENED);
        use(arena, segment);
        mapring_segment_close(segment);
        return;
    }
    bool expected = (status == MAPRING_EXISTS && options.mode == MAPRING_CREATE_NEW) ||
                    (status == MAPRING_NOT_FOUND && options.mode == MAPRING_OPEN_EXISTING) ||
                    status == MAPRING_WRONG_KIND || (status == MAPRING_BUSY && arena->in_file);
    CHECK(expected, "opening in mode %" PRIu32 ": %s", options.mode, mapring_status_name(status));
    count(arena, status == MAPRING_NOT_FOUND    ? ABSENT
                 : status == MAPRING_WRONG_KIND ? OTHER_KIND
                 : status == MAPRING_BUSY       ? BUSY
                                                : REFUSED);
}

static void try_semaphore(const struct arena *arena)
{
    mapring_semaphore *semaphore = NULL;
    int32_t status = mapring_semaphore_open(NAME, NULL, &semaphore);
    CHECK(status >= 0 || status == MAPRING_WRONG_KIND || status == MAPRING_EXISTS, "a semaphore: %s",
          mapring_status_name(status));
    if (status < 0) {
        count(arena, OTHER_KIND);
        return;
    }
    CHECK(mapring_semaphore_release(semaphore, 1) >= 0, "releasing");
    mapring_semaphore_close(semaphore);
}

static void use_the_name(void *argument)
{
    const struct arena *arena = argument;
    uint64_t random = arena->instance + 1;
    int descriptors = count_descriptors();
    for (uint64_t round = 0;; round++) {
        sleep_random(&random, 300000);
        if (random_next(&random) % 8 == 0)
            try_semaphore(arena);
        else
            try_segment(arena, &random);
        store64_relaxed(&arena->rounds[arena->place], load64_relaxed(&arena->rounds[arena->place]) + 1);
        CHECK(count_descriptors() == descriptors, "descriptors are left");
    }
}

static uint64_t sum(const shared64 *words, uint64_t count, uint64_t step)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++)
        total += load64_relaxed(&words[i * step]);
    return total;
}

static void run_arena(bool in_file)
{
    struct arena arena = {.rounds = shared_memory(4096), .outcomes = shared_memory(4096), .in_file = in_file};
    pid_t children[PROCESSES];
    for (uint64_t i = 0; i < PROCESSES; i++) {
        arena.place = i;
        arena.instance++;
        children[i] = spawn(use_the_name, &arena);
    }
    uint64_t random = 1, kills = 0;
    while (sum(arena.rounds, PROCESSES, 1) < 10000 * test_length() || kills < 500 * test_length()) {
        uint64_t i = random_next(&random) % PROCESSES;
        sleep_random(&random, 2000000);
        kill_child(children[i]);
        kills++;
        arena.place = i;
        arena.instance++;
        children[i] = spawn(use_the_name, &arena);
    }
    for (uint64_t i = 0; i < PROCESSES; i++)
        kill_child(children[i]);
    /* All holders are dead. What they left goes with a sweep, or with the next use. */
    if (random_next(&random) % 2 == 0)
        CHECK(mapring_sweep() <= 1, "more names than one");
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, SIZE / 2);
    CHECK_STATUS(status_of_open(NAME, &options), 0);
    CHECK(count_names() == 0, "%d names are left", count_names());
    printf("%" PRIu64 " rounds, %" PRIu64 " kills:", sum(arena.rounds, PROCESSES, 1), kills);
    static const char *const names[] = {"created", "opened", "refused", "absent", "other kind", "busy"};
    for (uint64_t i = 0; i < OUTCOMES; i++) {
        uint64_t times = sum(arena.outcomes + i, PROCESSES, OUTCOMES);
        printf(" %" PRIu64 " %s", times, names[i]);
        CHECK(times > 0 || i == BUSY, "outcome \"%s\" never came", names[i]);
    }
    printf("\n");
    unlink(case_file());
}

static void killed_in_memory(void)
{
    run_arena(false);
}

static void killed_in_a_file(void)
{
    run_arena(true);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"one_creates_in_memory", one_creates_in_memory},
        {"one_creates_in_a_file", one_creates_in_a_file},
        {"killed_in_memory", killed_in_memory},
        {"killed_in_a_file", killed_in_a_file},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
