#include "ring.h"

#include <string.h>

#include <mapring/mapring.h>

#include "record.h"
#include "validate.h"

static int32_t map_regions(struct ring *ring, enum ring_role role)
{
    const struct geometry *geometry = &ring->geometry;
    void *address;
    int32_t status =
        platform_map(ring->segment, geometry->stream_offset, geometry->stream_size, role == ROLE_PRODUCER, &address);
    if (status < 0)
        return status;
    ring->stream = address;
    ring->data = (uint8_t *)address + STREAM_HEAD_SIZE;
    status =
        platform_map(ring->segment, geometry->readers_offset, geometry->readers_size, role != ROLE_OBSERVER, &address);
    if (status < 0)
        return status;
    ring->readers = address;
    return MAPRING_OK;
}

void ring_close(struct ring *ring)
{
    /* A child of fork() has no views, and something else may lie there by now. */
    if (ring->segment != NULL && platform_segment_is_ours(ring->segment)) {
        if (ring->stream != NULL)
            platform_unmap(ring->stream, ring->geometry.stream_size);
        if (ring->readers != NULL)
            platform_unmap(ring->readers, ring->geometry.readers_size);
    }
    platform_segment_close(ring->segment);
    memset(ring, 0, sizeof *ring);
}

/* Creation. */

/* The segment is zeroed: what is not stored here is 0. */
static void write_stream(struct ring *ring)
{
    struct stream *stream = ring->stream;
    uint64_t first = ring->geometry.first_position;
    for (uint32_t i = 0; i < STRIDE_COUNT; i++)
        store64_relaxed(&stream->index[i].position, NO_POSITION);
    struct index_entry *entry = &stream->index[first / (ring->geometry.capacity / STRIDE_COUNT) % STRIDE_COUNT];
    store64_relaxed(&entry->time_ns, platform_time_ns());
    store64_relaxed(&entry->position, first);
    store64_relaxed(&stream->frontier, first);
    store64_relaxed(&stream->acted, first);
    store64_relaxed(&stream->end, NO_POSITION);
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++)
        store64_relaxed(&ring->readers->slots[i].cursor, NO_POSITION);
}

/* Takes the producer's lock on the way: it can need the id (Windows names locks by it), and must be held before others
 * find the ring complete. */
static int32_t write_identity(struct ring *ring, const char *name)
{
    void *address;
    int32_t status = platform_map(ring->segment, 0, sizeof(struct identity), true, &address);
    if (status < 0)
        return status;
    struct identity *identity = address;
    const struct geometry *geometry = &ring->geometry;
    identity->kind = MAPRING_KIND_RING;
    identity->format_version = MAPRING_FORMAT_VERSION;
    identity->segment_size = geometry->segment_size;
    identity->capacity = geometry->capacity;
    identity->stream_offset = geometry->stream_offset;
    identity->readers_offset = geometry->readers_offset;
    identity->slot_count = geometry->slot_count;
    identity->backing = geometry->backing;
    identity->first_position = geometry->first_position;
    identity->slow_policy = geometry->slow_policy;
    identity->flags = geometry->flags;
    identity->slow_ns = geometry->slow_ns;
    identity->hold_ns = geometry->hold_ns;
    identity->created_ns = platform_time_ns();
    memcpy(identity->ring_id, geometry->ring_id, sizeof identity->ring_id);
    memcpy(identity->name, canonical_name(name), strlen(canonical_name(name)));
    status = platform_lock(ring->segment, PRODUCER_NUMBER);
    /* Pairs with the load of magic in read_identity(): who sees it sees the whole ring. */
    if (status == 1) {
        store64_release(&identity->magic, IDENTITY_MAGIC);
        /* Never written again, so it must be on the disk before anything that a later flush promises. */
        if ((geometry->flags & MAPRING_DURABLE) != 0) {
            int32_t flushed = platform_flush(ring->segment, address, sizeof(struct identity));
            status = flushed < 0 ? flushed : status;
        }
    }
    platform_unmap(address, sizeof(struct identity));
    if (status == 0)
        return MAPRING_PRODUCER_EXISTS;
    return status < 0 ? status : MAPRING_OK;
}

int32_t ring_create(const struct platform_target *target, const struct geometry *wanted, struct ring *ring)
{
    memset(ring, 0, sizeof *ring);
    struct geometry *geometry = &ring->geometry;
    *geometry = *wanted;
    geometry->backing = target->file == NULL ? BACKING_MEMORY : BACKING_FILE;
    int32_t status = platform_random(geometry->ring_id);
    if (status < 0)
        return status;

    const struct platform_extent extents[] = {
        {0, 4096},
        {geometry->stream_offset, geometry->stream_size},
        {geometry->readers_offset, geometry->readers_size},
    };
    status = platform_segment_create(target, geometry->segment_size, extents, 3, &ring->segment);
    if (status == MAPRING_OK)
        status = map_regions(ring, ROLE_PRODUCER);
    if (status == MAPRING_OK) {
        write_stream(ring);
        status = write_identity(ring, target->name);
    }
    if (status < 0)
        ring_close(ring);
    return status;
}

int32_t ring_publish(struct ring *ring)
{
    return platform_segment_publish(ring->segment, NULL);
}

/* Opening. */

/* On Windows a name shows before the ring behind it is complete: until then magic is 0. */
#define COMPLETION_NS 500000000u
#define COMPLETION_LOOKS 500

/* `name` is NULL for a segment that was not opened by its name. */
static int32_t read_identity(struct platform_segment *segment, const char *name, struct identity *copy)
{
    if (platform_segment_size(segment) < sizeof copy->magic)
        return MAPRING_NOT_A_RING;
    void *address;
    int32_t status = platform_map(segment, 0, sizeof *copy, false, &address);
    if (status < 0)
        return status;
    const struct identity *identity = address;
    uint64_t deadline = platform_clock_ns() + COMPLETION_NS;
    /* Pairs with write_identity(). */
    uint64_t magic = load64_acquire(&identity->magic);
    for (int look = 0; magic == 0 && name != NULL && look < COMPLETION_LOOKS; look++) {
        uint64_t now = platform_clock_ns();
        if (now >= deadline)
            break;
        platform_segment_await(name, min64(deadline, now + 1000000));
        magic = load64_acquire(&identity->magic);
    }
    memcpy(copy, identity, sizeof *copy);
    copy->magic.word = magic;
    platform_unmap(address, sizeof *copy);
    return MAPRING_OK;
}

int32_t ring_open(const struct platform_target *target, enum ring_role role, struct ring *ring,
                  struct identity *identity)
{
    memset(ring, 0, sizeof *ring);
    enum platform_access access = role == ROLE_OBSERVER ? PLATFORM_OBSERVE : PLATFORM_ATTACH;
    struct identity copy;
    int32_t status = platform_segment_open(target, access, &ring->segment);
    if (status == MAPRING_OK)
        status = read_identity(ring->segment, target->file == NULL ? target->name : NULL, &copy);
    if (status == MAPRING_OK)
        status = validate_identity(&copy, platform_segment_size(ring->segment), &ring->geometry);
    if (status == MAPRING_OK && target->name != NULL && strcmp(canonical_name(target->name), copy.name) != 0)
        status = MAPRING_WRONG_NAME;
    if (status == MAPRING_OK)
        status = map_regions(ring, role);
    if (status < 0)
        ring_close(ring);
    else if (identity != NULL)
        *identity = copy;
    return status;
}
