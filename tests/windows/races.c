/*
 * Processes that create, open and close a few names over and over, in every mode, while some of them are killed:
 * one creates, the others open it complete, and nothing is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "opening.h"

#define RACERS 8
#define ROUNDS 20000
#define NAMES 3
#define SIZE 70000u
/* A racer that has done so many rounds looks whether it has more handles than before. */
#define LOOK_AFTER 200

/* What the racers and their parent share. */
struct board {
    volatile LONG rounds; /* done by all */
    volatile LONG created;
    volatile LONG opened;
    volatile LONG refused; /* by the mode: it was there, or not there */
    volatile LONG failed;  /* the status of a call that should not have failed; 0: none did */
    volatile LONG bad;     /* segments that were not complete, handles that leaked */
};

static uint32_t next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Its last byte says that the one before was written. Half-made would be of another size, or unreadable. */
static bool is_whole(mapring_segment *segment)
{
    mapring_segment_info info = {.struct_size = sizeof info};
    void *view = NULL;
    if (mapring_segment_stat(segment, &info) != MAPRING_OK || info.size != SIZE ||
        mapring_segment_map(segment, 0, 0, 0, NULL, &view) != MAPRING_OK)
        return false;
    volatile uint8_t *bytes = view;
    bool whole = bytes[SIZE - 1] == 0 || bytes[SIZE - 2] == 77;
    bytes[SIZE - 2] = 77;
    MemoryBarrier();
    bytes[SIZE - 1] = 78;
    return whole;
}

static bool is_allowed(uint32_t mode, int32_t status)
{
    switch (mode) {
    case MAPRING_CREATE_NEW:
        return status == 0 || status == MAPRING_EXISTS;
    case MAPRING_OPEN_EXISTING:
        return status == 1 || status == MAPRING_NOT_FOUND;
    default:
        return status == 0 || status == 1;
    }
}

/* One round: a name, a mode. */
static void race_once(struct board *board, const char *name, uint32_t *state)
{
    char own[NAME_SIZE + 8];
    snprintf(own, sizeof own, "%s-%u", name, next(state) % NAMES);
    uint32_t mode = next(state) % 3;
    mapring_segment *segment;
    int32_t status = open_with(own, mode, mode == MAPRING_OPEN_EXISTING ? 0 : SIZE, 0, &segment);
    if (!is_allowed(mode, status))
        InterlockedExchange(&board->failed, status == 0 ? 1 : status);
    InterlockedIncrement(status == 0 ? &board->created : status == 1 ? &board->opened : &board->refused);
    if (segment != NULL && !is_whole(segment))
        InterlockedIncrement(&board->bad);
    mapring_segment_close(segment);
    InterlockedIncrement(&board->rounds);
}

/* A child: until all rounds are done. */
static int race(const char *name, const char *board_name, const char *seed)
{
    mapring_segment *shared;
    if (open_with(board_name, MAPRING_OPEN_EXISTING, 0, 0, &shared) != 1)
        return 1;
    struct board *board = (void *)map_all(shared, 0);
    uint32_t state = (uint32_t)atoi(seed) * 2654435761u | 1;
    unsigned before = 0, after = 0;
    tell("racing");
    for (int round = 0; board->rounds < ROUNDS; round++) {
        race_once(board, name, &state);
        if (round % LOOK_AFTER == LOOK_AFTER - 1) {
            after = count_handles();
            if (before != 0 && after > before)
                InterlockedIncrement(&board->bad);
            before = after;
        }
    }
    return 0;
}

static struct child start_racer(const char *name, const char *board_name, uint32_t seed)
{
    char number[16];
    snprintf(number, sizeof number, "%u", seed);
    const char *arguments[] = {"race", name, board_name, number, NULL};
    struct child racer = start_child(NULL, arguments);
    expect_line(&racer, "racing");
    return racer;
}

static void creators_and_openers_race(void)
{
    char name[NAME_SIZE], board_name[NAME_SIZE];
    unique_name(name, "race");
    unique_name(board_name, "board");
    mapring_segment *shared;
    if (!CHECK_IS(open_with(board_name, MAPRING_CREATE_NEW, sizeof(struct board), 0, &shared), 0))
        return;
    struct board *board = (void *)map_all(shared, 0);
    struct child racers[RACERS];
    uint32_t seed = 1, state = GetCurrentProcessId() | 1, kills = 0;
    for (int i = 0; i < RACERS; i++)
        racers[i] = start_racer(name, board_name, seed++);
    while (board->rounds < ROUNDS && board->failed == 0 && board->bad == 0) {
        uint32_t victim = next(&state) % RACERS;
        kill_child(&racers[victim]);
        end_child(&racers[victim]);
        racers[victim] = start_racer(name, board_name, seed++);
        kills++;
        Sleep(next(&state) % 10);
    }
    if (board->rounds < ROUNDS)
        InterlockedExchange(&board->rounds, ROUNDS);
    for (int i = 0; i < RACERS; i++)
        CHECK_IS(end_child(&racers[i]), 0);
    CHECK_IS(board->failed, 0);
    CHECK_IS(board->bad, 0);
    CHECK(board->created > 0 && board->opened > 0 && board->refused > 0 && kills > 0);
    for (int i = 0; i < NAMES; i++) {
        char own[NAME_SIZE + 8];
        snprintf(own, sizeof own, "%s-%d", name, i);
        CHECK(is_free(own));
        CHECK_IS(status_of(own, MAPRING_CREATE_NEW, SIZE, 0), 0);
    }
    printf("%ld created, %ld opened, %ld refused; %u killed\n", board->created, board->opened, board->refused, kills);
    mapring_segment_close(shared);
}

int main(int argc, char **argv)
{
    start_tests(240);
    if (argc == 5 && strcmp(argv[1], "race") == 0)
        return race(argv[2], argv[3], argv[4]);
    run_test("creators and openers race", creators_and_openers_race);
    return finish_tests();
}
