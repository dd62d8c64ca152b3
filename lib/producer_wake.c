/*
 * Waking consumers: docs/design.md P5. A publish without sleepers does not come here.
 */
#include "producer.h"

#include <mapring/mapring.h>

#include "record.h"

/* Until when a record needs no look: for as long as no sleeper is due. */
static void limit_to(struct mapring_producer *producer, uint64_t due_at)
{
    uint64_t position = producer_position(producer);
    uint64_t room = due_at > position ? (due_at - position) & ~(uint64_t)7 : 0;
    if (producer->limit > producer->next && room < (uint64_t)(producer->limit - producer->next))
        producer->limit = producer->next + room;
}

/*
 * Those of the sleepers who are not to be woken yet, since their watermark is not reached. From the first position on
 * at which one of them is due, publishing comes by here again. A bit that is left up says nothing when it is raised
 * once more: so it must belong to one who says so when it becomes less patient, and not to several, or to one who left.
 */
static uint64_t find_undue(struct mapring_producer *producer, uint64_t sleepers)
{
    const struct ring *ring = &producer->ring;
    uint64_t undue = 0;
    uint64_t position = producer_position(producer);
    uint64_t due_at = NO_POSITION;
    for (uint32_t i = 0; i < ring->geometry.slot_count && SLOT_NUMBER(i) < PLATFORM_OWN_BITS; i++) {
        const struct slot *slot = &ring->readers->slots[i];
        uint64_t bit = sleepers & sleeper_bit(SLOT_NUMBER(i));
        if (bit == 0 || load64_relaxed(&slot->state) == 0)
            continue;
        uint64_t wake_at = load64_relaxed(&slot->wake_at);
        if (wake_at > position) {
            undue |= bit;
            due_at = min64(due_at, wake_at);
        }
    }
    if (undue != 0)
        limit_to(producer, due_at);
    return undue;
}

/*
 * While sleepers are found it is cheaper for all that the producer fences in each publish, behind what it stores, than
 * that each sleeper fences heavily. So it promises to: a word beside the doorbell, which it stores as 1 between a full
 * fence A and its look at the sleepers, and as 0 before a full fence B. A sleeper raises its bit, fences (S), reads the
 * word, and looks once more. If it reads
 *   1, with S before A: the look behind A finds its bit;
 *   1, with S between A and B: it sees all that was published without a fence before A, and what comes has one;
 *   1, and then B comes: S was before B, so every look behind B finds its bit, with a fence or without;
 *   0, as it must with S behind B: it fences heavily.
 */
static void promise_fences(struct mapring_producer *producer, bool fences)
{
    if (!fences && !producer->fences)
        return;
    bool before = producer->fences;
    producer->fences = fences;
    /* A, if it is 1, was in look_closer() or wake_all(). */
    store64_relaxed(&producer->ring.readers->news.fencing, fences);
    if (before && !fences)
        fence_full(); /* B: pairs with S in wait_fence() */
}

/* Gives or takes back the promise, and sets what the next publish compares with. */
static void set_expectation(struct mapring_producer *producer, uint64_t undue, bool fences)
{
    promise_fences(producer, fences);
    /* What is claimed may go beyond any limit that is set meanwhile: so who is not due is looked at again once it is
     * committed. */
    producer->undue = producer->claim_count > 0 ? 0 : undue;
    producer->no_sleepers = fences ? ALWAYS_LOOK : producer->undue;
}

void forget_undue(struct mapring_producer *producer)
{
    if (producer->undue != 0)
        set_expectation(producer, 0, producer->fences);
}

/* The sleepers, after what they ask for was done. */
static uint64_t attend_to_sleepers(struct mapring_producer *producer)
{
    uint64_t sleepers = load64_relaxed(producer->sleepers);
    if ((sleepers & SLEEPERS_WANT_FENCES) != 0 && !producer->must_fence) {
        producer->must_fence = true;
        promise_fences(producer, true);
        store64_relaxed(&producer->ring.stream->fence, MAPRING_FENCE_FULL);
    }
    if ((sleepers & SLEEPERS_CHANGED) != 0)
        and64(producer->sleepers, ~SLEEPERS_CHANGED);
    /* Pairs with the release fence in set_wake_at(). */
    return load64_acquire(producer->sleepers) & ALL_SLEEPERS;
}

/*
 * Wakes all sleepers but those who are not due. If less time has passed since the last wake than that took, the stream
 * is dense, and falling asleep should stay expensive: otherwise consumers are asleep again at once, all are woken for
 * every message, and nobody gets to do anything else (tests/process/crowd.c).
 */
static void wake(struct mapring_producer *producer, uint64_t undue)
{
    uint64_t begun_ns = platform_clock_ns();
    bool dense = begun_ns - producer->woke_ns < producer->waking_ns;
    set_expectation(producer, undue, producer->must_fence || !dense);
    wake_consumers(&producer->ring, producer->sleeper.parking, ALL_SLEEPERS & ~undue);
    count64(&producer->sleeper.counts->wakes);
    producer->woke_ns = platform_clock_ns();
    producer->waking_ns = producer->woke_ns - begun_ns;
}

void wake_all(struct mapring_producer *producer)
{
    /* Pairs with the fence in wait_fence(). */
    fence_full();
    if (attend_to_sleepers(producer) != 0)
        wake(producer, 0);
    else
        set_expectation(producer, 0, producer->must_fence);
}

void tell_fences(struct mapring_producer *producer)
{
    struct ring *ring = &producer->ring;
    store64_relaxed(&ring->stream->fence, producer->must_fence ? MAPRING_FENCE_FULL : MAPRING_FENCE_ASYMMETRIC);
    /* What another producer promised is over: its fence B is that of wake_all(). */
    store64_relaxed(&ring->readers->news.fencing, producer->fences);
    wake_all(producer);
}

NOINLINE void look_closer(struct mapring_producer *producer)
{
    /* Pairs with the fence in wait_fence(). A publish that does not come here has none, and the sleeper's is a
     * heavy one and stands for both. */
    fence_full();
    if (producer->must_fence && (load64_relaxed(producer->sleepers) & ~SLEEPERS_WANT_FENCES) == producer->undue)
        return;
    uint64_t sleepers = attend_to_sleepers(producer);
    uint64_t undue = find_undue(producer, sleepers);
    if (sleepers != undue) {
        wake(producer, undue);
        return;
    }
    set_expectation(producer, undue, producer->must_fence);
    if (sleepers != 0)
        count64(&producer->sleeper.counts->avoided);
}

void look_as_asked(struct mapring_producer *producer, uint32_t flags)
{
    if ((flags & MAPRING_WAKE_NEVER) != 0)
        return;
    if ((flags & MAPRING_WAKE_ALWAYS) == 0) {
        if (load64_relaxed(producer->sleepers) != producer->no_sleepers)
            look_closer(producer);
        return;
    }
    /* Pairs as in look_closer(). */
    if (producer->fences)
        fence_full();
    if ((load64_relaxed(producer->sleepers) & ~SLEEPERS_WANT_FENCES) != 0 || !producer->fences)
        wake_all(producer);
}

int32_t mapring_wake(mapring_producer *producer)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    end_run(producer);
    /* Pairs as in look_closer(). */
    if (producer->fences)
        fence_full();
    if ((load64_relaxed(producer->sleepers) & ~SLEEPERS_WANT_FENCES) != 0)
        wake_all(producer);
    return MAPRING_OK;
}

int32_t mapring_producer_set_waiting(mapring_producer *producer, uint32_t waiting)
{
    return producer != NULL && sleeper_set_waiting(&producer->sleeper, waiting) ? MAPRING_OK : MAPRING_INVALID_ARGUMENT;
}

int32_t mapring_producer_cancel(mapring_producer *producer)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    wait_cancel(&producer->sleeper);
    return MAPRING_OK;
}
