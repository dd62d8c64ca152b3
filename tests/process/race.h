/*
 * Races between falling asleep and waking: again and again one side is about to sleep, and at that moment, give or take
 * some microseconds, the other side brings what it waits for.
 */
#ifndef MAPRING_TESTS_RACE_H
#define MAPRING_TESTS_RACE_H

#include "traffic.h"

/*
 * When a wakeup is lost, the sleeper finds out at the end of its quantum of 100 ms. So it was late if what was waited
 * for lay there for a long time, the whole wait took the quantum, and it was not for want of a processor, which the
 * kernel tells, nor because the machine itself, if it is a virtual one, had none.
 */
#define LATE_NS (50 * MS)
#define QUANTUM_NS (99 * MS)

struct race {
    uint64_t rounds;
    uint32_t waiting; /* MAPRING_WAIT_ADAPTIVE, ... */
    /* Who may not use membarrier(2). */
    bool producer_refused;
    bool consumer_refused;
};

/* The consumer waits for messages; the producer waits for room. They fail when wakeups are lost. */
void race_for_news(const struct race *race);
void race_for_room(const struct race *race);

#endif
