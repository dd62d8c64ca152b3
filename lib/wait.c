#include "wait.h"

#include <mapring/wait.h>

#include "record.h"

/*
 * Adaptive waiting. What sleeping and being woken costs is a few times 10 us on most machines, so who spins longer
 * than that should have slept. A spin that was in vain halves the next one, down to none; one that was not, or one in a
 * number of sleeps that tries again, brings it back.
 */
#define SPIN_MAX_NS 20000u
#define SPIN_MIN_NS 1000u
#define SPIN_RETRY_PARKS 32u

/* Looks between two at the clock. */
#define SPINS 64

bool sleeper_set_waiting(struct sleeper *sleeper, uint32_t waiting)
{
    if (waiting > MAPRING_WAIT_PARK)
        return false;
    sleeper->waiting = waiting;
    sleeper->spin_ns = SPIN_MAX_NS;
    return true;
}

bool wait_take_cancel(struct sleeper *sleeper)
{
    if (load64_relaxed(&sleeper->cancelled) == 0)
        return false;
    store64_relaxed(&sleeper->cancelled, 0);
    return true;
}

void wait_cancel(struct sleeper *sleeper)
{
    store64_relaxed(&sleeper->cancelled, 1);
    /* Pairs with the fences in wait_fence() and raise_all(), which come between saying where it waits and the look
     * whether it was cancelled. */
    fence_full();
    /* Pairs with the release store of who opened it. */
    uint64_t descriptor = load64_acquire(&sleeper->descriptor);
    if (descriptor != 0)
        platform_descriptor_set((struct platform_descriptor *)(uintptr_t)descriptor);
    if (sleeper->bell == NULL)
        return;
    /* Either the sleeper remembers the new doorbell, and so sees why it changed, or it does not sleep on the old one.
     * Pairs as in ring_bell(). */
    fetch_add32(&sleeper->bell->doorbell, 1);
    platform_wake(sleeper->parking, &sleeper->bell->doorbell, sleeper_bit(sleeper->number), sleeper->number,
                  sleeper->number);
}

/* Looks again and again, until what is waited for is there or the time is over. */
static bool spin(struct sleeper *sleeper, uint64_t duration_ns)
{
    uint64_t end = 0;
    do {
        for (int i = 0; i < SPINS; i++) {
            if (sleeper->ready(sleeper->context))
                return true;
            spin_pause();
        }
        if (end == 0)
            end = platform_clock_ns() + duration_ns;
        else if (load64_relaxed(&sleeper->cancelled) != 0)
            return false;
    } while (platform_clock_ns() < end);
    return false;
}

bool wait_spin(struct sleeper *sleeper)
{
    if (sleeper->waiting == MAPRING_WAIT_PARK)
        return false;
    if (sleeper->spin_ns == 0) {
        if (++sleeper->parks < SPIN_RETRY_PARKS)
            return false;
        sleeper->parks = 0;
        sleeper->spin_ns = SPIN_MIN_NS;
    }
    bool ready = spin(sleeper, sleeper->spin_ns);
    sleeper->spin_ns = ready ? SPIN_MAX_NS : sleeper->spin_ns / 2 < SPIN_MIN_NS ? 0 : sleeper->spin_ns / 2;
    return ready;
}

static enum wait_result spin_only(struct sleeper *sleeper, uint64_t deadline_ns)
{
    uint64_t now = platform_clock_ns();
    bool late = deadline_ns < now + QUANTUM_NS;
    if (spin(sleeper, late ? (deadline_ns > now ? deadline_ns - now : 0) : QUANTUM_NS))
        return WAIT_READY;
    if (wait_take_cancel(sleeper))
        return WAIT_CANCELLED;
    return late ? WAIT_DEADLINE : WAIT_QUANTUM;
}

uint32_t wait_raise(struct sleeper *sleeper)
{
    struct bell *bell = sleeper->bell;
    /* Pairs with the change of the doorbell in ring_bell(): who remembers the new one sees its cause in ready(). */
    uint32_t remembered = load32_acquire(&bell->doorbell);
    or64(&bell->sleepers, sleeper_bit(sleeper->number));
    return remembered;
}

bool wait_is_covered(struct sleeper *sleeper, bool fenced)
{
    if (fenced || sleeper->peer_fences(sleeper->context)) {
        sleeper->unfenced_ns = 0;
        return true;
    }
    or64(&sleeper->bell->sleepers, SLEEPERS_WANT_FENCES);
    return false;
}

bool wait_fence(struct sleeper *sleeper)
{
    /* Pairs with the other side's fence: either it sees the bit that was raised, or ready() sees what it stored. What
     * it says of its fences comes behind this one, as in promise_fences() and consumers_fence(). */
    fence_full();
    /* If it has none, the heavy one stands for both; if that is refused, it is asked again. */
    return wait_is_covered(sleeper, sleeper->peer_fences(sleeper->context) || platform_heavy_fence());
}

uint64_t wait_unfenced_ns(struct sleeper *sleeper)
{
    uint64_t ns = sleeper->unfenced_ns;
    sleeper->unfenced_ns = ns == 0 ? UNFENCED_QUANTUM_NS : min64(2 * ns, UNFENCED_QUANTUM_MAX_NS);
    return sleeper->unfenced_ns;
}

bool wait_is_raised(const struct sleeper *sleeper)
{
    return (load64_relaxed(&sleeper->bell->sleepers) & sleeper_bit(sleeper->number)) != 0;
}

void wait_at_address(struct sleeper *sleeper, uint64_t address)
{
    store64_relaxed(sleeper->address, address);
    or64(&sleeper->bell->distant, sleeper_bit(sleeper->number));
    /* Pairs with the update in ring_bell(): who lowers the bit that is raised from here on sees both. */
    fence_release();
}

enum wait_result wait_once(struct sleeper *sleeper, uint64_t deadline_ns)
{
    if (sleeper->waiting == MAPRING_WAIT_SPIN)
        return spin_only(sleeper, deadline_ns);
    if (wait_spin(sleeper)) {
        count64(&sleeper->counts->avoided);
        return WAIT_READY;
    }

    struct bell *bell = sleeper->bell;
    uint64_t quantum_end = platform_clock_ns() + QUANTUM_NS;
    for (;;) {
        uint32_t remembered = wait_raise(sleeper);
        bool covered = wait_fence(sleeper);
        if (sleeper->ready(sleeper->context)) {
            count64(&sleeper->counts->avoided);
            return WAIT_READY;
        }
        if (wait_take_cancel(sleeper))
            return WAIT_CANCELLED;

        uint64_t now = platform_clock_ns();
        if (now >= deadline_ns)
            return WAIT_DEADLINE;
        if (now >= quantum_end)
            return WAIT_QUANTUM;
        uint64_t until = covered ? quantum_end : min64(quantum_end, now + wait_unfenced_ns(sleeper));
        count64(&sleeper->counts->parks);
        platform_park(sleeper->parking, &bell->doorbell, remembered, min64(until, deadline_ns));
        /* Before the bit and the fence again, which are for who sleeps on. */
        if (sleeper->ready(sleeper->context))
            return WAIT_READY;
        count64(&sleeper->counts->spurious);
    }
}

/* Makes the descriptors ready of sleepers `first` to `last`, of those `which`. */
static NOINLINE void ring_descriptors(const struct ring *ring, struct platform_parking *parking, uint64_t which,
                                      uint32_t first, uint32_t last)
{
    for (uint32_t number = first; number <= last; number++) {
        if ((which & sleeper_bit(number)) == 0)
            continue;
        uint64_t address = number == PRODUCER_NUMBER
                               ? load64_relaxed(&ring->stream->address)
                               : load64_relaxed(&ring->readers->slots[number - SLOT_NUMBER(0)].address);
        if (address != 0)
            platform_descriptor_ring(parking, ring->segment, number, address);
    }
}

/* Sleepers `first` to `last`, of those `which`, on this bell. */
static void ring_bell(const struct ring *ring, struct bell *bell, struct platform_parking *parking, uint64_t which,
                      uint32_t first, uint32_t last)
{
    uint64_t sleepers = load64_relaxed(&bell->sleepers) & which;
    /* Lowered before the doorbell changes: who raises its bit in between has remembered the old doorbell, and does not
     * fall asleep; who raises it later is seen next time. Acquire: pairs with the fence in wait_at_address(). The bit
     * may have been raised again since we saw it, with an address, and is gone now: so who lowers it must know that. */
    and64_acquire(&bell->sleepers, ~sleepers);
    /* Release: pairs with the acquire of the doorbell in wait_raise(). */
    fetch_add32(&bell->doorbell, 1);
    platform_wake(parking, &bell->doorbell, sleepers, first, last);
    uint64_t distant = sleepers & load64_relaxed(&bell->distant);
    if (UNLIKELY(distant != 0))
        ring_descriptors(ring, parking, distant, first, last);
}

void wake_consumers(const struct ring *ring, struct platform_parking *parking, uint64_t which)
{
    ring_bell(ring, &ring->readers->news, parking, which, SLOT_NUMBER(0), ring->geometry.slot_count);
}

void wake_producer(const struct ring *ring, struct platform_parking *parking)
{
    ring_bell(ring, &ring->readers->room, parking, ALL_SLEEPERS, PRODUCER_NUMBER, PRODUCER_NUMBER);
}

uint64_t deadline_after(int64_t timeout_ns)
{
    uint64_t now = platform_clock_ns();
    return (uint64_t)timeout_ns > UINT64_MAX / 2 - now ? UINT64_MAX / 2 : now + (uint64_t)timeout_ns;
}
