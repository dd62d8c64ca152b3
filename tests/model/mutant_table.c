#include "mutants.h"

#include <stddef.h>

/* clang-format off */
const struct mutant mutants[] = {
    /* Publishing and reading. */
    {"producer.c", "commit_header", "store64_release(header_at(start)", MUTATE_RELAX, "the loads of headers", "wrap"},
    {"consumer.c", "load_header", "load64_acquire(", MUTATE_RELAX, "commit_header()", "lap"},
    {"index.c", "walk_until", "load64_acquire(", MUTATE_RELAX, "commit_header()", "join newest"},
    {"producer.c", "append", "store64_relaxed(header_at(next), 0)", MUTATE_OMIT, "the loads of headers", "lap"},
    {"producer.c", "append", "store64_relaxed(header_at(next), 0)", MUTATE_DELAY, "the loads of headers", "lap"},
    {"producer.c", "append", "store64_relaxed(header_at(record)", MUTATE_DELAY, "the loads of headers", "run"},
    {"producer.c", "commit_message", "store64_relaxed(header_at(next), 0)", MUTATE_OMIT, "the loads of headers", "lap"},
    {"producer.c", "commit_message", "store64_relaxed(header_at(next), 0)", MUTATE_DELAY, "the loads of headers", "lap"},
    {"producer.c", "publish_run", "store64_relaxed(header_at(record), header)", MUTATE_OMIT, "the loads of headers", "lap, batch"},
    {"producer.c", "publish_run", "store64_relaxed(header_at(record), 0)", MUTATE_OMIT, "the loads of headers", "lap, batch"},
    {"producer.c", "publish_run", "store64_relaxed(header_at(record), 0)", MUTATE_DELAY, "the loads of headers", "lap, batch"},

    /* Room. */
    {"slot.h", "slot_tell", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "full"},
    {"claim.c", "advance_frontier", "fence_full()", MUTATE_RELAX, "slot_place_at()", "join oldest"},
    {"claim.c", "look_at_cursors", "load64_relaxed(&ring->readers->used)", MUTATE_NO_LOOK, "slot_place_at()", "join oldest, lapped"},
    {"claim.c", "look_at_cursors", "load64_relaxed(&slot->cursor)", MUTATE_NO_LOOK, "slot_place_at()", "join oldest again, lapped"},
    {"slot.c", "slot_place_at", "fence_full()", MUTATE_RELAX, "advance_frontier()", "join oldest"},
    {"slot.c", "slot_take", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "slot handed over"},
    {"slot.c", "slot_leave", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "room, consumer leaves"},
    {"slot.c", "slot_take", "or64(&ring->readers->used", MUTATE_OMIT, "least_cursor()", "join oldest"},
    {"claim.c", "advance_frontier", "fence_release()", MUTATE_RELAX, "take_over()", "takeover, lapped"},

    /* The index. */
    {"index.c", "index_note", "fence_release()", MUTATE_RELAX, "read_entry()", "join, index rewritten"},
    {"index.c", "index_note", "store64_release(&entry->position", MUTATE_RELAX, "read_entry()", "join newest"},
    {"index.c", "read_entry", "load64_acquire(&entry->position)", MUTATE_RELAX, "index_note()", "join newest"},
    {"index.c", "read_entry", "fence_acquire()", MUTATE_RELAX, "index_note()", "join, index rewritten"},

    /* Parking. */
    {"producer.c", "look_closer", "fence_full()", MUTATE_RELAX, "wait_once()", "park, fences"},
    {"producer_open.c", "mapring_end", "fence_full()", MUTATE_RELAX, "wait_once()", "end, fences"},
    {"consumer.c", "look_for_producer", "fence_full()", MUTATE_RELAX, "wait_once()", "room, fences"},
    {"consumer_open.c", "leave", "fence_full()", MUTATE_RELAX, "wait_once()", "room, consumer leaves"},
    {"wait.c", "wait_once", "platform_heavy_fence()", MUTATE_WEAK_FENCE, "all who fence", "park, fences"},
    {"wait.c", "wait_once", "platform_heavy_fence()", MUTATE_LIGHT_FENCE, "all who do not fence", "room, heavy fences"},
    {"wait.c", "wait_once", "load32_acquire(&bell->doorbell)", MUTATE_LATE, "bell_ring()", "park, fences"},
    {"wait.c", "wait_once", "or64(&bell->sleepers, (uint64_t)1", MUTATE_OMIT, "bell_ring()", "park, fences"},
    {"wait.c", "wait_once", "or64(&bell->sleepers, SLEEPERS_WANT_FENCES)", MUTATE_OMIT, "ring_consumers(), ring_producer()", "park, change of mode"},
    {"wait.c", "bell_ring", "and64(&bell->sleepers", MUTATE_DELAY, "wait_once()", "park, fences"},
    {"wait.c", "bell_ring", "fetch_add32(&bell->doorbell", MUTATE_OMIT, "platform_park()", "park, fences"},
    {"wait.c", "bell_ring", "platform_wake()", MUTATE_NO_WAKE, "platform_park()", "room, fences"},
    {"producer.c", "ring_consumers", "store64_release(&ring->stream->fence", MUTATE_RELAX, "consumer_is_fenced()", "park, fences asked for"},
    {"producer_open.c", "choose_fence", "store64_release(&ring->stream->fence", MUTATE_RELAX, "consumer_is_fenced()", "takeover, change of mode"},
    {"consumer.c", "consumer_is_fenced", "load64_acquire(", MUTATE_RELAX, "ring_consumers(), choose_fence()", "park, fences asked for"},
    {"consumer.c", "ring_producer", "compare_and_swap64(&slot->state", MUTATE_NO_RELEASE, "consumers_fence()", "room, fences asked for"},
    {"producer_open.c", "consumers_fence", "load64_acquire(", MUTATE_RELAX, "ring_producer()", "room, fences asked for"},

    /* Creation. */
    {"ring.c", "write_identity", "store64_release(&identity->magic", MUTATE_RELAX, "read_identity()", "creation"},
    {"ring.c", "read_identity", "load64_acquire(&identity->magic)", MUTATE_RELAX, "write_identity()", "creation"},
    {"ring.c", "read_identity", "load64_acquire(&identity->magic)", MUTATE_RELAX, "write_identity()", "creation"},
};
/* clang-format on */

const uint32_t mutant_count = sizeof mutants / sizeof *mutants;
