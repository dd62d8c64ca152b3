#include "litmus.h"

#include <string.h>

uint32_t litmus_register[REGISTERS_MAX];

#define WORDS_OFFSET ((uint64_t)128 << 10)

void *litmus_word(uint32_t number)
{
    return model_shared(WORDS_OFFSET + (uint64_t)number * 64);
}

void litmus_setup(void)
{
    model_shared_used(WORDS_OFFSET, 1024);
    memset(R, 0, sizeof R);
}

const char *litmus_name_word(uint64_t offset)
{
    static const char *const names[] = {"x", "y", "z", "u", "v", "w"};
    uint64_t number = (offset - WORDS_OFFSET) / 64;
    return number < 6 ? names[number] : NULL;
}

/* Message passing. */

THREAD(mp_write_relaxed)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELAXED);
}
THREAD(mp_write_release)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELEASE);
}
THREAD(mp_write_fence)
{
    WORD_STORE(X, 1, RELAXED);
    FENCE(RELEASE);
    WORD_STORE(Y, 1, RELAXED);
}
THREAD(mp_read_relaxed)
{
    R[0] = WORD_LOAD(Y, RELAXED);
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(mp_read_acquire)
{
    R[0] = WORD_LOAD(Y, ACQUIRE);
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(mp_read_fence)
{
    R[0] = WORD_LOAD(Y, RELAXED);
    FENCE(ACQUIRE);
    R[1] = WORD_LOAD(X, RELAXED);
}
ALLOWED(anything, r != NULL)
ALLOWED(mp_ordered, !(r[0] == 1 && r[1] == 0))

/* Store buffering, which is Dekker's. */

THREAD(sb_left)
{
    WORD_STORE(X, 1, RELEASE);
    R[0] = WORD_LOAD(Y, ACQUIRE);
}
THREAD(sb_right)
{
    WORD_STORE(Y, 1, RELEASE);
    R[1] = WORD_LOAD(X, ACQUIRE);
}
THREAD(sb_left_fence)
{
    WORD_STORE(X, 1, RELAXED);
    FENCE_FULL();
    R[0] = WORD_LOAD(Y, RELAXED);
}
THREAD(sb_right_fence)
{
    WORD_STORE(Y, 1, RELAXED);
    FENCE_FULL();
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(sb_left_plain)
{
    WORD_STORE(X, 1, RELAXED);
    R[0] = WORD_LOAD(Y, RELAXED);
}
THREAD(sb_right_heavy)
{
    WORD_STORE(Y, 1, RELAXED);
    model_fence_heavy();
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(sb_left_update)
{
    WORD_ADD(X, 1, ACQUIRE_RELEASE);
    R[0] = WORD_LOAD(Y, RELAXED);
}
THREAD(sb_right_update)
{
    WORD_ADD(Y, 1, ACQUIRE_RELEASE);
    R[1] = WORD_LOAD(X, RELAXED);
}
ALLOWED(sb_ordered, r[0] == 1 || r[1] == 1)

/* Load buffering: 11 is what RC11 excludes and C11 and Arm do not. */

THREAD(lb_left)
{
    R[0] = WORD_LOAD(X, RELAXED);
    WORD_STORE(Y, 1, RELAXED);
}
THREAD(lb_right)
{
    R[1] = WORD_LOAD(Y, RELAXED);
    WORD_STORE(X, 1, RELAXED);
}
ALLOWED(lb_rc11, !(r[0] == 1 && r[1] == 1))

/* Coherence. */

THREAD(store_x_1_2)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(X, 2, RELAXED);
}
THREAD(store_x_1)
{
    WORD_STORE(X, 1, RELAXED);
}
THREAD(store_x_2)
{
    WORD_STORE(X, 2, RELAXED);
}
THREAD(load_x_x_01)
{
    R[0] = WORD_LOAD(X, RELAXED);
    R[1] = WORD_LOAD(X, RELAXED);
}
THREAD(load_x_x_23)
{
    R[2] = WORD_LOAD(X, RELAXED);
    R[3] = WORD_LOAD(X, RELAXED);
}
THREAD(cowr_left)
{
    WORD_STORE(X, 1, RELAXED);
    R[0] = WORD_LOAD(X, RELAXED);
}
THREAD(corw_left)
{
    R[0] = WORD_LOAD(X, RELAXED);
    WORD_STORE(X, 1, RELAXED);
}
THREAD(final_x_0)
{
    R[0] = WORD_LOAD(X, RELAXED);
}
THREAD(final_x_1)
{
    R[1] = WORD_LOAD(X, RELAXED);
}
ALLOWED(corr_one_writer, r[0] <= r[1])
ALLOWED(corr_two_writers, !(r[0] != 0 && r[1] == 0))
ALLOWED(corr_same_order, !(r[0] != 0 && r[1] == 0) && !(r[2] != 0 && r[3] == 0) &&
                             !(r[0] != 0 && r[1] != 0 && r[2] == r[1] && r[3] == r[0] && r[0] != r[1]))
ALLOWED(coww, r[0] == 2)
ALLOWED(cowr, r[0] != 0 && r[1] != 0 && !(r[0] == 2 && r[1] == 1))
ALLOWED(corw, r[1] != 0 && r[0] != 1 && !(r[0] == 2 && r[1] == 2))

/* Independent reads of independent writes. */

THREAD(store_x_release)
{
    WORD_STORE(X, 1, RELEASE);
}
THREAD(store_y_release)
{
    WORD_STORE(Y, 1, RELEASE);
}
THREAD(iriw_xy)
{
    R[0] = WORD_LOAD(X, ACQUIRE);
    R[1] = WORD_LOAD(Y, ACQUIRE);
}
THREAD(iriw_yx)
{
    R[2] = WORD_LOAD(Y, ACQUIRE);
    R[3] = WORD_LOAD(X, ACQUIRE);
}
THREAD(iriw_xy_fence)
{
    R[0] = WORD_LOAD(X, RELAXED);
    FENCE_FULL();
    R[1] = WORD_LOAD(Y, RELAXED);
}
THREAD(iriw_yx_fence)
{
    R[2] = WORD_LOAD(Y, RELAXED);
    FENCE_FULL();
    R[3] = WORD_LOAD(X, RELAXED);
}
ALLOWED(iriw_ordered, !(r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0))

/* 2+2W. */

THREAD(ww_left)
{
    WORD_STORE(X, 1, RELEASE);
    WORD_STORE(Y, 2, RELEASE);
}
THREAD(ww_right)
{
    WORD_STORE(Y, 1, RELEASE);
    WORD_STORE(X, 2, RELEASE);
}
THREAD(ww_left_fence)
{
    WORD_STORE(X, 1, RELAXED);
    FENCE_FULL();
    WORD_STORE(Y, 2, RELAXED);
}
THREAD(ww_right_fence)
{
    WORD_STORE(Y, 1, RELAXED);
    FENCE_FULL();
    WORD_STORE(X, 2, RELAXED);
}
THREAD(final_x_y)
{
    R[0] = WORD_LOAD(X, RELAXED);
    R[1] = WORD_LOAD(Y, RELAXED);
}
ALLOWED(ww_any, r[0] != 0 && r[1] != 0)
ALLOWED(ww_ordered, r[0] != 0 && r[1] != 0 && !(r[0] == 1 && r[1] == 1))

/* ISA2, WRC, RWC. */

THREAD(isa2_middle)
{
    R[0] = WORD_LOAD(Y, ACQUIRE);
    WORD_STORE(Z, 1, RELEASE);
}
THREAD(isa2_right)
{
    R[1] = WORD_LOAD(Z, ACQUIRE);
    R[2] = WORD_LOAD(X, RELAXED);
}
THREAD(wrc_middle)
{
    R[0] = WORD_LOAD(X, RELAXED);
    WORD_STORE(Y, 1, RELEASE);
}
THREAD(wrc_right)
{
    R[1] = WORD_LOAD(Y, ACQUIRE);
    R[2] = WORD_LOAD(X, RELAXED);
}
THREAD(wrc_middle_relaxed)
{
    R[0] = WORD_LOAD(X, RELAXED);
    WORD_STORE(Y, 1, RELAXED);
}
THREAD(wrc_right_relaxed)
{
    R[1] = WORD_LOAD(Y, RELAXED);
    R[2] = WORD_LOAD(X, RELAXED);
}
THREAD(rwc_middle)
{
    R[0] = WORD_LOAD(X, RELAXED);
    FENCE_FULL();
    R[1] = WORD_LOAD(Y, RELAXED);
}
THREAD(rwc_right)
{
    WORD_STORE(Y, 1, RELAXED);
    FENCE_FULL();
    R[2] = WORD_LOAD(X, RELAXED);
}
ALLOWED(all_three, !(r[0] == 1 && r[1] == 1 && r[2] == 0))
ALLOWED(rwc_ordered, !(r[0] == 1 && r[1] == 0 && r[2] == 0))

/* Release sequences. */

THREAD(add_y_2)
{
    WORD_ADD(Y, 2, RELAXED);
}
THREAD(store_y_2)
{
    WORD_STORE(Y, 2, RELAXED);
}
THREAD(rs_same_thread)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELEASE);
    WORD_STORE(Y, 2, RELAXED);
}
THREAD(rs_update_of_other)
{
    WORD_STORE(Z, 1, RELAXED);
    WORD_ADD(Y, 2, RELAXED);
}
THREAD(rs_read_z)
{
    R[0] = WORD_LOAD(Y, ACQUIRE);
    R[1] = WORD_LOAD(Z, RELAXED);
}
ALLOWED(rs_through_update, !((r[0] == 1 || r[0] == 3) && r[1] == 0))
ALLOWED(rs_broken, !(r[0] == 1 && r[1] == 0))

/* Updates. */

THREAD(add_x_0)
{
    R[0] = WORD_ADD(X, 1, RELAXED);
}
THREAD(add_x_1)
{
    R[1] = WORD_ADD(X, 1, RELAXED);
}
THREAD(add_x_2)
{
    R[2] = WORD_ADD(X, 1, RELAXED);
}
ALLOWED(two_updates, r[0] != r[1])
ALLOWED(three_updates, r[0] != r[1] && r[0] != r[2] && r[1] != r[2])

/* Seqlock: X is the sequence, Y and Z what it protects. */

THREAD(seq_write)
{
    WORD_STORE(X, 1, RELAXED);
    FENCE(RELEASE);
    WORD_STORE(Y, 1, RELAXED);
    WORD_STORE(Z, 1, RELAXED);
    WORD_STORE(X, 2, RELEASE);
}
THREAD(seq_write_unfenced)
{
    WORD_STORE(X, 1, RELAXED);
    WORD_STORE(Y, 1, RELAXED);
    WORD_STORE(Z, 1, RELAXED);
    WORD_STORE(X, 2, RELEASE);
}
THREAD(seq_read)
{
    R[0] = WORD_LOAD(X, ACQUIRE);
    R[1] = WORD_LOAD(Y, RELAXED);
    R[2] = WORD_LOAD(Z, RELAXED);
    FENCE(ACQUIRE);
    R[3] = WORD_LOAD(X, RELAXED);
}
THREAD(seq_read_unfenced)
{
    R[0] = WORD_LOAD(X, ACQUIRE);
    R[1] = WORD_LOAD(Y, RELAXED);
    R[2] = WORD_LOAD(Z, RELAXED);
    R[3] = WORD_LOAD(X, RELAXED);
}
ALLOWED(seq_ordered, r[3] >= r[0] && (r[0] != 2 || (r[1] == 1 && r[2] == 1)) && ((r[1] == 0 && r[2] == 0) || r[3] >= 1))
ALLOWED(seq_torn, r[3] >= r[0] && (r[0] != 2 || (r[1] == 1 && r[2] == 1)))

const struct litmus litmus_tests[] = {
    {LITMUS("MP relaxed", 2, anything, .threads = {mp_write_relaxed, mp_read_relaxed}), 2, {1, 1}},
    {LITMUS("MP release, acquire", 2, mp_ordered, .threads = {mp_write_release, mp_read_acquire}), 2, {1, 1}},
    {LITMUS("MP release alone", 2, anything, .threads = {mp_write_release, mp_read_relaxed}), 2, {1, 1}},
    {LITMUS("MP acquire alone", 2, anything, .threads = {mp_write_relaxed, mp_read_acquire}), 2, {1, 1}},
    {LITMUS("MP fences", 2, mp_ordered, .threads = {mp_write_fence, mp_read_fence}), 2, {1, 1}},
    {LITMUS("MP fence, acquire", 2, mp_ordered, .threads = {mp_write_fence, mp_read_acquire}), 2, {1, 1}},
    {LITMUS("MP release, fence", 2, mp_ordered, .threads = {mp_write_release, mp_read_fence}), 2, {1, 1}},
    {LITMUS("MP release fence alone", 2, anything, .threads = {mp_write_fence, mp_read_relaxed}), 2, {1, 1}},
    {LITMUS("MP acquire fence alone", 2, anything, .threads = {mp_write_relaxed, mp_read_fence}), 2, {1, 1}},

    {LITMUS("SB release, acquire", 2, anything, .threads = {sb_left, sb_right}), 2, {1, 1}},
    {LITMUS("Dekker, full fences", 2, sb_ordered, .threads = {sb_left_fence, sb_right_fence}), 2, {1, 1}},
    {LITMUS("Dekker, one fence missing", 2, anything, .threads = {sb_left_plain, sb_right_fence}), 2, {1, 1}},
    {LITMUS("Dekker, updates for fences", 2, anything, .threads = {sb_left_update, sb_right_update}), 2, {1, 1}},
    {LITMUS("Dekker, heavy fence on one side", 2, sb_ordered, .threads = {sb_left_plain, sb_right_heavy}, .heavy = 3),
     2,
     {1, 1}},
    {LITMUS("Dekker, heavy fence that does not reach", 2, anything, .threads = {sb_left_plain, sb_right_heavy},
            .heavy = 2),
     2,
     {1, 1}},
    {LITMUS("LB", 2, lb_rc11, .threads = {lb_left, lb_right}), 2, {1, 1}},

    {LITMUS("CoRR", 2, corr_one_writer, .threads = {store_x_1_2, load_x_x_01}), 2, {2, 2}},
    {LITMUS("CoRR, two writers", 3, corr_two_writers, .threads = {store_x_1, store_x_2, load_x_x_01}), 2, {2, 2}},
    {LITMUS("CoRR, two writers, two readers", 4, corr_same_order,
            .threads = {store_x_1, store_x_2, load_x_x_01, load_x_x_23}),
     4,
     {2, 2, 2, 2}},
    {LITMUS("CoWW", 2, coww, .threads = {store_x_1_2, store_y_2}, .finish = final_x_0), 1, {2}},
    {LITMUS("CoWR", 2, cowr, .threads = {cowr_left, store_x_2}, .finish = final_x_1), 2, {2, 2}},
    {LITMUS("CoRW", 2, corw, .threads = {corw_left, store_x_2}, .finish = final_x_1), 2, {2, 2}},

    {LITMUS("IRIW release, acquire", 4, anything, .threads = {store_x_release, store_y_release, iriw_xy, iriw_yx}),
     4,
     {1, 1, 1, 1}},
    {LITMUS("IRIW full fences", 4, iriw_ordered,
            .threads = {store_x_release, store_y_release, iriw_xy_fence, iriw_yx_fence}),
     4,
     {1, 1, 1, 1}},
    {LITMUS("2+2W release", 2, ww_any, .threads = {ww_left, ww_right}, .finish = final_x_y), 2, {2, 2}},
    {LITMUS("2+2W full fences", 2, ww_ordered, .threads = {ww_left_fence, ww_right_fence}, .finish = final_x_y),
     2,
     {2, 2}},
    {LITMUS("ISA2", 3, all_three, .threads = {mp_write_release, isa2_middle, isa2_right}), 3, {1, 1, 1}},
    {LITMUS("WRC", 3, all_three, .threads = {store_x_1, wrc_middle, wrc_right}), 3, {1, 1, 1}},
    {LITMUS("WRC relaxed", 3, anything, .threads = {store_x_1, wrc_middle_relaxed, wrc_right_relaxed}), 3, {1, 1, 1}},
    {LITMUS("RWC full fences", 3, rwc_ordered, .threads = {store_x_1, rwc_middle, rwc_right}), 3, {1, 1, 1}},

    {LITMUS("release sequence through an update", 3, rs_through_update,
            .threads = {mp_write_release, add_y_2, mp_read_acquire}),
     2,
     {3, 1}},
    {LITMUS("release sequence broken by a store", 3, rs_broken,
            .threads = {mp_write_release, store_y_2, mp_read_acquire}),
     2,
     {2, 1}},
    {LITMUS("release sequence, same thread (C++20)", 2, rs_broken, .threads = {rs_same_thread, mp_read_acquire}),
     2,
     {2, 1}},
    {LITMUS("a relaxed update releases nothing itself", 3, anything,
            .threads = {mp_write_release, rs_update_of_other, rs_read_z}),
     2,
     {3, 1}},
    {LITMUS("two updates", 2, two_updates, .threads = {add_x_0, add_x_1}), 2, {1, 1}},
    {LITMUS("three updates", 3, three_updates, .threads = {add_x_0, add_x_1, add_x_2}), 3, {2, 2, 2}},

    {LITMUS("seqlock", 2, seq_ordered, .threads = {seq_write, seq_read}), 4, {2, 1, 1, 2}},
    {LITMUS("seqlock, no fence in the writer", 2, seq_torn, .threads = {seq_write_unfenced, seq_read}),
     4,
     {2, 1, 1, 2}},
    {LITMUS("seqlock, no fence in the reader", 2, seq_torn, .threads = {seq_write, seq_read_unfenced}),
     4,
     {2, 1, 1, 2}},
};

const uint32_t litmus_count = sizeof litmus_tests / sizeof *litmus_tests;

/* Faults. */

static const uint64_t payload = 7;

THREAD(plain_write_release)
{
    model_write(litmus_word(X), &payload, 8, MODEL_SITE("x", MODEL_COPY, 0));
    WORD_STORE(Y, 1, RELEASE);
}
THREAD(plain_write_relaxed)
{
    model_write(litmus_word(X), &payload, 8, MODEL_SITE("x", MODEL_COPY, 0));
    WORD_STORE(Y, 1, RELAXED);
}
THREAD(plain_write_full_fence)
{
    model_write(litmus_word(X), &payload, 8, MODEL_SITE("x", MODEL_COPY, 0));
    FENCE_FULL();
}
THREAD(plain_read_acquire)
{
    uint64_t got = 0;
    if (WORD_LOAD(Y, ACQUIRE) == 1)
        model_read(&got, litmus_word(X), 8, MODEL_SITE("x", MODEL_COPY, 0));
}
THREAD(plain_read_full_fence)
{
    uint64_t got = 0;
    FENCE_FULL();
    model_read(&got, litmus_word(X), 8, MODEL_SITE("x", MODEL_COPY, 0));
}
THREAD(atomic_read_of_plain)
{
    WORD_LOAD(X, ACQUIRE);
}

const struct litmus_fault litmus_faults[] = {
    {{.name = "plain data behind a release", .thread_count = 2, .threads = {plain_write_release, plain_read_acquire}},
     NULL},
    {{.name = "plain data behind a relaxed store",
      .thread_count = 2,
      .threads = {plain_write_relaxed, plain_read_acquire}},
     "data race: plain read"},
    {{.name = "plain data and nothing but full fences",
      .thread_count = 2,
      .threads = {plain_write_full_fence, plain_read_full_fence}},
     "data race"},
    {{.name = "plain data read atomically", .thread_count = 2, .threads = {plain_write_release, atomic_read_of_plain}},
     "data race"},
};

const uint32_t litmus_fault_count = sizeof litmus_faults / sizeof *litmus_faults;
