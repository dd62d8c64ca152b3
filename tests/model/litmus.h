/*
 * Small programs whose outcomes are known: the checker is checked with them.
 */
#ifndef MAPRING_MODEL_LITMUS_H
#define MAPRING_MODEL_LITMUS_H

#include "model.h"

#define REGISTERS_MAX 6

struct litmus {
    struct model_program program;
    bool (*allowed)(const uint32_t *); /* whether RC11 allows this outcome */
    uint32_t registers;
    uint32_t max[REGISTERS_MAX]; /* of the values that each can have */
};

extern const struct litmus litmus_tests[];
extern const uint32_t litmus_count;

/* Programs of which it is known whether the checker must find fault with them. */
struct litmus_fault {
    struct model_program program;
    const char *failure; /* the start of what must be found; NULL: nothing */
};

extern const struct litmus_fault litmus_faults[];
extern const uint32_t litmus_fault_count;

/* The same for what RC11 has no classic tests of: swaps, reads that may race, deaths (litmus_more.c). */
extern const struct litmus more_litmus_tests[];
extern const uint32_t more_litmus_count;
extern const struct litmus_fault more_litmus_faults[];
extern const uint32_t more_litmus_fault_count;

/* The registers of the program that runs. */
extern uint32_t litmus_register[REGISTERS_MAX];
#define R litmus_register

/* Words of their own lines. */
enum { X, Y, Z };
void *litmus_word(uint32_t number);
const char *litmus_name_word(uint64_t offset);
void litmus_setup(void);

/* A thread, the outcomes that are allowed, a test made of them. */
#define THREAD(name) static void name(void)
#define ALLOWED(name, condition)                                                                                       \
    static bool name(const uint32_t *r)                                                                                \
    {                                                                                                                  \
        return condition;                                                                                              \
    }
#define LITMUS(title, count, outcome, ...)                                                                             \
    .program = {.name = title,                                                                                         \
                .thread_count = count,                                                                                 \
                .setup = litmus_setup,                                                                                 \
                .name_word = litmus_name_word,                                                                         \
                __VA_ARGS__},                                                                                          \
    .allowed = outcome

static inline uint32_t litmus_load(uint32_t word, enum model_order order, const struct model_site *site)
{
    return (uint32_t)model_load(litmus_word(word), 8, order, site);
}

static inline uint32_t litmus_add(uint32_t word, uint64_t value, enum model_order order, const struct model_site *site)
{
    return (uint32_t)model_update(litmus_word(word), 8, MODEL_ADD, value, order, site);
}

/* Accesses, with the line they stand in. */
#define WORD_LOAD(word, order) litmus_load(word, MODEL_##order, MODEL_SITE(#word, MODEL_LOAD, MODEL_##order))
#define WORD_STORE(word, value, order)                                                                                 \
    model_store(litmus_word(word), 8, value, MODEL_##order, MODEL_SITE(#word, MODEL_STORE, MODEL_##order))
#define WORD_ADD(word, value, order)                                                                                   \
    litmus_add(word, value, MODEL_##order, MODEL_SITE(#word, MODEL_UPDATE, MODEL_##order))
#define WORD_SWAP(word, expected, value, order)                                                                        \
    model_compare_and_swap(litmus_word(word), expected, value, MODEL_##order,                                          \
                           MODEL_SITE(#word, MODEL_UPDATE, MODEL_##order))
#define FENCE(order) model_fence(MODEL_##order, MODEL_SITE("fence", MODEL_FENCE, MODEL_##order))
#define FENCE_FULL() model_fence_full(MODEL_SITE("fence", MODEL_FENCE_FULL, 0))

#endif
