/*
 * The search through executions: its choices (explore.c), and whose turn it is (turns.c).
 */
#ifndef MAPRING_MODEL_SEARCH_H
#define MAPRING_MODEL_SEARCH_H

#include "core.h"

enum node_kind { NODE_THREAD, NODE_CHOICE };

/* One choice of the current execution. Sets of threads are bits. */
struct node {
    uint8_t kind;
    uint8_t chosen;
    uint8_t count; /* of a choice */

    /* Of the next thread: */
    uint8_t enabled;
    uint8_t backtrack; /* to be tried, */
    uint8_t done;      /* and tried */
    uint8_t asleep;    /* tried elsewhere; only what was stored after the watermark is new */
    uint8_t barred;    /* asleep, and nothing is new */
    uint64_t serial;   /* of the next store at this point */
    uint64_t watermark[MODEL_THREADS_MAX];
};

struct search {
    const struct model_options *options;
    struct node *nodes; /* the choices of the current execution, */
    uint32_t node_count;
    uint32_t depth;     /* and how many of them it has made */
    const char *replay; /* choices that are given, or NULL */
};

extern struct search search;

/* explore.c */

/* Whether what commutes is tried in one order only. */
static inline bool reduces(void)
{
    return !search.options->no_reduction && !search.options->random && search.replay == NULL;
}

uint64_t random_word(void);

/* The choices of an execution as text. */
void record(uint32_t choice);
uint32_t next_recorded(uint32_t otherwise);

/* The next choice: a new one, or that which was made before. */
struct node *push(enum node_kind kind);
const struct node *next_node(enum node_kind kind);

/* The first thread of a set. */
static inline uint32_t lowest(uint32_t set)
{
    return (uint32_t)__builtin_ctz(set);
}

/* turns.c */
void turns_reset(void);
uint32_t turn_pick(void); /* who is next */
void turn_begin(void);    /* the turn is the current thread's */

#endif
