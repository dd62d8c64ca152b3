#include "wait.h"

#include "record.h"

/* About what parking and waking costs: who spins longer than that should have slept. */
#define SPINS 100

/* After this long a sleeper looks for itself: the death of a waker loses its wakeups. */
#define QUANTUM_NS 100000000u

/* The same while the other side is not known to fence, so that a wakeup can be missed. */
#define UNFENCED_QUANTUM_NS 1000000u

enum wait_result wait_once(const struct sleeper *sleeper, uint64_t deadline_ns)
{
    for (int i = 0; i < SPINS; i++) {
        if (sleeper->ready(sleeper->context))
            return WAIT_READY;
        spin_pause();
    }

    struct bell *bell = sleeper->bell;
    uint64_t quantum_end = platform_clock_ns() + QUANTUM_NS;
    for (;;) {
        /* Pairs with the change of the doorbell in bell_ring(): who remembers the new one sees its cause in ready(). */
        uint32_t remembered = load32_acquire(&bell->doorbell);
        or64(&bell->sleepers, (uint64_t)1 << sleeper->number % PLATFORM_SLEEPER_BITS);
        /* Pairs with the other side's fence, or, if that is asymmetric, stands for both: either it sees the bit that
         * was raised, or ready() sees what it stored. */
        bool covered = platform_heavy_fence() || sleeper->peer_fences(sleeper->context);
        if (!covered)
            or64(&bell->sleepers, SLEEPERS_WANT_FENCES);
        if (sleeper->ready(sleeper->context))
            return WAIT_READY;

        uint64_t now = platform_clock_ns();
        if (now >= deadline_ns)
            return WAIT_DEADLINE;
        if (now >= quantum_end)
            return WAIT_QUANTUM;
        uint64_t until = covered ? quantum_end : min64(quantum_end, now + UNFENCED_QUANTUM_NS);
        platform_park(sleeper->parking, &bell->doorbell, remembered, min64(until, deadline_ns));
        /* Before the bit and the heavy fence again, which are for who sleeps on. */
        if (sleeper->ready(sleeper->context))
            return WAIT_READY;
    }
}

void bell_ring(struct bell *bell, struct platform_parking *parking, uint32_t first, uint32_t last)
{
    uint64_t sleepers = load64_relaxed(&bell->sleepers) & ~SLEEPERS_WANT_FENCES;
    /* Lowered before the doorbell changes: who raises its bit in between has remembered the old doorbell, and does not
     * fall asleep; who raises it later is seen next time. */
    and64(&bell->sleepers, ~sleepers);
    /* Release: pairs with the acquire of the doorbell in wait_once(). */
    fetch_add32(&bell->doorbell, 1);
    platform_wake(parking, &bell->doorbell, sleepers, first, last);
}

uint64_t deadline_after(int64_t timeout_ns)
{
    uint64_t now = platform_clock_ns();
    return (uint64_t)timeout_ns > UINT64_MAX / 2 - now ? UINT64_MAX / 2 : now + (uint64_t)timeout_ns;
}
