/*
 * Litmus tests of compare-and-swap, of reads that may race, and of what the dead leave.
 */
#include <stddef.h>

#include "core.h"
#include "litmus.h"

/* Compare-and-swap. */

THREAD(swap_0_1)
{
    R[0] = WORD_SWAP(X, 0, 1, RELAXED);
}
THREAD(swap_0_2)
{
    R[1] = WORD_SWAP(X, 0, 2, RELAXED);
}
THREAD(swap_1_2)
{
    R[1] = WORD_SWAP(X, 1, 2, RELAXED);
}
THREAD(swap_2_3)
{
    R[2] = WORD_SWAP(X, 2, 3, RELAXED);
}
THREAD(final_x)
{
    R[2] = WORD_LOAD(X, RELAXED);
}
ALLOWED(one_swaps, r[0] != r[1] && r[2] == (r[0] == 1 ? 1 : 2))
ALLOWED(swap_by_swap, r[0] == 1 && r[2] <= r[1])

THREAD(store_one)
{
    WORD_STORE(X, 1, RELAXED);
}
ALLOWED(store_wins, r[0] == 0 && r[2] == 1)

THREAD(mp_write)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELAXED);
}
THREAD(mp_write_release)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELEASE);
}
THREAD(mp_write_swap)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_SWAP(Y, 0, 1, ACQUIRE_RELEASE);
}
THREAD(mp_write_swap_relaxed)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_SWAP(Y, 0, 1, RELAXED);
}
THREAD(mp_write_failed_swap)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_SWAP(Z, 7, 8, ACQUIRE_RELEASE);
    WORD_STORE(Y, 1, RELAXED);
}
THREAD(mp_swap_of_x)
{
    R[0] = WORD_LOAD(Y, RELAXED);
    R[1] = WORD_SWAP(X, 1, 2, ACQUIRE_RELEASE);
}
THREAD(mp_read)
{
    R[0] = WORD_LOAD(Y, ACQUIRE);
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(mp_read_by_swap)
{
    R[0] = WORD_SWAP(Y, 1, 2, ACQUIRE_RELEASE);
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(mp_read_by_failed_swap)
{
    R[0] = !WORD_SWAP(Y, 0, 5, ACQUIRE_RELEASE);
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(mp_read_by_failed_swap_relaxed)
{
    R[0] = !WORD_SWAP(Y, 0, 5, RELAXED);
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(swap_y_1_2)
{
    WORD_SWAP(Y, 1, 2, RELAXED);
}
ALLOWED(all, r != NULL)
ALLOWED(ordered, r[0] == 0 || r[1] == 1)

THREAD(sb_left_swap)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_SWAP(Z, 0, 1, ACQUIRE_RELEASE);
    R[0] = WORD_LOAD(Y, RELAXED);
}
THREAD(sb_right_swap)
{
    WORD_STORE(Y, 1, RELAXED);
    WORD_SWAP(Z, 7, 8, ACQUIRE_RELEASE);
    R[1] = WORD_LOAD(X, RELAXED);
}

/* A seqlock over plain data: two words at Y. */

static const uint64_t ones[2] = {1, 1};

THREAD(plain_seq_write)
{
    WORD_STORE(X, 1, RELAXED);
    FENCE(RELEASE);
    model_write(litmus_word(Y), ones, sizeof ones, MODEL_SITE("y", MODEL_COPY, 0));
    WORD_STORE(X, 2, RELEASE);
}
THREAD(plain_seq_write_unfenced)
{
    WORD_STORE(X, 1, RELAXED);
    model_write(litmus_word(Y), ones, sizeof ones, MODEL_SITE("y", MODEL_COPY, 0));
    WORD_STORE(X, 2, RELEASE);
}
static void read_racing(void)
{
    uint64_t words[2];
    model_read_racing(words, litmus_word(Y), sizeof words, MODEL_SITE("y", MODEL_COPY, 0));
    R[1] = (uint32_t)words[0];
    R[2] = (uint32_t)words[1];
}
THREAD(plain_seq_read)
{
    R[0] = WORD_LOAD(X, ACQUIRE);
    read_racing();
    FENCE(ACQUIRE);
    R[3] = WORD_LOAD(X, RELAXED);
}
THREAD(plain_seq_read_unfenced)
{
    R[0] = WORD_LOAD(X, ACQUIRE);
    read_racing();
    R[3] = WORD_LOAD(X, RELAXED);
}
ALLOWED(seq_ordered, r[3] >= r[0] && (r[0] != 2 || (r[1] == 1 && r[2] == 1)) && ((r[1] == 0 && r[2] == 0) || r[3] >= 1))
ALLOWED(seq_torn, r[3] >= r[0] && (r[0] != 2 || (r[1] == 1 && r[2] == 1)))

/* What the dead leave. */

THREAD(die_relaxed)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELAXED);
    model_die();
}
THREAD(die_plain)
{
    model_write(litmus_word(X), ones, 8, MODEL_SITE("x", MODEL_COPY, 0));
    WORD_STORE(Y, 1, RELAXED);
    model_die();
}
THREAD(die_release)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELEASE);
    model_die();
}
THREAD(die_fence)
{
    WORD_STORE(X, 1, RELAXED);
    FENCE(RELEASE);
    WORD_STORE(Y, 1, RELAXED);
    model_die();
}
THREAD(die_after_release)
{
    WORD_STORE(X, 1, RELEASE);
    WORD_STORE(Y, 1, RELAXED);
    model_die();
}
THREAD(see_x)
{
    R[0] = WORD_LOAD(X, RELAXED);
}
THREAD(final_two)
{
    R[1] = WORD_LOAD(X, RELAXED);
    R[2] = WORD_LOAD(Y, RELAXED);
}
ALLOWED(what_was_seen_is_there, r[1] >= r[0])
ALLOWED(in_order, r[1] >= r[0] && r[1] >= r[2])

const struct litmus more_litmus_tests[] = {
    {LITMUS("two swaps", 2, one_swaps, .threads = {swap_0_1, swap_0_2}, .finish = final_x), 3, {1, 1, 2}},
    {LITMUS("swap by swap", 3, swap_by_swap, .threads = {swap_0_1, swap_1_2, swap_2_3}), 3, {1, 1, 1}},
    {LITMUS("a swap and a store", 2, store_wins, .threads = {store_one, swap_0_2}, .finish = final_x), 3, {1, 1, 2}},
    {LITMUS("a swap may fail on an older store", 2, all, .threads = {mp_write, mp_swap_of_x}), 2, {1, 1}},
    {LITMUS("MP by a swap", 2, ordered, .threads = {mp_write_swap, mp_read}), 2, {1, 1}},
    {LITMUS("MP by a relaxed swap", 2, all, .threads = {mp_write_swap_relaxed, mp_read}), 2, {1, 1}},
    {LITMUS("MP to a swap", 2, ordered, .threads = {mp_write_release, mp_read_by_swap}), 2, {1, 1}},
    {LITMUS("MP to a swap that fails", 2, ordered, .threads = {mp_write_release, mp_read_by_failed_swap}), 2, {1, 1}},
    {LITMUS("MP to a relaxed swap that fails", 2, all, .threads = {mp_write_release, mp_read_by_failed_swap_relaxed}),
     2,
     {1, 1}},
    {LITMUS("a swap that fails releases nothing", 2, all, .threads = {mp_write_failed_swap, mp_read}), 2, {1, 1}},
    {LITMUS("release sequence through a swap", 3, ordered, .threads = {mp_write_release, swap_y_1_2, mp_read}),
     2,
     {2, 1}},
    {LITMUS("Dekker, swaps for fences", 2, all, .threads = {sb_left_swap, sb_right_swap}), 2, {1, 1}},

    {LITMUS("seqlock over plain data", 2, seq_ordered, .threads = {plain_seq_write, plain_seq_read}), 4, {2, 1, 1, 2}},
    {LITMUS("the same, no fence in the writer", 2, seq_torn, .threads = {plain_seq_write_unfenced, plain_seq_read}),
     4,
     {2, 1, 1, 2}},
    {LITMUS("the same, no fence in the reader", 2, seq_torn, .threads = {plain_seq_write, plain_seq_read_unfenced}),
     4,
     {2, 1, 1, 2}},

    {LITMUS("death between stores", 2, what_was_seen_is_there, .threads = {die_relaxed, see_x}, .finish = final_two,
            .mortal = 1),
     3,
     {1, 1, 1}},
    {LITMUS("death between plain stores", 2, all, .threads = {die_plain}, .finish = final_two, .mortal = 1),
     3,
     {0, 1, 1}},
    {LITMUS("death before a release", 2, in_order, .threads = {die_release, see_x}, .finish = final_two, .mortal = 1),
     3,
     {1, 1, 1}},
    {LITMUS("death behind a fence", 2, in_order, .threads = {die_fence, see_x}, .finish = final_two, .mortal = 1),
     3,
     {1, 1, 1}},
    {LITMUS("death behind a release", 2, what_was_seen_is_there, .threads = {die_after_release, see_x},
            .finish = final_two, .mortal = 1),
     3,
     {1, 1, 1}},
};

const uint32_t more_litmus_count = sizeof more_litmus_tests / sizeof *more_litmus_tests;

/* Faults. */

static const uint64_t payload = 7;

static void write_if(bool held)
{
    if (!held)
        return;
    model_write(litmus_word(X), &payload, 8, MODEL_SITE("x", MODEL_COPY, 0));
    WORD_STORE(Y, 0, RELEASE);
}
THREAD(swap_and_write)
{
    write_if(WORD_SWAP(Y, 0, 1, ACQUIRE_RELEASE));
}
THREAD(swap_relaxed_and_write)
{
    write_if(WORD_SWAP(Y, 0, 1, RELAXED));
}
THREAD(write_plain)
{
    model_write(litmus_word(X), &payload, 8, MODEL_SITE("x", MODEL_COPY, 0));
}
THREAD(load_plain_racing)
{
    model_load_racing(litmus_word(X), 8, MODEL_ACQUIRE, MODEL_SITE("x", MODEL_LOAD, MODEL_ACQUIRE));
}
THREAD(read_plain_racing)
{
    uint64_t word;
    model_read_racing(&word, litmus_word(X), 8, MODEL_SITE("x", MODEL_COPY, 0));
}

const struct litmus_fault more_litmus_faults[] = {
    {{.name = "a lock by swaps", .thread_count = 3, .threads = {swap_and_write, swap_and_write, swap_and_write}}, NULL},
    {{.name = "a lock by relaxed swaps",
      .thread_count = 2,
      .threads = {swap_relaxed_and_write, swap_relaxed_and_write}},
     "data race"},
    {{.name = "plain data and loads that may race", .thread_count = 2, .threads = {write_plain, load_plain_racing}},
     NULL},
    {{.name = "plain data and reads that may race", .thread_count = 2, .threads = {write_plain, read_plain_racing}},
     NULL},
    {{.name = "two who write plain data", .thread_count = 2, .threads = {write_plain, write_plain}}, "data race"},
};

const uint32_t more_litmus_fault_count = sizeof more_litmus_faults / sizeof *more_litmus_faults;
