/*
 * What the conductor and the members of the running crew share. There is one board: crews take turns.
 */
#ifndef MAPRING_BENCH_BOARD_H
#define MAPRING_BENCH_BOARD_H

#include "atomic.h"
#include "crew.h"

/* Each word on a block of its own. */
struct line64 {
    shared64 word;
    uint8_t unused[120];
};

struct line32 {
    shared32 word;
    uint8_t unused[124];
};

struct member_words {
    shared64 words[CREW_WORDS];
    uint8_t unused[128 - CREW_WORDS * 8];
};

struct board {
    struct line64 stop;
    struct line32 arrived; /* of the members, in crew_meet() */
    struct line32 meetings;
    struct line64 done_ns[MEMBERS_MAX];
    struct member_words words[MEMBERS_MAX];
    struct line64 lost;
    struct histogram histogram;
};

/* What goes down to a member, and comes up from it. */
struct order {
    struct job job;
};

enum answer_kind {
    ANSWER_READY,  /* opened */
    ANSWER_DONE,   /* the job, or as much of it as there was time for */
    ANSWER_UNABLE, /* and ends */
    ANSWER_FAULT   /* something that must not be; and ends */
};

struct answer {
    enum answer_kind kind;
    double ns;                      /* from the driver */
    double trip_before, trip_after; /* from the driver; 0: not looked at */
    uint64_t elapsed_ns;
    uint64_t waited_ns; /* for a processor */
    char text[160];
};

extern struct board *board;

/* The life of one member: from being forked to the end of its process. */
struct membership {
    const struct crew *crew;
    unsigned member;
    int link;
    int cpu; /* negative: not pinned */
    bool crowded;
    bool sleeps; /* in meetings */
};

void member_live(const struct membership *membership);

/* In a process of threads: all of them. */
void members_live(const struct membership *memberships, unsigned count);

#endif
