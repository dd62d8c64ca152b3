#include "race.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomic.h"

#define CAPACITY 4096u
#define LONG 900u
#define AROUND_NS 30000u
#define PATIENCE (20 * SECOND)

void refuse_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        skip("no seccomp filters here");
    CHECK(syscall(SYS_membarrier, 0, 0, 0) == -1 && errno == EPERM, "the filter does not work");
}

struct board {
    struct race race;
    shared64 *ready;   /* one more than the number of the message that is about to be waited for */
    shared64 *brought; /* when that was brought, in ns */
    shared64 *late;
    shared64 *longest;
};

/* The words lie on cache lines of their own, or else they would order what the ring must order. */
static struct board board_new(const struct race *race)
{
    shared64 *words = shared_memory(4096);
    return (struct board){
        .race = *race, .ready = &words[0], .brought = &words[64], .late = &words[128], .longest = &words[192]};
}

static void await_ready(const struct board *board, uint64_t round, uint64_t *random)
{
    int64_t end = now_ns() + PATIENCE;
    for (uint64_t spins = 0; load64_acquire(board->ready) != round + 1; spins++) {
        if (spins % 1000 == 999) {
            CHECK(now_ns() < end, "the other side does not come to round %" PRIu64, round);
            sched_yield();
        }
        spin_pause();
    }
    /* Up to when it surely sleeps; more often near the time when it is just about to. */
    uint64_t limit = random_next(random) % 4 == 0 ? AROUND_NS * 3 : AROUND_NS;
    spin_ns((int64_t)(random_next(random) % limit));
}

static void brought_now(const struct board *board)
{
    store64_relaxed(board->brought, (uint64_t)now_ns());
}

static void got_it(const struct board *board)
{
    int64_t delay = now_ns() - (int64_t)load64_relaxed(board->brought);
    if (delay > (int64_t)load64_relaxed(board->longest))
        store64_relaxed(board->longest, (uint64_t)delay);
    if (delay > LATE_NS)
        store64_relaxed(board->late, load64_relaxed(board->late) + 1);
}

static void check_delays(const struct board *board)
{
    uint64_t late = load64_relaxed(board->late);
    printf("%" PRIu64 " rounds, the longest delay %.3f ms, %" PRIu64 " above %d ms\n", board->race.rounds,
           (double)load64_relaxed(board->longest) / 1e6, late, (int)(LATE_NS / MS));
    CHECK(late <= LATE_MAX, "%" PRIu64 " wakeups of %" PRIu64 " were late", late, board->race.rounds);
}

/* News. */

static void wait_for_news(void *argument)
{
    const struct board *board = argument;
    if (board->race.consumer_refused)
        refuse_membarrier();
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    for (uint64_t round = 0; round < board->race.rounds; round++) {
        mapring_message message;
        store64_release(board->ready, round + 1);
        CHECK_STATUS(mapring_read(consumer, &message, 1, PATIENCE), 1);
        got_it(board);
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

void race_for_news(const struct race *race)
{
    struct board board = board_new(race);
    pid_t consumer = spawn(wait_for_news, &board);
    if (race->producer_refused)
        refuse_membarrier();
    mapring_producer *producer = open_producer(CAPACITY, 1);
    CHECK(stat_ring().fence == (race->producer_refused ? MAPRING_FENCE_FULL : MAPRING_FENCE_ASYMMETRIC),
          "fence %" PRIu32 " at the start", stat_ring().fence);
    uint64_t random = 1;
    for (uint64_t round = 0; round < race->rounds; round++) {
        await_ready(&board, round, &random);
        brought_now(&board);
        publish_somehow(producer, round);
    }
    join(consumer);
    bool full = race->producer_refused || race->consumer_refused;
    CHECK(stat_ring().fence == (full ? MAPRING_FENCE_FULL : MAPRING_FENCE_ASYMMETRIC), "fence %" PRIu32 " at the end",
          stat_ring().fence);
    mapring_producer_close(producer);
    check_delays(&board);
}

/* Room. */

static void make_room(void *argument)
{
    const struct board *board = argument;
    if (board->race.consumer_refused)
        refuse_membarrier();
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    uint64_t random = 2, sequence = 0;
    for (uint64_t round = 0; round < board->race.rounds; round++) {
        mapring_message message;
        uint32_t held = 0;
        await_ready(board, round, &random);
        /* It is full, and the producer is falling asleep. */
        while (mapring_read(consumer, &message, 1, 0) == 1) {
            check_message(&message, sequence++, LONG);
            held++;
        }
        spin_ns((int64_t)(random_next(&random) % AROUND_NS));
        brought_now(board);
        CHECK_STATUS(mapring_release(consumer, held), MAPRING_OK);
    }
    mapring_consumer_close(consumer);
}

void race_for_room(const struct race *race)
{
    struct board board = board_new(race);
    pid_t consumer = spawn(make_room, &board);
    if (race->producer_refused)
        refuse_membarrier();
    mapring_producer *producer = open_producer(CAPACITY, 1);
    CHECK_STATUS(mapring_wait_consumers(producer, 1, PATIENCE), MAPRING_OK);
    uint64_t sequence = 0;
    for (uint64_t round = 0; round < race->rounds; round++) {
        static uint8_t bytes[LONG];
        int32_t status = MAPRING_OK;
        while (status == MAPRING_OK) {
            uint64_t length = message_length(sequence, LONG);
            payload_fill(bytes, length, sequence);
            status = mapring_publish(producer, bytes, length, message_tag(sequence), 0, 0);
            sequence += status == MAPRING_OK;
        }
        CHECK_STATUS(status, MAPRING_FULL);
        store64_release(board.ready, round + 1);
        CHECK_STATUS(
            mapring_publish(producer, bytes, message_length(sequence, LONG), message_tag(sequence), 0, PATIENCE),
            MAPRING_OK);
        got_it(&board);
        sequence++;
    }
    join(consumer);
    mapring_producer_close(producer);
    check_delays(&board);
}
