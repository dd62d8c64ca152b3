#include "mutants.h"

#include <stddef.h>

/* clang-format off */
const struct mutant mutants[] = {
    /* Publishing and reading. */
    {"producer.c", "commit_header", "store64_release(header_at(start)", MUTATE_RELAX, "the loads of headers", "wrap"},
    {"consumer.c", "read_plain", "load64_acquire(", MUTATE_RELAX, "commit_header()", "run"},
    {"consumer.c", "next_message", "load64_acquire(", MUTATE_RELAX, "commit_header()", "lap"},
    {"index.c", "walk_to_newest", "load64_acquire(", MUTATE_RELAX, "commit_header()", "join newest"},
    {"producer.c", "append", "store64_relaxed(header_at(next), 0)", MUTATE_OMIT, "the loads of headers", "lap"},
    {"producer.c", "append", "store64_relaxed(header_at(next), 0)", MUTATE_DELAY, "the loads of headers", "lap"},
    {"producer.c", "append", "store64_relaxed(header_at(record)", MUTATE_DELAY, "the loads of headers", "run"},
    {"producer.c", "commit_message", "store64_relaxed(header_at(next), 0)", MUTATE_OMIT, "the loads of headers", "lap"},
    {"producer.c", "commit_message", "store64_relaxed(header_at(next), 0)", MUTATE_DELAY, "the loads of headers", "lap"},
    {"producer.c", "publish_run", "store64_relaxed(header_at(record), header)", MUTATE_OMIT, "the loads of headers", "lap, batch"},
    {"producer.c", "publish_run", "store64_relaxed(header_at(record), 0)", MUTATE_OMIT, "the loads of headers", "lap, batch"},
    {"producer.c", "publish_run", "store64_relaxed(header_at(record), 0)", MUTATE_DELAY, "the loads of headers", "lap, batch"},

    /* Room. */
    {"consumer.c", "store_cursor", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "full"},
    {"claim.c", "advance_frontier", "fence_full()", MUTATE_NO_ACQUIRE, "store_cursor(), slot_leave(), place_cursor()", "full"},
    {"claim.c", "advance_frontier", "fence_full()", MUTATE_RELAX, "place_cursor()", "join oldest"},
    {"claim.c", "least_cursor", "load64_relaxed(&ring->readers->used)", MUTATE_NO_LOOK, "place_cursor()", "join oldest"},
    {"claim.c", "least_cursor", "load64_relaxed(&ring->readers->slots[i].cursor)", MUTATE_NO_LOOK, "place_cursor()", "join oldest again"},
    {"slot.c", "place_cursor", "fence_full()", MUTATE_RELAX, "advance_frontier()", "join oldest"},
    {"slot.c", "slot_join", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "slot handed over"},
    {"slot.c", "place_cursor", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "slot of the dead"},
    {"slot.c", "slot_leave", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "room, consumer leaves"},
    {"slot.c", "slot_join", "or64(&ring->readers->used", MUTATE_OMIT, "least_cursor()", "join oldest"},
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
    {"consumer.c", "mapring_consumer_close", "fence_full()", MUTATE_RELAX, "wait_once()", "room, consumer leaves"},
    {"wait.c", "wait_once", "platform_heavy_fence()", MUTATE_WEAK_FENCE, "all who fence", "park, fences"},
    {"wait.c", "wait_once", "platform_heavy_fence()", MUTATE_LIGHT_FENCE, "all who do not fence", "room, heavy fences"},
    {"wait.c", "wait_once", "load32_acquire(&bell->doorbell)", MUTATE_LATE, "bell_ring()", "park, fences"},
    {"wait.c", "wait_once", "or64(&bell->sleepers, (uint64_t)1", MUTATE_OMIT, "bell_ring()", "park, fences"},
    {"wait.c", "wait_once", "or64(&bell->sleepers, SLEEPERS_WANT_FENCES)", MUTATE_OMIT, "ring_consumers(), ring_producer()", "park, change of mode"},
    {"wait.c", "bell_ring", "and64(&bell->sleepers", MUTATE_DELAY, "wait_once()", "park, fences"},
    {"wait.c", "bell_ring", "fetch_add32(&bell->doorbell", MUTATE_OMIT, "platform_park()", "park, fences"},
    {"wait.c", "bell_ring", "platform_wake()", MUTATE_NO_WAKE, "platform_park()", "room, fences"},
    {"producer.c", "ring_consumers", "store64_release(&ring->stream->fence", MUTATE_RELAX, "producer_fences()", "park, fences asked for"},
    {"producer_open.c", "choose_fence", "store64_release(&ring->stream->fence", MUTATE_RELAX, "producer_fences()", "takeover, change of mode"},
    {"consumer.c", "producer_fences", "load64_acquire(", MUTATE_RELAX, "ring_consumers(), choose_fence()", "park, fences asked for"},
    {"slot.c", "slot_announce", "store64_release(&slot->state", MUTATE_RELAX, "consumers_fence()", "room, fences asked for"},
    {"producer_open.c", "consumers_fence", "load64_acquire(", MUTATE_RELAX, "slot_announce()", "room, fences asked for"},

    /* Creation. */
    {"ring.c", "write_identity", "store64_release(&identity->magic", MUTATE_RELAX, "read_identity()", "creation"},
    {"ring.c", "read_identity", "load64_acquire(&identity->magic)", MUTATE_RELAX, "write_identity()", "creation"},
    {"ring.c", "read_identity", "load64_acquire(&identity->magic)", MUTATE_RELAX, "write_identity()", "creation"},
};
/* clang-format on */

const uint32_t mutant_count = sizeof mutants / sizeof *mutants;
