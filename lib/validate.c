#include "validate.h"

#include <stdbool.h>
#include <string.h>

#include <mapring/mapring.h>

/* The number of bytes of the UTF-8 character at `s`, or 0 if there is none (RFC 3629). */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    size_t length;
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        length = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        length = 3;
        if (s[0] == 0xe0)
            low = 0xa0;
        if (s[0] == 0xed)
            high = 0x9f;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        length = 4;
        if (s[0] == 0xf0)
            low = 0x90;
        if (s[0] == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return length;
}

#define LOCAL_PREFIX "Local\\"
#define GLOBAL_PREFIX "Global\\"

const char *canonical_name(const char *name)
{
    size_t length = sizeof LOCAL_PREFIX - 1;
    return strncmp(name, LOCAL_PREFIX, length) == 0 ? name + length : name;
}

const char *plain_name(const char *name, bool *global)
{
    size_t length = sizeof GLOBAL_PREFIX - 1;
    *global = strncmp(name, GLOBAL_PREFIX, length) == 0;
    return *global ? name + length : canonical_name(name);
}

int32_t validate_name(const char *name)
{
    if (name == NULL)
        return MAPRING_INVALID_ARGUMENT;
    bool global;
    name = plain_name(name, &global);
    size_t length = strnlen(name, MAPRING_NAME_MAX + 1);
    if (length == 0 || length > MAPRING_NAME_MAX || name[0] == '.')
        return MAPRING_INVALID_NAME;
    const unsigned char *s = (const unsigned char *)name;
    while (*s != 0) {
        if (*s < 0x20 || *s == 0x7f || *s == '/' || *s == '\\')
            return MAPRING_INVALID_NAME;
        size_t bytes = utf8_length(s);
        if (bytes == 0)
            return MAPRING_INVALID_NAME;
        s += bytes;
    }
    return MAPRING_OK;
}

int32_t validate_capacity(uint64_t capacity)
{
    bool power_of_two = (capacity & (capacity - 1)) == 0;
    if (!power_of_two || capacity < CAPACITY_MIN || capacity > CAPACITY_MAX)
        return MAPRING_INVALID_CAPACITY;
    return MAPRING_OK;
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

struct geometry geometry_of(uint64_t capacity, uint32_t slot_count)
{
    struct geometry geometry = {
        .capacity = capacity,
        .slot_count = slot_count,
        .stream_offset = REGION_ALIGNMENT,
        .stream_size = STREAM_HEAD_SIZE + capacity,
        .readers_size = sizeof(struct readers) + slot_count * sizeof(struct slot),
    };
    geometry.readers_offset = align_up(geometry.stream_offset + geometry.stream_size, REGION_ALIGNMENT);
    geometry.segment_size = geometry.readers_offset + align_up(geometry.readers_size, 4096);
    return geometry;
}

int32_t validate_identity(const struct identity *identity, uint64_t segment_size, struct geometry *geometry)
{
    if (identity->magic.word != IDENTITY_MAGIC)
        return MAPRING_NOT_A_RING;
    if (identity->kind != MAPRING_KIND_RING)
        return MAPRING_WRONG_KIND;
    if (identity->format_version != MAPRING_FORMAT_VERSION)
        return MAPRING_WRONG_VERSION;
    if (validate_capacity(identity->capacity) < 0 || identity->slot_count < 1 || identity->slot_count > SLOTS_MAX)
        return MAPRING_CORRUPT;

    struct geometry computed = geometry_of(identity->capacity, identity->slot_count);
    if (identity->segment_size != computed.segment_size || identity->stream_offset != computed.stream_offset ||
        identity->readers_offset != computed.readers_offset || identity->backing > BACKING_FILE ||
        identity->slow_policy > MAPRING_SLOW_EVICT || (identity->flags & ~(uint32_t)MAPRING_DURABLE) != 0 ||
        identity->first_position % 8 != 0 || memchr(identity->name, 0, sizeof identity->name) == NULL ||
        validate_name(identity->name) < 0)
        return MAPRING_CORRUPT;
    if (segment_size < computed.segment_size)
        return MAPRING_TRUNCATED;

    computed.backing = identity->backing;
    computed.first_position = identity->first_position;
    computed.slow_policy = identity->slow_policy;
    computed.flags = identity->flags;
    computed.slow_ns = identity->slow_ns;
    computed.hold_ns = identity->hold_ns;
    memcpy(computed.ring_id, identity->ring_id, sizeof computed.ring_id);
    *geometry = computed;
    return MAPRING_OK;
}

uint64_t segment_size_of(uint64_t size, uint64_t data_offset)
{
    return data_offset + align_up(size, 4096);
}

static bool is_segment_sound(const struct segment_header *header)
{
    if (header->size == 0 || header->size > SEGMENT_SIZE_MAX)
        return false;
    if ((header->kind & KIND_IN_FILE) != 0)
        return header->data_offset == 0;
    return (header->data_offset == REGION_ALIGNMENT || header->data_offset == LARGE_PAGE_SIZE) &&
           header->segment_size == segment_size_of(header->size, header->data_offset);
}

static int32_t validate_contents(const struct segment_header *header)
{
    switch (header->kind) {
    case MAPRING_KIND_RING | KIND_IN_FILE:
        return MAPRING_OK;
    case MAPRING_KIND_SEGMENT:
    case MAPRING_KIND_SEGMENT | KIND_IN_FILE:
        return is_segment_sound(header) ? MAPRING_OK : MAPRING_CORRUPT;
    case MAPRING_KIND_EVENT:
        return header->size <= 1 ? MAPRING_OK : MAPRING_CORRUPT;
    case MAPRING_KIND_SEMAPHORE:
        return header->size >= 1 && header->size <= INT32_MAX ? MAPRING_OK : MAPRING_CORRUPT;
    case MAPRING_KIND_MUTEX:
        return MAPRING_OK;
    default:
        return MAPRING_WRONG_KIND; /* one of later versions */
    }
}

int32_t validate_header(const struct segment_header *header, uint64_t segment_size)
{
    if (header->magic.word != IDENTITY_MAGIC)
        return MAPRING_NOT_A_RING;
    if (header->format_version != MAPRING_FORMAT_VERSION)
        return MAPRING_WRONG_VERSION;
    if (memchr(header->name, 0, sizeof header->name) == NULL ||
        (header->name[0] != 0 && validate_name(header->name) < 0))
        return MAPRING_CORRUPT;
    int32_t status = validate_contents(header);
    if (status < 0)
        return status;
    return segment_size < header->segment_size ? MAPRING_TRUNCATED : MAPRING_OK;
}
