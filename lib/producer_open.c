/*
 * The producer's life outside publishing: creation, takeover (docs/design.md P8), the
 * end of the stream, and waiting for consumers.
 */
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "index.h"
#include "life.h"
#include "options.h"
#include "producer.h"
#include "record.h"
#include "slot.h"
#include "validate.h"
#include "wait_set.h"

/* Opening. */

static bool consumers_fence(void *context)
{
    const struct mapring_producer *producer = context;
    const struct ring *ring = &producer->ring;
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        /* Pairs with the stores of the state in slot_announce() and ring_producer(): who announces fences has fenced.
         */
        uint64_t state = load64_acquire(&ring->readers->slots[i].state);
        bool waited_for = state != 0 && (state & SLOT_LET_GO) == 0 && (state & SLOT_KIND_MASK) != MAPRING_LOSSY;
        /* Has its place, and has not said yet whether it fences. */
        bool joins = state == 0 && load64_relaxed(&ring->readers->slots[i].cursor) != NO_POSITION;
        if (joins || (waited_for && (state & SLOT_FENCES) == 0))
            return false;
    }
    return true;
}

/* Finds where the stream stands, as its last producer left it. An uncommitted claim or run was never visible, and is
 * not seen here either. */
static int32_t take_over(struct mapring_producer *producer)
{
    struct ring *ring = &producer->ring;
    struct stream *stream = ring->stream;
    uint64_t capacity = ring->geometry.capacity;
    int32_t status = recover(ring);
    if (status < 0)
        return status;

    /* What the last producer stored came with the lock that it died or closed with. It announced a frontier that it
     * perhaps never acted on. */
    uint64_t acted = load64_relaxed(&stream->acted);
    struct mark mark;
    if (acted % 8 != 0 || acted >= NO_POSITION - 2 * CAPACITY_MAX ||
        !index_find(ring, acted, (struct start){NEWEST, 0}, &mark))
        return MAPRING_CORRUPT;
    producer->indexed_end = stride_end(mark.position, capacity);
    status = walk_to_newest(ring, &mark, false);
    if (status < 0)
        return status;

    producer->acted = acted;
    producer->prefetch_distance = min64(capacity / PREFETCH_PART, PREFETCH_DISTANCE_MAX);
    producer->lap = mark.position & ~(capacity - 1);
    producer->next = ring->data + (mark.position & (capacity - 1));
    producer->limit = producer->next;
    producer->sequence = mark.sequence;
    store64_relaxed(&stream->frontier, acted);
    uint64_t boot_id[2];
    platform_boot_id(boot_id);
    store64_relaxed(&stream->boot_id[0], boot_id[0]);
    store64_relaxed(&stream->boot_id[1], boot_id[1]);
    producer->durable = last_durable_frontier(ring, &producer->flushed);
    /* The first checkpoint: later ones reckon from the one before. */
    bool durable = (ring->geometry.flags & MAPRING_DURABLE) != 0;
    return durable && producer->durable == UINT64_MAX && !secure_frontier(producer, acted) ? producer->failure
                                                                                           : MAPRING_OK;
}

static void choose_fence(struct mapring_producer *producer)
{
    bool reached = platform_heavy_fence_register();
    bool wanted = (load64_relaxed(producer->sleepers) & SLEEPERS_WANT_FENCES) != 0;
    producer->fences = producer->must_fence = !reached || wanted;
}

/* The ring is mapped and its producer's lock is ours. */
static int32_t start(struct mapring_producer *producer, uint32_t waiting)
{
    struct ring *ring = &producer->ring;
    producer->dead_since = calloc(ring->geometry.slot_count + GROUPS_MAX, sizeof *producer->dead_since);
    if (producer->dead_since == NULL)
        return MAPRING_NO_MEMORY;
    producer->sleepers = &ring->readers->news.sleepers;
    producer->sleeper = (struct sleeper){
        .bell = &ring->readers->room,
        .number = PRODUCER_NUMBER,
        .peer_fences = consumers_fence,
        .context = producer,
        .address = &ring->stream->address,
        .counts = &ring->stream->counts,
    };
    sleeper_set_waiting(&producer->sleeper, waiting);
    int32_t status = platform_parking_open(ring->geometry.ring_id, PRODUCER_NUMBER, ring->geometry.slot_count,
                                           &producer->sleeper.parking);
    if (status < 0)
        return status;
    status = take_over(producer);
    if (status < 0)
        return status;
    choose_fence(producer);
    /* Consumers that slept while there was no producer look again. */
    tell_fences(producer);
    return MAPRING_OK;
}

/* MAPRING_OK if the ring that was opened by its name is the one in this file; MAPRING_WRONG_GEOMETRY, or why it cannot
 * be told. */
static int32_t check_file(const struct ring *ring, const char *file)
{
    struct ring other;
    struct platform_target target = ring_target(NULL, file);
    int32_t status = ring_open(&target, ROLE_OBSERVER, &other, NULL);
    if (status < 0)
        return status <= MAPRING_PERMISSION ? status : MAPRING_WRONG_GEOMETRY;
    bool same = memcmp(ring->geometry.ring_id, other.geometry.ring_id, sizeof ring->geometry.ring_id) == 0;
    ring_close(&other);
    return same ? MAPRING_OK : MAPRING_WRONG_GEOMETRY;
}

#define SUCCESSION_PAUSE_NS 1000000u

/* Becomes the producer, waiting for a living one to leave. */
static int32_t succeed(struct ring *ring, int64_t timeout_ns)
{
    uint64_t deadline = timeout_ns == 0 ? 0 : deadline_after(timeout_ns);
    for (;;) {
        int32_t taken = producer_lives(ring) ? 0 : producer_lock(ring);
        if (taken != 0)
            return taken < 0 ? taken : MAPRING_OK;
        if (deadline == 0 || platform_clock_ns() >= deadline)
            return MAPRING_PRODUCER_EXISTS;
        platform_sleep(SUCCESSION_PAUSE_NS);
    }
}

static struct platform_target target_of(const char *name, const char *file,
                                        const struct mapring_producer_options *options)
{
    return (struct platform_target){.name = name,
                                    .file = file,
                                    .kind = MAPRING_KIND_RING,
                                    .flags = options->flags & MAPRING_OTHER_OWNERS,
                                    .permissions = options->permissions};
}

static int32_t open_existing(const char *name, const char *file, const struct mapring_producer_options *options,
                             struct ring *ring)
{
    struct platform_target target = target_of(name, file, options);
    int32_t status = ring_open(&target, ROLE_PRODUCER, ring, NULL);
    if (status < 0)
        return status;
    const struct geometry *geometry = &ring->geometry;
    if (options->mode == MAPRING_CREATE_NEW)
        status = MAPRING_EXISTS;
    else if ((options->capacity != 0 && options->capacity != geometry->capacity) ||
             (options->max_consumers != 0 && options->max_consumers != geometry->slot_count))
        status = MAPRING_WRONG_GEOMETRY;
    else if (file == NULL && options->file != NULL)
        status = check_file(ring, options->file);
    if (status == MAPRING_OK)
        status = succeed(ring, options->timeout_ns);
    if (status < 0)
        ring_close(ring);
    return status;
}

#define HOLD_DEFAULT_NS 60000000000u

static int32_t create_new(const char *name, const struct mapring_producer_options *options, struct ring *ring)
{
    uint64_t capacity = options->capacity != 0 ? options->capacity : CAPACITY_DEFAULT;
    uint32_t slot_count = options->max_consumers != 0 ? options->max_consumers : SLOTS_DEFAULT;
    struct geometry geometry = geometry_of(capacity, slot_count);
    geometry.first_position = options->first_position;
    geometry.slow_policy = options->slow_policy;
    geometry.flags = options->flags & MAPRING_DURABLE;
    geometry.slow_ns = (uint64_t)options->slow_ns;
    geometry.hold_ns = options->hold_ns != 0 ? (uint64_t)options->hold_ns : HOLD_DEFAULT_NS;
    struct platform_target target = target_of(name, options->file, options);
    int32_t status = ring_create(&target, &geometry, ring);
    if (status == MAPRING_OK)
        producer_announce(ring);
    return status;
}

/* What there is to open. */
enum found { FOUND_NAME, FOUND_FILE, FOUND_NOTHING };

/* Opens the ring, or creates it, with the producer's lock taken; says what was there. */
static int32_t open_or_create(const char *name, const struct mapring_producer_options *options, struct ring *ring,
                              enum found *found)
{
    *found = FOUND_NAME;
    int32_t status = open_existing(name, NULL, options, ring);
    if (status == MAPRING_NOT_FOUND && options->file != NULL) {
        *found = FOUND_FILE;
        status = open_existing(name, options->file, options, ring);
    }
    if (options->mode != MAPRING_OPEN_EXISTING && status == MAPRING_NOT_FOUND) {
        *found = FOUND_NOTHING;
        status = create_new(name, options, ring);
    }
    return status;
}

/* From here on nothing can fail any longer: who hands over is done. */
static void begin_epoch(struct ring *ring)
{
    struct stream *stream = ring->stream;
    store64_relaxed(&stream->epoch, load64_relaxed(&stream->epoch) + 1);
    store64_relaxed(&stream->handing_over, 0);
}

/* What the last producer left of itself, which is over with the takeover. */
struct remains {
    uint64_t end;
    uint64_t address;
};

static struct remains clear_remains(struct stream *stream)
{
    struct remains remains = {load64_relaxed(&stream->end), load64_relaxed(&stream->address)};
    store64_relaxed(&stream->end, NO_POSITION);
    store64_relaxed(&stream->address, 0);
    return remains;
}

/* Where the ring could not get its name. Who hands over goes on; and consumers that were there before, which may have
 * seen a stream without an end for a moment, look again. */
static void restore_remains(struct mapring_producer *producer, struct remains remains)
{
    struct stream *stream = producer->ring.stream;
    store64_relaxed(&stream->end, remains.end);
    store64_relaxed(&stream->address, remains.address);
    wake_all(producer);
}

/* The lock is ours: after it nothing that fails is left behind but what holds whoever comes next. */
static int32_t take_stream(struct mapring_producer *producer, uint32_t waiting, enum found found)
{
    struct ring *ring = &producer->ring;
    int32_t status = start(producer, waiting);
    if (status < 0)
        return status;
    /* Before the name is there: who opens by it finds a stream that goes on. */
    struct remains remains = clear_remains(ring->stream);
    if (found == FOUND_NOTHING)
        begin_epoch(ring);
    if (found != FOUND_NAME) {
        status = ring_publish(ring);
        if (status < 0) {
            restore_remains(producer, remains);
            return status;
        }
    }
    if (found != FOUND_NOTHING)
        begin_epoch(ring);
    return MAPRING_OK;
}

/* One attempt. Who opens by the name from the moment on at which it is published finds a ring with a producer. */
static int32_t open_producer(const char *name, const struct mapring_producer_options *options,
                             struct mapring_producer *producer)
{
    enum found found;
    int32_t status = open_or_create(name, options, &producer->ring, &found);
    if (status < 0)
        return status;
    status = take_stream(producer, options->waiting, found);
    if (status < 0) {
        /* One that leaves says so: producer_lives() goes by it. */
        store64_relaxed(&producer->ring.stream->producer_pid, 0);
        platform_parking_close(producer->sleeper.parking);
        ring_close(&producer->ring);
        free(producer->dead_since);
        return status;
    }
    return found == FOUND_NOTHING ? 0 : 1;
}

/* Others may create, leave and clear away the same name at any moment, so that the next attempt finds something else;
 * but a name may also lead to a file that somebody removed, and stays as long as its holders. */
#define OPEN_ROUNDS 50
#define OPEN_PAUSE_NS 1000000u

static int32_t open_among_others(const char *name, const struct mapring_producer_options *options,
                                 struct mapring_producer *producer)
{
    for (int round = 1;; round++) {
        memset(producer, 0, sizeof *producer);
        int32_t status = open_producer(name, options, producer);
        if (status != MAPRING_EXISTS || options->mode == MAPRING_CREATE_NEW || round == OPEN_ROUNDS)
            return status;
        platform_segment_await(name, platform_clock_ns() + OPEN_PAUSE_NS);
    }
}

static int32_t check_options(const struct mapring_producer_options *options)
{
    if (options->struct_size != sizeof *options || options->mode > MAPRING_OPEN_EXISTING ||
        (options->permissions & ~(uint32_t)0666) != 0 || options->slow_policy > MAPRING_SLOW_EVICT ||
        options->waiting > MAPRING_WAIT_PARK || options->reserved0 != 0 ||
        (options->flags & ~(uint32_t)(MAPRING_DURABLE | MAPRING_OTHER_OWNERS)) != 0 ||
        ((options->flags & MAPRING_DURABLE) != 0 && options->file == NULL) ||
        !all_zero(options->reserved, sizeof options->reserved))
        return MAPRING_INVALID_OPTIONS;
    if (options->slow_ns < 0 || options->hold_ns < 0 || options->timeout_ns < 0)
        return MAPRING_INVALID_ARGUMENT;
    if (options->capacity != 0 && validate_capacity(options->capacity) < 0)
        return MAPRING_INVALID_CAPACITY;
    if (options->max_consumers > SLOTS_MAX || options->first_position % 8 != 0 ||
        options->first_position > UINT64_MAX / 2 || (options->file != NULL && options->file[0] == 0))
        return MAPRING_INVALID_ARGUMENT;
    return MAPRING_OK;
}

int32_t mapring_producer_open(const char *name, const mapring_producer_options *options, mapring_producer **producer)
{
    static const mapring_producer_options defaults = {.struct_size = sizeof defaults};
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (options == NULL)
        options = &defaults;
    int32_t status = check_options(options);
    if (status == MAPRING_OK)
        status = validate_name(name);
    if (status < 0)
        return status;

    struct mapring_producer *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return MAPRING_NO_MEMORY;
    status = open_among_others(name, options, opened);
    if (status < 0) {
        free(opened);
        return status;
    }
    *producer = opened;
    return status;
}

/* Ending and closing. */

int32_t mapring_end(mapring_producer *producer)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (producer->handed_over)
        return MAPRING_HANDED_OVER;
    if (producer->claim_count > 0)
        return MAPRING_CLAIM_OPEN;
    if (producer->ended)
        return MAPRING_OK;
    end_run(producer);
    producer->ended = true;
    producer->limit = producer->next;
    /* Pairs with the acquire load in check(): who looks at the ring as a whole finds the last message too. */
    store64_release(&producer->ring.stream->end, producer_position(producer));
    wake_all(producer);
    return MAPRING_OK;
}

void mapring_producer_close(mapring_producer *producer)
{
    if (producer == NULL)
        return;
    bool ours = producer->ring.segment != NULL && platform_segment_is_ours(producer->ring.segment);
    if (ours) {
        wait_shut(&producer->sleeper);
        wait_set_forget_producer(producer);
    }
    if (ours && !producer->handed_over) {
        end_run(producer);
        producer_unlock(&producer->ring);
        /* The stream may be a successor's by now, so this cannot be wake_all(). Pairs with the fence in wait_fence(),
         * for messages that were to wake nobody. */
        fence_full();
        wake_consumers(&producer->ring, producer->sleeper.parking, ALL_SLEEPERS);
    }
    platform_parking_close(producer->sleeper.parking);
    ring_close(&producer->ring);
    free(producer->dead_since);
    free(producer);
}

#define HANDING_OVER_NS 200000000u

/* Somebody will come: not for longer than we live. */
static void expect_successor(struct ring *ring)
{
    store64_relaxed(&ring->stream->handing_over, platform_clock_ns() + HANDING_OVER_NS);
}

static bool has_successor(const struct mapring_producer *producer)
{
    return load64_relaxed(&producer->ring.stream->epoch) != producer->left;
}

static int32_t give_up_lock(struct mapring_producer *producer, uint64_t deadline)
{
    end_run(producer);
    struct ring *ring = &producer->ring;
    /* Where locks have come to be refused nobody could come, nor this one go on: the stream stays here. */
    int32_t status = registry_lock_until(ring, min64(deadline, platform_clock_ns() + REGISTRY_NS));
    if (status < 0)
        return status;
    registry_unlock(ring);
    producer->left = load64_relaxed(&ring->stream->epoch);
    producer->handed_over = true;
    producer->limit = producer->next;
    expect_successor(ring);
    producer_unlock(ring);
    return MAPRING_OK;
}

/* Nobody came in time. Who has the lock now will come, or gives up, or dies, and has some time for it. Returns 1 with
 * the lock, 0 if somebody came after all, or a status. */
static int32_t regain_lock(struct mapring_producer *producer)
{
    struct ring *ring = &producer->ring;
    uint64_t deadline = platform_clock_ns() + REGISTRY_NS;
    while (!has_successor(producer)) {
        int32_t taken = producer_try_lock(ring);
        if (taken < 0)
            return taken;
        if (taken == 1) {
            if (!has_successor(producer))
                return 1;
            /* It came, and is gone. */
            producer_unlock(ring);
            return 0;
        }
        if (platform_clock_ns() >= deadline)
            return MAPRING_BUSY;
        expect_successor(ring);
        platform_sleep(SUCCESSION_PAUSE_NS);
    }
    return 0;
}

int32_t mapring_handover(mapring_producer *producer, int64_t timeout_ns)
{
    if (producer == NULL || timeout_ns < 0)
        return MAPRING_INVALID_ARGUMENT;
    if (producer->handed_over && producer->left == 0)
        return MAPRING_HANDED_OVER;
    if (producer->ended)
        return MAPRING_STREAM_ENDED;
    if (producer->claim_count > 0)
        return MAPRING_CLAIM_OPEN;
    uint64_t deadline = deadline_after(timeout_ns);
    int32_t status = producer->left == 0 ? give_up_lock(producer, deadline) : MAPRING_OK;
    if (status < 0)
        return status;
    bool cancelled = false;
    while (!has_successor(producer) && !cancelled && platform_clock_ns() < deadline) {
        expect_successor(&producer->ring);
        platform_sleep(SUCCESSION_PAUSE_NS);
        cancelled = wait_take_cancel(&producer->sleeper);
    }

    int32_t regained = regain_lock(producer);
    if (regained < 0)
        return regained;
    producer->left = 0;
    if (regained == 0)
        return MAPRING_OK;
    producer->handed_over = false;
    store64_relaxed(&producer->ring.stream->handing_over, 0);
    /* Another may have begun, and given up. */
    tell_fences(producer);
    return cancelled ? MAPRING_CANCELLED : MAPRING_TIMEOUT;
}

/* Waiting for consumers. */

static uint32_t count_consumers(const struct ring *ring)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        const struct slot *slot = &ring->readers->slots[i];
        uint64_t state = load64_relaxed(&slot->state);
        /* Others that died are reclaimed. */
        bool may_be_dead = slot_is_kept(slot) || (state & (SLOT_NAMED | SLOT_LET_GO)) != 0;
        count += state != 0 && (!may_be_dead || slot_lives(ring, i));
    }
    return count;
}

static bool enough_consumers(void *context)
{
    struct mapring_producer *producer = context;
    return count_consumers(&producer->ring) >= producer->wanted_consumers &&
           (reclaim_dead(producer) == 0 || count_consumers(&producer->ring) >= producer->wanted_consumers);
}

int32_t mapring_wait_consumers(mapring_producer *producer, uint32_t count, int64_t timeout_ns)
{
    if (producer == NULL || timeout_ns < 0 || count > producer->ring.geometry.slot_count)
        return MAPRING_INVALID_ARGUMENT;
    end_run(producer);
    producer->wanted_consumers = count;
    return wait_for_readers(producer, enough_consumers, timeout_ns);
}

static bool is_drained(void *context)
{
    const struct mapring_producer *producer = context;
    return least_cursor(producer) == producer_position(producer);
}

int32_t mapring_drain(mapring_producer *producer, int64_t timeout_ns)
{
    if (producer == NULL || timeout_ns < 0)
        return MAPRING_INVALID_ARGUMENT;
    end_run(producer);
    return wait_for_readers(producer, is_drained, timeout_ns);
}
