/*
 * Reading what may be overwritten meanwhile: docs/design.md P4 and P11. For lossy
 * consumers, and for reliable ones that the producer may let go.
 *
 * Records are read first; `acted`, looked at afterwards, says whether they were still whole. (The frontier is no use
 * here: it may be announced and taken back.)
 */
#include "consumer.h"
#include "slot.h"

/* How often the producer may overtake who looks for a place to continue. */
#define ROUNDS 1000

bool is_lapped(const struct mapring_consumer *consumer, uint64_t position)
{
    /* Pairs with the release fence in advance_frontier(): who read what was written under a frontier sees it. */
    fence_acquire();
    /* Pairs with the full fence there: who is told that it was let go sees that. */
    return position < overwritten_below(load64_acquire(&consumer->ring.stream->acted), consumer->capacity);
}

/* The producer does not wait for us any longer. */
static int32_t let_go(struct mapring_consumer *consumer)
{
    consumer->evicted = consumer->ring.geometry.slow_policy == MAPRING_SLOW_EVICT;
    if (consumer->evicted)
        return MAPRING_EVICTED;
    consumer->kind = MAPRING_LOSSY;
    return MAPRING_DEMOTED;
}

bool is_let_go(const struct mapring_consumer *consumer)
{
    return consumer->evicted || (consumer->watched && consumer->kind == MAPRING_RELIABLE &&
                                 !slot_counts(&consumer->ring.readers->slots[consumer->slot]));
}

int32_t take_notice(struct mapring_consumer *consumer)
{
    int32_t notice = consumer->notice;
    consumer->notice = MAPRING_OK;
    consumer->plain = is_plain(consumer);
    if (consumer->evicted)
        return MAPRING_EVICTED;
    return notice == MAPRING_OK && is_let_go(consumer) ? let_go(consumer) : notice;
}

/*
 * Finds the oldest mark that is intact; one who was lapped again and again before he could read a message, one that
 * is farther and farther from being overwritten.
 */
static bool find_place(const struct mapring_consumer *consumer, struct mark *mark)
{
    const struct ring *ring = &consumer->ring;
    uint64_t stride = consumer->capacity / STRIDE_COUNT;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t acted = load64_relaxed(&ring->stream->acted);
        uint64_t ahead = (stride << min64(consumer->lapses + round, 6)) - stride;
        if (index_find(ring, acted + ahead, (struct start){OLDEST, 0}, mark) ||
            index_find(ring, acted, (struct start){NEWEST, 0}, mark))
            return true;
    }
    return false;
}

static int32_t continue_at_oldest(struct mapring_consumer *consumer, struct mark from)
{
    struct mark mark;
    if (!find_place(consumer, &mark) || mark.position < from.position || mark.sequence < from.sequence)
        return MAPRING_CORRUPT;
    consumer->lapses++;
    consumer->lost_messages += mark.sequence - from.sequence;
    consumer->lost_bytes += mark.position - from.position;
    if (consumer->slot != NO_SLOT)
        store64_relaxed(&consumer->ring.readers->slots[consumer->slot].lost, consumer->lost_messages);
    move_to(consumer, mark.position);
    consumer->sequence = mark.sequence;
    if (unreleased_of(consumer) == 0)
        consumer->released = mark;
    return MAPRING_LAPPED;
}

int32_t resume_lapped(struct mapring_consumer *consumer, struct mark from)
{
    move_to(consumer, from.position);
    consumer->sequence = from.sequence;
    /* Nobody but one that was let go is lapped while it is waited for. */
    if (consumer->kind == MAPRING_RELIABLE)
        return let_go(consumer);
    return continue_at_oldest(consumer, from);
}

int32_t give_up_torn(struct mapring_consumer *consumer)
{
    consumer->torn_messages += unreleased_of(consumer);
    forget_unreleased(consumer);
    consumer->released = (struct mark){position_of(consumer), consumer->sequence, 0};
    return consumer->kind == MAPRING_RELIABLE ? let_go(consumer) : MAPRING_LAPPED;
}

int32_t mapring_rejoin(mapring_consumer *consumer)
{
    if (consumer == NULL || consumer->slot == NO_SLOT || !consumer->watched)
        return MAPRING_INVALID_ARGUMENT;
    struct ring *ring = &consumer->ring;
    struct slot *slot = &ring->readers->slots[consumer->slot];
    if (slot_counts(slot))
        return MAPRING_INVALID_ARGUMENT;
    forget_unreleased(consumer);
    const struct mark from = {position_of(consumer), consumer->sequence, 0};
    struct mark mark = from;
    uint64_t let_go = load64_relaxed(&slot->state) & (SLOT_KIND_MASK | SLOT_LET_GO);

    /* From here on the cursor counts; the old one should not. It says nothing of our reads, which counted only if
     * is_lapped() said so. Before the fence in slot_place_at(); and without a kind, as a joiner's, until it has its
     * place: what may be overwritten already is nobody's place yet. */
    store64_relaxed(&slot->cursor, NO_POSITION);
    and64(&slot->state, ~(SLOT_KIND_MASK | SLOT_LET_GO));
    bool intact = slot_place_at(ring, consumer->slot, mark);
    if (!intact) {
        int32_t status = slot_place(ring, consumer->slot, (struct start){OLDEST, 0}, &mark);
        if (status < 0) {
            /* As it was: what it stores from here on does not count. Others change no other bits. */
            store64_relaxed(&slot->state, load64_relaxed(&slot->state) | let_go);
            slot_tell(slot, from);
            return status;
        }
        consumer->lost_messages += mark.sequence - from.sequence;
        consumer->lost_bytes += mark.position - from.position;
        store64_relaxed(&slot->lost, consumer->lost_messages);
    }
    uint64_t flags = (consumer->fences ? SLOT_FENCES : 0) | (consumer->named ? SLOT_NAMED : 0);
    slot_announce(slot, MAPRING_RELIABLE | flags);
    consumer->evicted = false;
    consumer->notice = MAPRING_OK;
    consumer->kind = MAPRING_RELIABLE;
    consumer->lapses = 0;
    move_to(consumer, mark.position);
    consumer->sequence = mark.sequence;
    consumer->released = mark;
    store_cursor(consumer);
    return MAPRING_OK;
}
