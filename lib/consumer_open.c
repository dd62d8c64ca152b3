/*
 * The consumer's life outside reading: attaching, as each kind does it, and leaving.
 */
#include <stdlib.h>
#include <string.h>

#include "consumer.h"
#include "descriptor.h"
#include "life.h"
#include "options.h"
#include "registry.h"
#include "slot.h"
#include "validate.h"
#include "wait_set.h"

/* How often a lossy consumer may be overtaken while it looks for its start. */
#define ROUNDS 1000

static int32_t open_ring(const char *name, const mapring_consumer_options *options, struct ring *ring)
{
    enum ring_role role = options->kind == MAPRING_OBSERVER ? ROLE_OBSERVER : ROLE_CONSUMER;
    struct platform_target target = ring_target(name, options->file);
    target.flags = options->flags;
    int32_t status = ring_open(&target, role, ring, NULL);
    if (options->timeout_ns == 0 || status != MAPRING_NOT_FOUND)
        return status;
    uint64_t deadline = deadline_after(options->timeout_ns);
    while (status == MAPRING_NOT_FOUND) {
        if (platform_clock_ns() >= deadline)
            return MAPRING_TIMEOUT;
        if (target.file == NULL)
            platform_segment_await(name, deadline);
        else
            platform_sleep(10000000);
        status = ring_open(&target, role, ring, NULL);
    }
    return status;
}

/* Starting. */

/* For who protects nothing. */
static int32_t find_start(const struct mapring_consumer *consumer, struct start start, struct mark *mark)
{
    const struct ring *ring = &consumer->ring;
    for (int round = 0; round < ROUNDS; round++) {
        struct mark from;
        if (!index_find(ring, load64_relaxed(&ring->stream->acted), start, &from))
            continue;
        *mark = from;
        int32_t status = walk_to_start(ring, start, mark, true);
        if (!is_lapped(consumer, from.position))
            return status;
    }
    return MAPRING_CORRUPT;
}

/* Attaching. What they return: see mapring_consumer_open(). */

static int32_t attach_observer(struct mapring_consumer *consumer, struct start start)
{
    return find_start(consumer, start, &consumer->released);
}

static int32_t attach_lossy(struct mapring_consumer *consumer, struct start start)
{
    int32_t status = slot_take(&consumer->ring, &consumer->slot);
    return status < 0 ? status : find_start(consumer, start, &consumer->released);
}

static int32_t attach_reliable(struct mapring_consumer *consumer, struct start start)
{
    struct ring *ring = &consumer->ring;
    int32_t status = slot_take(ring, &consumer->slot);
    if (status == MAPRING_OK)
        status = slot_place(ring, consumer->slot, start, &consumer->released);
    return status < 0 ? status : walk_to_start(ring, start, &consumer->released, false);
}

/* Continues where the consumer stopped that had the slot before; its lock is ours. */
static int32_t resume(struct mapring_consumer *consumer)
{
    struct ring *ring = &consumer->ring;
    struct slot *slot = &ring->readers->slots[consumer->slot];
    struct mark told;
    bool known = slot_told(slot, &told);
    /* Ours first, so that the producer does not take it for the dead one's that has been waited for long enough. If it
     * has let that go, nobody else changes the state. */
    uint64_t state = load64_relaxed(&slot->state);
    if ((state & SLOT_LET_GO) != 0 || !compare_and_swap64(&slot->state, state, SLOT_NAMED))
        /* As in slot_take(). */
        store64_release(&slot->state, SLOT_NAMED);
    store64_relaxed(&slot->lost, 0);
    if (known && slot_place_at(ring, consumer->slot, told)) {
        consumer->released = told;
        return MAPRING_RESUMED;
    }

    int32_t status = slot_place(ring, consumer->slot, (struct start){OLDEST, 0}, &consumer->released);
    if (status < 0)
        return status;
    if (!known || consumer->released.position < told.position)
        return MAPRING_START_GONE;
    consumer->lost_messages = consumer->released.sequence - told.sequence;
    consumer->lost_bytes = consumer->released.position - told.position;
    consumer->notice = MAPRING_LAPPED;
    store64_relaxed(&slot->lost, consumer->lost_messages);
    return MAPRING_RESUMED;
}

/* The same, into a slot of our own, from one whose lock a child of the dead keeps. */
static int32_t move_and_resume(struct mapring_consumer *consumer, uint32_t orphan, const char *name)
{
    struct ring *ring = &consumer->ring;
    int32_t status = slot_take(ring, &consumer->slot);
    if (status < 0)
        return status;
    struct slot *from = &ring->readers->slots[orphan];
    struct slot *slot = &ring->readers->slots[consumer->slot];
    uint64_t state = load64_relaxed(&from->state);
    struct mark told;
    /* The name first: should we die here, the place is its own. */
    own_name_store(slot->name, name);
    /* Release: as in slot_take(). */
    store64_release(&slot->state, SLOT_NAMED | (state & SLOT_LET_GO));
    if (slot_told(from, &told))
        slot_tell(slot, told);
    /* As in inherit_from(). */
    add64(&ring->readers->moves, 1);
    registry_end_name(from);
    return resume(consumer);
}

/* With the registry locked. */
static int32_t attach_named(struct mapring_consumer *consumer, const char *name, struct start start)
{
    struct ring *ring = &consumer->ring;
    uint32_t number;
    if (registry_find_group(ring, name, &number))
        return MAPRING_WRONG_KIND;
    int32_t status;
    if (!registry_find_consumer(ring, name, &number)) {
        status = attach_reliable(consumer, start);
    } else {
        enum slot_life life = slot_examine_again(ring, number);
        if (life == SLOT_LIVES)
            return MAPRING_NAME_IN_USE;
        if (life == SLOT_DEAD)
            consumer->slot = number;
        status = life == SLOT_DEAD ? resume(consumer) : move_and_resume(consumer, number, name);
    }
    if (status >= 0)
        own_name_store(ring->readers->slots[consumer->slot].name, name);
    return status;
}

/* With the registry locked. */
static int32_t attach_member(struct mapring_consumer *consumer, const char *name, struct start start)
{
    struct ring *ring = &consumer->ring;
    uint32_t number;
    if (registry_find_consumer(ring, name, &number))
        return MAPRING_WRONG_KIND;
    int32_t status = slot_take(ring, &consumer->slot);
    if (status == MAPRING_OK)
        status = group_join(consumer, name, start);
    if (status < 0)
        return status;
    store64_relaxed(&ring->readers->slots[consumer->slot].group, consumer->group_number);
    /* A number from which those of the group's messages can be told. */
    if (status == MAPRING_RESUMED) {
        int32_t found = find_start(consumer, (struct start){OLDEST, 0}, &consumer->released);
        return found < 0 ? found : status;
    }
    return status;
}

static int32_t attach(struct mapring_consumer *consumer, const mapring_consumer_options *options)
{
    struct start start = {(enum start_at)options->start, options->start_value};
    if (consumer->kind == MAPRING_OBSERVER)
        return attach_observer(consumer, start);
    if (consumer->kind == MAPRING_LOSSY)
        return attach_lossy(consumer, start);
    if (consumer->kind == MAPRING_RELIABLE && !consumer->named)
        return attach_reliable(consumer, start);
    int32_t status = registry_lock(&consumer->ring);
    if (status < 0)
        return status;
    status = consumer->named ? attach_named(consumer, options->own_name, start)
                             : attach_member(consumer, options->group, start);
    /* Before others may look for the name. */
    if (status >= 0)
        slot_announce(&consumer->ring.readers->slots[consumer->slot],
                      consumer->kind | (consumer->fences ? SLOT_FENCES : 0) | (consumer->named ? SLOT_NAMED : 0));
    registry_unlock(&consumer->ring);
    return status;
}

/* Opening. */

#define STEPS_APART_START 16u

static void prepare(struct mapring_consumer *consumer, const mapring_consumer_options *options)
{
    consumer->slot = NO_SLOT;
    consumer->kind = options->kind == 0 ? MAPRING_RELIABLE : options->kind;
    consumer->named = options->own_name != NULL;
    consumer->tag_mask = options->tag_mask;
    consumer->tag_value = options->tag_value;
    consumer->data = consumer->ring.data;
    consumer->capacity = consumer->ring.geometry.capacity;
    consumer->batch = consumer->named ? 0 : consumer->capacity / 8;
    consumer->steps_apart = consumer->steps_left = STEPS_APART_START;
    uint32_t policy = consumer->ring.geometry.slow_policy;
    consumer->watched = consumer->kind == MAPRING_LOSSY || consumer->kind == MAPRING_OBSERVER ||
                        (consumer->kind == MAPRING_RELIABLE && policy >= MAPRING_SLOW_DEMOTE);
    consumer->fences = consumer->kind != MAPRING_OBSERVER && !platform_heavy_fence_register();
}

static int32_t open_consumer(const char *name, const mapring_consumer_options *options,
                             struct mapring_consumer *consumer)
{
    int32_t status = open_ring(name, options, &consumer->ring);
    if (status < 0)
        return status;
    prepare(consumer, options);
    int32_t attached = attach(consumer, options);
    if (attached < 0)
        return attached;
    move_to(consumer, consumer->released.position);
    consumer->sequence = consumer->released.sequence;
    consumer->plain = is_plain(consumer);
    sleeper_set_waiting(&consumer->sleeper, options->waiting);
    if (consumer->slot == NO_SLOT)
        return attached;
    struct ring *ring = &consumer->ring;
    struct slot *slot = &ring->readers->slots[consumer->slot];
    status = platform_parking_open(ring->geometry.ring_id, SLOT_NUMBER(consumer->slot), ring->geometry.slot_count,
                                   &consumer->sleeper.parking);
    if (status < 0)
        return status;
    consumer->sleeper.bell = &ring->readers->news;
    consumer->sleeper.number = SLOT_NUMBER(consumer->slot);
    consumer->sleeper.ready = consumer_has_news;
    consumer->sleeper.peer_fences = consumer_is_fenced;
    consumer->sleeper.context = consumer;
    consumer->sleeper.address = &slot->address;
    consumer->sleeper.counts = &slot->counts;
    store64_relaxed(&slot->address, 0);
    count64_clear(&slot->counts.parks);
    count64_clear(&slot->counts.wakes);
    count64_clear(&slot->counts.avoided);
    count64_clear(&slot->counts.spurious);
    slot_tell_waiting(slot, options->waiting, 0);
    /* As the slot's last consumer left it. */
    consumer->wake_at = load64_relaxed(&slot->wake_at);
    if (!consumer->named && consumer->group == NULL)
        slot_announce(slot, consumer->kind | (consumer->fences ? SLOT_FENCES : 0));
    /* Pairs with the fence in wait_fence(): either a producer that sleeps has seen in consumers_fence() who is in the
     * slot now, or all our looks at its bell find it. */
    fence_full();
    if (consumer->kind == MAPRING_RELIABLE && consumer->group == NULL)
        store_cursor(consumer);
    else
        /* Who waits for consumers looks. */
        look_for_producer(consumer);
    return attached;
}

static int32_t check_own_name(const char *name)
{
    if (name == NULL)
        return MAPRING_OK;
    return strnlen(name, MAPRING_OWN_NAME_MAX + 1) > MAPRING_OWN_NAME_MAX ? MAPRING_INVALID_NAME : validate_name(name);
}

static int32_t check_options(const struct mapring_consumer_options *options)
{
    if (options->struct_size != sizeof *options || options->start > MAPRING_FROM_TIME ||
        (options->flags & ~(uint32_t)MAPRING_OTHER_OWNERS) != 0 || options->kind > MAPRING_OBSERVER ||
        options->waiting > MAPRING_WAIT_PARK || options->reserved0 != 0 ||
        !all_zero(options->reserved, sizeof options->reserved))
        return MAPRING_INVALID_OPTIONS;
    bool reliable = options->kind == 0 || options->kind == MAPRING_RELIABLE;
    if ((options->own_name != NULL && !reliable) || (options->file != NULL && options->kind != MAPRING_OBSERVER) ||
        (options->group != NULL) != (options->kind == MAPRING_MEMBER) ||
        (options->start < MAPRING_FROM_SEQUENCE && options->start_value != 0))
        return MAPRING_INVALID_OPTIONS;
    if (options->timeout_ns < 0 || (options->tag_value & ~options->tag_mask) != 0)
        return MAPRING_INVALID_ARGUMENT;
    int32_t status = check_own_name(options->own_name);
    return status < 0 ? status : check_own_name(options->group);
}

int32_t mapring_consumer_open(const char *name, const mapring_consumer_options *options, mapring_consumer **consumer)
{
    static const mapring_consumer_options defaults = {.struct_size = sizeof defaults};
    if (consumer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (options == NULL)
        options = &defaults;
    int32_t status = check_options(options);
    if (status == MAPRING_OK && options->file == NULL)
        status = validate_name(name);
    if (status < 0)
        return status;

    struct mapring_consumer *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return MAPRING_NO_MEMORY;
    opened->slot = NO_SLOT;
    status = open_consumer(name, options, opened);
    if (status < 0) {
        mapring_consumer_close(opened);
        return status;
    }
    *consumer = opened;
    return status;
}

/* Leaving. */

static void leave(struct mapring_consumer *consumer)
{
    struct ring *ring = &consumer->ring;
    const struct slot *slot = &ring->readers->slots[consumer->slot];
    bool named = (load64_relaxed(&slot->state) & SLOT_NAMED) != 0;
    slot_leave(ring, consumer->slot, named || slot_is_kept(slot));
    /* The slot may be somebody else's by now, so this cannot be look_for_producer(). */
    struct bell *room = &ring->readers->room;
    fence_full();
    /* Who could not be opened may be unable to wake; nobody waits for it either. */
    if (consumer->sleeper.parking != NULL && (load64_relaxed(&room->sleepers) & ALL_SLEEPERS) != 0)
        wake_producer(ring, consumer->sleeper.parking);
}

void mapring_consumer_close(mapring_consumer *consumer)
{
    if (consumer == NULL)
        return;
    bool ours = consumer->ring.segment != NULL && platform_segment_is_ours(consumer->ring.segment);
    if (ours) {
        wait_shut(&consumer->sleeper);
        wait_set_forget_consumer(consumer);
        descriptor_leave(consumer);
    }
    if (ours && consumer->slot != NO_SLOT)
        leave(consumer);
    descriptor_free(consumer);
    platform_parking_close(consumer->sleeper.parking);
    ring_close(&consumer->ring);
    free(consumer);
}

static int32_t forget(struct ring *ring, const char *own_name)
{
    uint32_t number;
    if (registry_find_group(ring, own_name, &number)) {
        if (group_lives(ring, number, NO_SLOT))
            return MAPRING_NAME_IN_USE;
        group_drop(ring, number);
        return MAPRING_OK;
    }
    if (!registry_find_consumer(ring, own_name, &number))
        return MAPRING_NOT_FOUND;
    struct slot *slot = &ring->readers->slots[number];
    enum slot_life life = slot_examine_again(ring, number);
    if (life == SLOT_LIVES)
        return MAPRING_NAME_IN_USE;
    registry_end_name(slot);
    if (life == SLOT_DEAD)
        slot_leave(ring, number, false);
    return MAPRING_OK;
}

int32_t mapring_forget(const char *name, const char *own_name)
{
    int32_t status = validate_name(name);
    if (status == MAPRING_OK)
        status = own_name == NULL ? MAPRING_INVALID_ARGUMENT : check_own_name(own_name);
    if (status < 0)
        return status;
    struct ring ring;
    struct platform_target target = ring_target(name, NULL);
    status = ring_open(&target, ROLE_CONSUMER, &ring, NULL);
    if (status < 0)
        return status;
    status = registry_lock(&ring);
    if (status == MAPRING_OK) {
        status = forget(&ring, own_name);
        registry_unlock(&ring);
    }
    ring_close(&ring);
    return status;
}

int32_t mapring_progress(mapring_consumer *consumer, mapring_consumer_progress *progress)
{
    if (consumer == NULL || progress == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (progress->struct_size != sizeof *progress)
        return MAPRING_INVALID_OPTIONS;
    *progress = (mapring_consumer_progress){
        .struct_size = sizeof *progress,
        .kind = consumer->kind,
        .position = position_of(consumer),
        .sequence = consumer->sequence,
        .lost_messages = consumer->lost_messages,
        .lost_bytes = consumer->lost_bytes,
        .torn_messages = consumer->torn_messages,
        .redelivered = consumer->redelivered,
        .epoch = load64_relaxed(&consumer->ring.stream->epoch),
        .unreleased = unreleased_of(consumer),
    };
    return MAPRING_OK;
}
