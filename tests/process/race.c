#include "race.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomic.h"
#include "refuse.h"

#define CAPACITY 4096u
#define LONG 900u
/* The moment that matters lies a little before the other side is asleep for good. */
#define BEFORE_NS 4000
#define STEP_NS 40
/* A sleep takes many times as long as a round without: so one in four. */
#define STEPS_BACK 3
#define DELAY_MAX_NS 100000
#define PATIENCE (20 * SECOND)
/* On a busy machine a round can take milliseconds. */
#define RACE_NS (20 * SECOND)
#define ROUNDS_MIN 1000u

struct board {
    struct race race;
    shared64 *ready;   /* one more than the number of the message that is about to be waited for */
    shared64 *brought; /* when that was brought, in ns: from then on, */
    shared64 *there;   /* and it was there for sure; */
    shared64 *rounds;  /* the rounds in which it was */
    shared64 *last;    /* how many rounds there are: fewer when it takes too long */
    shared64 *slept;   /* how often the waiting side gave up the processor */
    shared64 *late;
    shared64 *longest;
    int64_t end_ns;
};

/* The words lie on cache lines of their own, or else they would order what the ring must order. */
static struct board board_new(const struct race *race)
{
    shared64 *words = shared_memory(4096);
    store64_relaxed(&words[448], race->rounds);
    return (struct board){
        .race = *race,
        .ready = &words[0],
        .brought = &words[64],
        .slept = &words[128],
        .late = &words[192],
        .longest = &words[256],
        .there = &words[320],
        .rounds = &words[384],
        .last = &words[448],
        .end_ns = now_ns() + RACE_NS * (int64_t)test_length(),
    };
}

/* Each side on a processor of its own, if there are two: side by side on one, they would never meet. */
static void pin(size_t side)
{
    cpu_set_t allowed, mine;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    CPU_ZERO(&mine);
    for (size_t cpu = 0, found = 0; cpu < CPU_SETSIZE && found <= side; cpu++)
        if (CPU_ISSET(cpu, &allowed) && found++ == side)
            CPU_SET(cpu, &mine);
    sched_setaffinity(0, sizeof mine, &mine);
}

/* Who wakes finds out by and by how long the other side takes to fall asleep. */
struct aim {
    int64_t delay; /* from `ready` to when it sleeps */
    uint64_t slept;
    uint64_t random;
};

static bool is_ready(const struct board *board, uint64_t round, uint64_t spins)
{
    if (load64_acquire(board->ready) == round + 1)
        return true;
    if (spins % 1000 == 999)
        sched_yield();
    spin_pause();
    return false;
}

static void await_moment(const struct board *board, struct aim *aim)
{
    /* Who never sleeps gives no hint. */
    if (board->race.waiting == MAPRING_WAIT_SPIN) {
        spin_ns((int64_t)(random_next(&aim->random) % BEFORE_NS));
        return;
    }
    uint64_t slept = load64_relaxed(board->slept);
    aim->delay += slept != aim->slept ? -STEPS_BACK * STEP_NS : STEP_NS;
    aim->delay = aim->delay < 0 ? 0 : aim->delay > DELAY_MAX_NS ? DELAY_MAX_NS : aim->delay;
    aim->slept = slept;
    spin_ns(aim->delay + STEP_NS - (int64_t)(random_next(&aim->random) % BEFORE_NS));
}

static void bringing_now(const struct board *board)
{
    store64_relaxed(board->brought, (uint64_t)now_ns());
}

static void brought_it(const struct board *board, uint64_t round)
{
    store64_relaxed(board->there, (uint64_t)now_ns());
    store64_release(board->rounds, round + 1);
}

struct wait {
    uint64_t round;
    int64_t start;
    int64_t without_processor;
    int64_t stolen; /* at the time of this round, or a little before: it takes long to find out */
};

static bool goes_on(const struct board *board, uint64_t round)
{
    return round < load64_relaxed(board->last);
}

static struct wait about_to_wait(const struct board *board, uint64_t round)
{
    if (now_ns() >= board->end_ns && goes_on(board, round + 1))
        store64_relaxed(board->last, round + 1);
    static int64_t stolen;
    if (round % 64 == 0)
        stolen = stolen_from_machine();
    struct wait wait = {.round = round, .without_processor = waited_for_processor(), .stolen = stolen};
    wait.start = now_ns();
    store64_release(board->ready, round + 1);
    return wait;
}

static bool was_late(const struct board *board, const struct wait *wait, int64_t now)
{
    if (now - wait->start < QUANTUM_NS || now - (int64_t)load64_relaxed(board->brought) < LATE_NS)
        return false;
    /* Who brought it may have been held up in between. */
    while (load64_acquire(board->rounds) <= wait->round)
        sched_yield();
    return now - (int64_t)load64_relaxed(board->there) > LATE_NS &&
           waited_for_processor() - wait->without_processor < LATE_NS / 2 &&
           stolen_from_machine() - wait->stolen < LATE_NS / 2;
}

static void got_it(const struct board *board, const struct wait *wait)
{
    int64_t now = now_ns();
    int64_t delay = now - (int64_t)load64_relaxed(board->brought);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    store64_relaxed(board->slept, (uint64_t)usage.ru_nvcsw);
    if (delay > (int64_t)load64_relaxed(board->longest))
        store64_relaxed(board->longest, (uint64_t)delay);
    if (was_late(board, wait, now)) {
        fprintf(stderr, "a wakeup took %.3f ms, in a wait of %.3f ms\n", (double)delay / 1e6,
                (double)(now - wait->start) / 1e6);
        store64_relaxed(board->late, load64_relaxed(board->late) + 1);
    }
}

static void run_race(const struct race *race, void (*consume)(void *), void (*produce)(void *))
{
    struct board board = board_new(race);
    int64_t start = now_ns();
    pid_t children[] = {spawn(consume, &board), spawn(produce, &board)};
    join(children[0]);
    join(children[1]);
    uint64_t late = load64_relaxed(board.late);
    printf("%" PRIu64 " rounds in %.1f s, %" PRIu64 " times asleep, the longest delay %.3f ms, %" PRIu64 " late\n",
           load64_relaxed(board.last), (double)(now_ns() - start) / 1e9, load64_relaxed(board.slept),
           (double)load64_relaxed(board.longest) / 1e6, late);
    CHECK(load64_relaxed(board.last) >= ROUNDS_MIN, "too few rounds");
    CHECK(late == 0, "wakeups were lost");
}

static void begin(size_t side, bool refused)
{
    pin(side);
    if (refused)
        refuse(SYS_membarrier);
}

/* News. */

static void wait_for_news(void *argument)
{
    const struct board *board = argument;
    begin(1, board->race.consumer_refused);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    CHECK_STATUS(mapring_consumer_set_waiting(consumer, board->race.waiting), MAPRING_OK);
    for (uint64_t round = 0; goes_on(board, round); round++) {
        mapring_message message;
        struct wait wait = about_to_wait(board, round);
        CHECK_STATUS(mapring_read(consumer, &message, 1, PATIENCE), 1);
        got_it(board, &wait);
        check_message(&message, round, LONG);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
    }
    mapring_consumer_close(consumer);
}

/* Every way to publish wakes. */
static void publish_somehow(mapring_producer *producer, uint64_t sequence)
{
    static uint8_t bytes[LONG];
    mapring_message message = {.data = bytes, .length = message_length(sequence, LONG), .tag = message_tag(sequence)};
    void *payload;
    payload_fill(bytes, message.length, sequence);
    switch (sequence % 4) {
    case 0:
        CHECK_STATUS(mapring_publish(producer, bytes, message.length, message.tag, 0, PATIENCE), MAPRING_OK);
        break;
    case 1:
        CHECK_STATUS(mapring_publish(producer, bytes, message.length, message.tag, MAPRING_MORE, PATIENCE), MAPRING_OK);
        CHECK_STATUS(mapring_end_run(producer), MAPRING_OK);
        break;
    case 2:
        CHECK_STATUS(mapring_publish_batch(producer, &message, 1, PATIENCE), 1);
        break;
    default:
        CHECK_STATUS(mapring_claim(producer, message.length, PATIENCE, &payload), MAPRING_OK);
        payload_fill(payload, message.length, sequence);
        CHECK_STATUS(mapring_commit(producer, message.length, message.tag, 0), MAPRING_OK);
    }
}

static void bring_news(void *argument)
{
    const struct board *board = argument;
    const struct race *race = &board->race;
    begin(0, race->producer_refused);
    mapring_producer *producer = open_producer(CAPACITY, 1);
    CHECK(stat_ring().fence == (race->producer_refused ? MAPRING_FENCE_FULL : MAPRING_FENCE_ASYMMETRIC),
          "fence %" PRIu32 " at the start", stat_ring().fence);
    struct aim aim = {0};
    for (uint64_t round = 0; goes_on(board, round); round++) {
        for (uint64_t spins = 0; !is_ready(board, round, spins); spins++)
            ;
        await_moment(board, &aim);
        bringing_now(board);
        publish_somehow(producer, round);
        brought_it(board, round);
    }
    CHECK_STATUS(mapring_drain(producer, PATIENCE), MAPRING_OK);
    /* Who never sleeps never asks for it. */
    bool full = race->producer_refused || (race->consumer_refused && race->waiting != MAPRING_WAIT_SPIN);
    CHECK(stat_ring().fence == (full ? MAPRING_FENCE_FULL : MAPRING_FENCE_ASYMMETRIC), "fence %" PRIu32 " at the end",
          stat_ring().fence);
    mapring_producer_close(producer);
}

void race_for_news(const struct race *race)
{
    run_race(race, wait_for_news, bring_news);
}

/* Room. */

static bool read_next(mapring_consumer *consumer, uint64_t *sequence)
{
    mapring_message message;
    if (mapring_read(consumer, &message, 1, 0) != 1)
        return false;
    check_message(&message, (*sequence)++, LONG);
    return true;
}

static void make_room(void *argument)
{
    const struct board *board = argument;
    begin(1, board->race.consumer_refused);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    struct aim aim = {0};
    uint64_t sequence = 0;
    for (uint64_t round = 0; goes_on(board, round); round++) {
        uint32_t held = 0;
        for (uint64_t spins = 0; !is_ready(board, round, spins); spins++)
            held += read_next(consumer, &sequence);
        /* It is full, and the producer is falling asleep. */
        while (read_next(consumer, &sequence))
            held++;
        await_moment(board, &aim);
        bringing_now(board);
        CHECK_STATUS(mapring_release(consumer, held), MAPRING_OK);
        brought_it(board, round);
    }
    mapring_consumer_close(consumer);
}

static void wait_for_room(void *argument)
{
    const struct board *board = argument;
    const struct race *race = &board->race;
    begin(0, race->producer_refused);
    mapring_producer *producer = open_producer(CAPACITY, 1);
    CHECK_STATUS(mapring_wait_consumers(producer, 1, PATIENCE), MAPRING_OK);
    CHECK_STATUS(mapring_producer_set_waiting(producer, race->waiting), MAPRING_OK);
    uint64_t sequence = 0;
    for (uint64_t round = 0; goes_on(board, round); round++) {
        static uint8_t bytes[LONG];
        int32_t status = MAPRING_OK;
        while (status == MAPRING_OK) {
            uint64_t length = message_length(sequence, LONG);
            payload_fill(bytes, length, sequence);
            status = mapring_publish(producer, bytes, length, message_tag(sequence), 0, 0);
            sequence += status == MAPRING_OK;
        }
        CHECK_STATUS(status, MAPRING_FULL);
        struct wait wait = about_to_wait(board, round);
        CHECK_STATUS(
            mapring_publish(producer, bytes, message_length(sequence, LONG), message_tag(sequence), 0, PATIENCE),
            MAPRING_OK);
        got_it(board, &wait);
        sequence++;
    }
    mapring_producer_close(producer);
}

void race_for_room(const struct race *race)
{
    run_race(race, make_room, wait_for_room);
}
