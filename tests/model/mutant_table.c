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
    {"slot.c", "slot_take", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "slot taken in vain"},
    {"slot.c", "slot_leave", "store64_release(&slot->cursor", MUTATE_RELAX, "advance_frontier()", "room, consumer leaves"},
    {"slot.c", "slot_take", "or64(&ring->readers->used", MUTATE_OMIT, "least_cursor()", "join oldest"},
    {"claim.c", "advance_frontier", "fence_release()", MUTATE_RELAX, "take_over()", "takeover, lapped"},

    /* The index. */
    {"index.c", "index_note", "fence_release()", MUTATE_RELAX, "read_entry()", "join, index rewritten"},
    {"index.c", "index_note", "store64_release(&entry->position", MUTATE_RELAX, "read_entry()", "join newest"},
    {"index.c", "read_entry", "load64_acquire(&entry->position)", MUTATE_RELAX, "index_note()", "join newest"},
    {"index.c", "read_entry", "fence_acquire()", MUTATE_RELAX, "index_note()", "join, index rewritten"},

    /* Parking. */
    {"producer_wake.c", "look_closer", "fence_full()", MUTATE_RELAX, "wait_fence()", "park, fences"},
    {"producer_wake.c", "wake_all", "fence_full()", MUTATE_RELAX, "wait_fence()", "evicted, asleep"},
    {"consumer.c", "look_for_producer", "fence_full()", MUTATE_RELAX, "wait_fence()", "room, fences"},
    {"consumer_open.c", "leave", "fence_full()", MUTATE_RELAX, "wait_fence()", "room, consumer leaves"},
    {"wait.c", "wait_fence", "fence_full()", MUTATE_RELAX, "all who fence", "park, fences"},
    {"wait_set.c", "raise_all", "fence_full()", MUTATE_RELAX, "all who fence", "wait set, fences"},
    {"producer_wake.c", "promise_fences", "fence_full()", MUTATE_RELAX, "wait_fence()", "park, promised"},
    {"group.c", "let_range_go", "fence_full()", MUTATE_RELAX, "wait_fence()", "group, end comes, asleep"},
    {"consumer_open.c", "open_consumer", "fence_full()", MUTATE_RELAX, "wait_fence()", "wait for a lossy one"},
    {"producer_open.c", "mapring_producer_close", "fence_full()", MUTATE_RELAX, "wait_fence()", "close, promised"},
    {"wait.c", "wait_cancel", "fence_full()", MUTATE_RELAX, "wait_fence(), raise_all()", "wait set, cancelled"},
    {"wait.c", "wait_fence", "platform_heavy_fence()", MUTATE_LIGHT_FENCE, "all who do not fence", "room, heavy fences"},
    {"wait.c", "wait_raise", "load32_acquire(&bell->doorbell)", MUTATE_LATE, "ring_bell()", "park, fences"},
    {"wait.c", "wait_raise", "or64(&bell->sleepers, sleeper_bit(", MUTATE_OMIT, "ring_bell()", "park, fences"},
    {"wait.c", "wait_is_covered", "or64(&sleeper->bell->sleepers, SLEEPERS_WANT_FENCES)", MUTATE_OMIT, "attend_to_sleepers(), ring_producer()", "park, change of mode"},
    {"wait.c", "ring_bell", "and64_acquire(&bell->sleepers", MUTATE_DELAY, "wait_raise()", "park, fences"},
    {"wait.c", "ring_bell", "fetch_add32(&bell->doorbell", MUTATE_OMIT, "platform_park()", "park, fences"},
    {"wait.c", "ring_bell", "platform_wake()", MUTATE_NO_WAKE, "platform_park()", "room, fences"},
    {"consumer.c", "ring_producer", "compare_and_swap64(&slot->state", MUTATE_NO_RELEASE, "consumers_fence()", "room, fences asked for"},
    {"producer_open.c", "consumers_fence", "load64_acquire(", MUTATE_RELAX, "ring_producer()", "room, fences asked for"},

    /* Who is woken when, and waits that are ended. */
    {"producer.c", "commit_as_asked", "store64_release(header_at(start)", MUTATE_RELAX, "the loads of headers", "wake, always", NULL},
    {"producer_wake.c", "look_as_asked", "fence_full()", MUTATE_RELAX, "wait_fence()", "wake, always", NULL},
    {"producer_wake.c", "mapring_wake", "fence_full()", MUTATE_RELAX, "wait_fence()", "wake, later", NULL},
    {"consumer_wait.c", "set_wake_at", "fence_release()", MUTATE_RELAX, "attend_to_sleepers()", "watermark lowered, fences", NULL},
    {"consumer_wait.c", "set_wake_at", "or64(&consumer->sleeper.bell->sleepers, SLEEPERS_CHANGED)", MUTATE_OMIT, "attend_to_sleepers()", "watermark lowered", NULL},
    {"producer_wake.c", "attend_to_sleepers", "and64(", MUTATE_DELAY, "set_wake_at()", "watermark lowered twice", NULL},
    {"producer_wake.c", "attend_to_sleepers", "load64_acquire(producer->sleepers)", MUTATE_RELAX, "set_wake_at()", "watermark lowered, fences", NULL},
    {"wait.c", "wait_cancel", "fetch_add32(", MUTATE_OMIT, "wait_raise(), platform_park()", "cancel", NULL},
    {"wait.c", "wait_at_address", "or64(&sleeper->bell->distant", MUTATE_OMIT, "ring_bell()", "wait set, fences", NULL},
    {"wait.c", "wait_at_address", "fence_release()", MUTATE_RELAX, "ring_bell()", "wait set, fences", NULL},
    {"wait.c", "ring_bell", "and64_acquire(&bell->sleepers", MUTATE_RELAX, "wait_at_address()", "wait set, fences", NULL},
    {"wait.c", "wait_cancel", "load64_acquire(&sleeper->descriptor)", MUTATE_RELAX, "open_descriptor(), mapring_consumer_descriptor()", "wait set, cancelled", NULL},
    {"wait_set.c", "open_descriptor", "store64_release(", MUTATE_RELAX, "wait_cancel()", "wait set, cancelled", NULL},
    {"wait_set.c", "mapring_wait_set_cancel", "fetch_add32(", MUTATE_OMIT, "wait_round()", "wait set, doorbells, cancelled", NULL},

    /* Creation. */
    {"ring.c", "write_identity", "store64_release(&identity->magic", MUTATE_RELAX, "read_identity()", "creation"},
    {"ring.c", "read_identity", "load64_acquire(&identity->magic)", MUTATE_RELAX, "write_identity()", "creation"},
    {"ring.c", "read_identity", "load64_acquire(&identity->magic)", MUTATE_RELAX, "write_identity()", "creation"},

    /* Reading what may be overwritten, letting go. */
    {"watch.c", "is_lapped", "fence_acquire()", MUTATE_RELAX, "advance_frontier()", "lossy", NULL},
    {"watch.c", "is_lapped", "load64_acquire(&consumer->ring.stream->acted)", MUTATE_RELAX, "advance_frontier()", "evicted", NULL},
    {"index.c", "walk_until", "load64_racing(", MUTATE_RELAX, "commit_header()", "observer", NULL},
    {"reclaim.c", "let_go_slow", "compare_and_swap64(", MUTATE_OMIT, "take_notice()", "evicted, waited for", NULL},

    /* Verifying what is in use. */
    {"check.c", "walk", "load64_racing(", MUTATE_RELAX, "commit_header()", "check, lap", NULL},
    {"check.c", "check", "load64_acquire(&stream->end)", MUTATE_RELAX, "mapring_end()", "check, end", NULL},
    {"producer_open.c", "mapring_end", "store64_release(", MUTATE_RELAX, "check()", "check, end", NULL},
    {"check.c", "check_limits", "load64_acquire(&stream->frontier)", MUTATE_RELAX, "advance_frontier()", "check, overtaken", NULL},
    {"check.c", "gather_cursor", "load64_acquire(&slot->cursor)", MUTATE_RELAX, "slot_tell()", "check, cursor", NULL},
    {"check.c", "gather_cursor", "fence_acquire()", MUTATE_RELAX, "slot_announce(), slot_place_at()", "check, joiner", NULL},
    {"check.c", "gather_groups", "load64_acquire(&ring->readers->groups[i].mark)", MUTATE_RELAX, "take()", "check, group", NULL},
    {"check.c", "gather_groups", "load64_acquire(&ring->readers->groups_used)", MUTATE_RELAX, "group_join()", "check, new group", NULL},
    {"group.c", "group_join", "fence_release()", MUTATE_RELAX, "gather_groups()", "check, new group", NULL},
    {"watch.c", "mapring_rejoin", "and64(&slot->state", MUTATE_OMIT, "look_at_cursors()", "evicted, is back", NULL},

    /* Groups. */
    {"group.c", "take", "compare_and_swap64(&group->mark", MUTATE_NO_RELEASE, "take(), look_at_cursors()", "group of two, strides", NULL},
    {"group.c", "take", "load64_acquire(&group->mark)", MUTATE_RELAX, "take()", "group of two", NULL},
    {"group.c", "measure", "load64_acquire(", MUTATE_RELAX, "commit_header()", "group of two, strides", NULL},
    {"claim.c", "look_at_cursors", "load64_acquire(", MUTATE_RELAX, "take()", "group, drain", NULL},
    {"group.c", "let_range_go", "store64_release(", MUTATE_RELAX, "advance_frontier()", "group, room", NULL},
    {"group.c", "group_news", "load64_acquire(", MUTATE_RELAX, "take()", "group, end comes", NULL},
    {"group.c", "group_news", "load64_racing(", MUTATE_RELAX, "commit_header()", "group, zero", NULL},
    {"group.c", "read_range", "load64_acquire(", MUTATE_RELAX, "take()", "group, heir far on", NULL},
    {"group.c", "inherit_from", "compare_and_swap64(", MUTATE_OMIT, "inherit_from()", "group, two heirs", NULL},
    {"group.c", "inherit_from", "add64(", MUTATE_OMIT, "least_cursor(), others_have_messages()", "group, drain and heir", NULL},
    {"claim.c", "least_cursor", "load64_acquire(moves)", MUTATE_RELAX, "inherit_from(), group_join(), move_and_resume()", "group, drain and heir", NULL},
    {"claim.c", "least_cursor", "fence_acquire()", MUTATE_RELAX, "inherit_from(), group_join(), move_and_resume()", "drain", NULL},
    {"group.c", "others_have_messages", "load64_acquire(", MUTATE_RELAX, "inherit_from()", "group, inherited end", NULL},
    {"group.c", "others_have_messages", "fence_acquire()", MUTATE_RELAX, "inherit_from()", "group, end", NULL},
    {"group.c", "group_join", "or64(", MUTATE_OMIT, "look_at_cursors()", "group, made", NULL},
    {"group.c", "group_join", "add64(", MUTATE_OMIT, "least_cursor()", "group, made", NULL},
    {"group.c", "group_join", "store64_release(", MUTATE_RELAX, "least_cursor()", "group, made", NULL},
    {"registry.c", "group_drop", "compare_and_swap64(", MUTATE_OMIT, "inherit_from()", "group, abandoned orphan", NULL},
    {"registry.c", "group_drop", "and64(", MUTATE_OMIT, "look_at_cursors()", "group, abandoned", NULL},

    /* Who continues for the dead. */
    {"slot.c", "slot_announce", "compare_and_swap64(", MUTATE_NO_RELEASE, "consumers_fence(), is_orphaned()", "slot of another process", NULL},
    {"life.c", "is_orphaned", "load64_acquire(", MUTATE_RELAX, "slot_announce()", "slot of another process", NULL},
    {"reclaim.c", "reclaim_slot", "compare_and_swap64(", MUTATE_OMIT, "resume()", "named, waited for", NULL},
    {"consumer_open.c", "resume", "compare_and_swap64(", MUTATE_OMIT, "reclaim_slot()", "named, comes back, gone", NULL},
    {"consumer_open.c", "resume", "store64_release(&slot->state", MUTATE_RELAX, "look_at_cursors()", "group, end, slot resumed", NULL},
    {"consumer_open.c", "move_and_resume", "store64_release(", MUTATE_RELAX, "look_at_cursors()", "group, end, slot resumed", NULL},
    {"slot.c", "slot_leave", "store64_release(&slot->state", MUTATE_RELAX, "least_cursor(), others_have_messages()", "group, inherited end", NULL},
    {"slot.c", "slot_take", "store64_release(&slot->state", MUTATE_RELAX, "least_cursor(), others_have_messages()", "group, end, slot taken", NULL},
    {"consumer_open.c", "move_and_resume", "add64(", MUTATE_OMIT, "least_cursor()", "named, orphan", NULL},
    {"registry.c", "registry_end_name", "compare_and_swap64(", MUTATE_OMIT, "reclaim_slot()", "named, orphan", NULL},
};
/* clang-format on */

const uint32_t mutant_count = sizeof mutants / sizeof *mutants;
