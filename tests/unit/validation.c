/*
 * The pure functions: names, capacities, geometry, identities, records.
 */
#include <string.h>

#include "rings.h"

#include "record.h"
#include "validate.h"

TestSuite(validation, .timeout = 10);

Test(validation, good_names)
{
    const char *names[] = {
        "a",
        "a.b",
        "with space",
        "-",
        "\xc2\x80",         /* the least of two bytes */
        "\xdf\xbf",         /* the greatest */
        "\xe0\xa0\x80",     /* the least of three */
        "\xed\x9f\xbf",     /* the last before the surrogates */
        "\xee\x80\x80",     /* the first behind them */
        "\xf0\x90\x80\x80", /* the least of four */
        "\xf4\x8f\xbf\xbf", /* the greatest of all */
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert(validate_name(names[i]) == MAPRING_OK, "name %zu", i);
}

Test(validation, bad_names)
{
    const char *names[] = {
        "",
        ".",
        "..",
        ".hidden",
        "/",
        "a/b",
        "a\\b",
        "a\nb",
        "\x1f",
        "\x7f",
        "\x80",             /* a continuation alone */
        "\xc0\xaf",         /* an overlong '/' */
        "\xc1\xbf",         /* overlong */
        "\xc3",             /* cut off */
        "\xc3(",            /* no continuation */
        "\xe0\x9f\xbf",     /* overlong */
        "\xe2\x82",         /* cut off */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xf0\x9f\x98",     /* cut off */
        "\xf4\x90\x80\x80", /* beyond the last character */
        "\xf5\x80\x80\x80",
        "\xff",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert(validate_name(names[i]) == MAPRING_INVALID_NAME, "name %zu", i);
    cr_assert_status(validate_name(NULL), MAPRING_INVALID_ARGUMENT);
}

Test(validation, every_byte_alone)
{
    for (int byte = 1; byte < 256; byte++) {
        char name[2] = {(char)byte, 0};
        bool good = byte >= 0x20 && byte < 0x7f && byte != '/' && byte != '\\' && byte != '.';
        cr_assert((validate_name(name) == MAPRING_OK) == good, "byte %d", byte);
    }
}

Test(validation, lengths_of_names)
{
    char name[MAPRING_NAME_MAX + 100];
    for (size_t length = 1; length < sizeof name; length++) {
        memset(name, 'n', length);
        name[length] = 0;
        cr_assert((validate_name(name) == MAPRING_OK) == (length <= MAPRING_NAME_MAX), "length %zu", length);
    }
}

Test(validation, capacities)
{
    for (int bit = 0; bit < 64; bit++) {
        uint64_t power = (uint64_t)1 << bit;
        bool good = power >= 4096 && power <= (uint64_t)16 << 30;
        cr_assert((validate_capacity(power) == MAPRING_OK) == good, "2^%d", bit);
        if (power > 2) {
            cr_assert_status(validate_capacity(power - 1), MAPRING_INVALID_CAPACITY);
            cr_assert_status(validate_capacity(power + 1), MAPRING_INVALID_CAPACITY);
        }
    }
    cr_assert_status(validate_capacity(0), MAPRING_INVALID_CAPACITY);
    cr_assert_status(validate_capacity(3 * 4096), MAPRING_INVALID_CAPACITY);
    cr_assert_status(validate_capacity(UINT64_MAX), MAPRING_INVALID_CAPACITY);
}

Test(validation, geometry)
{
    const uint32_t slot_counts[] = {1, 2, 63, 64, 65, SLOTS_MAX};
    for (uint64_t capacity = CAPACITY_MIN; capacity <= CAPACITY_MAX; capacity *= 2) {
        for (size_t i = 0; i < sizeof slot_counts / sizeof slot_counts[0]; i++) {
            struct geometry geometry = geometry_of(capacity, slot_counts[i]);
            cr_assert_eq(geometry.stream_offset % 65536, 0);
            cr_assert_eq(geometry.readers_offset % 65536, 0);
            cr_assert_geq(geometry.stream_offset, sizeof(struct identity));
            cr_assert_eq(geometry.stream_size, 4096 + capacity);
            cr_assert_geq(geometry.readers_offset, geometry.stream_offset + geometry.stream_size);
            cr_assert_geq(geometry.readers_size, 512 + 128 * (uint64_t)slot_counts[i]);
            cr_assert_geq(geometry.segment_size, geometry.readers_offset + geometry.readers_size);
            /* Bells and groups in two pages, and what a slot may cost. */
            cr_assert_leq(geometry.readers_size, 8192 + 256 * (uint64_t)slot_counts[i]);
        }
    }
}

static struct identity good_identity(void)
{
    struct geometry geometry = geometry_of(65536, 5);
    return (struct identity){
        .magic = {IDENTITY_MAGIC},
        .kind = MAPRING_KIND_RING,
        .format_version = MAPRING_FORMAT_VERSION,
        .segment_size = geometry.segment_size,
        .capacity = geometry.capacity,
        .stream_offset = geometry.stream_offset,
        .readers_offset = geometry.readers_offset,
        .slot_count = geometry.slot_count,
        .backing = BACKING_MEMORY,
        .ring_id = {7, 8},
        .first_position = 64,
        .name = "good",
    };
}

Test(validation, good_identity)
{
    struct identity identity = good_identity();
    struct geometry geometry;
    cr_assert_status(validate_identity(&identity, identity.segment_size, &geometry), MAPRING_OK);
    cr_assert_status(validate_identity(&identity, identity.segment_size + 4096, &geometry), MAPRING_OK);
    cr_assert_eq(geometry.capacity, 65536);
    cr_assert_eq(geometry.slot_count, 5);
    cr_assert_eq(geometry.backing, BACKING_MEMORY);
    cr_assert_eq(geometry.first_position, 64);
    cr_assert_eq(geometry.ring_id[0], 7);
    cr_assert_eq(geometry.ring_id[1], 8);
    cr_assert_eq(geometry.stream_offset, identity.stream_offset);
    cr_assert_eq(geometry.readers_offset, identity.readers_offset);
    cr_assert_eq(geometry.segment_size, identity.segment_size);
}

/* One field after the other is broken; the geometry must stay as it was. */
#define BROKEN(field, value, expected)                                                                                 \
    do {                                                                                                               \
        struct identity identity_ = good_identity();                                                                   \
        uint64_t size_ = identity_.segment_size;                                                                       \
        struct geometry untouched_, geometry_;                                                                         \
        memset(&untouched_, 0x5a, sizeof untouched_);                                                                  \
        memset(&geometry_, 0x5a, sizeof geometry_);                                                                    \
        identity_.field = (value);                                                                                     \
        cr_assert_status(validate_identity(&identity_, size_, &geometry_), expected);                                  \
        cr_assert_eq(memcmp(&geometry_, &untouched_, sizeof geometry_), 0);                                            \
    } while (0)

Test(validation, broken_identities)
{
    uint64_t size = good_identity().segment_size;
    BROKEN(magic.word, 0, MAPRING_NOT_A_RING);
    BROKEN(magic.word, IDENTITY_MAGIC + 1, MAPRING_NOT_A_RING);
    BROKEN(kind, 0, MAPRING_WRONG_KIND);
    BROKEN(kind, MAPRING_KIND_RING | KIND_IN_FILE, MAPRING_WRONG_KIND);
    BROKEN(kind, 99, MAPRING_WRONG_KIND);
    BROKEN(format_version, 0, MAPRING_WRONG_VERSION);
    BROKEN(format_version, MAPRING_FORMAT_VERSION + 1, MAPRING_WRONG_VERSION);
    BROKEN(segment_size, 0, MAPRING_CORRUPT);
    BROKEN(segment_size, size + 4096, MAPRING_CORRUPT);
    BROKEN(segment_size, UINT64_MAX, MAPRING_CORRUPT);
    BROKEN(capacity, 0, MAPRING_CORRUPT);
    BROKEN(capacity, 4096, MAPRING_CORRUPT);
    BROKEN(capacity, 65537, MAPRING_CORRUPT);
    BROKEN(capacity, 131072, MAPRING_CORRUPT);
    BROKEN(capacity, (uint64_t)1 << 63, MAPRING_CORRUPT);
    BROKEN(capacity, UINT64_MAX, MAPRING_CORRUPT);
    BROKEN(stream_offset, 0, MAPRING_CORRUPT);
    BROKEN(stream_offset, 65536 + 8, MAPRING_CORRUPT);
    BROKEN(stream_offset, UINT64_MAX, MAPRING_CORRUPT);
    BROKEN(readers_offset, 65536, MAPRING_CORRUPT);
    BROKEN(readers_offset, 0, MAPRING_CORRUPT);
    BROKEN(slot_count, 0, MAPRING_CORRUPT);
    BROKEN(slot_count, 1000, MAPRING_CORRUPT); /* more than the sizes say */
    BROKEN(slot_count, SLOTS_MAX + 1, MAPRING_CORRUPT);
    BROKEN(slot_count, UINT32_MAX, MAPRING_CORRUPT);
    BROKEN(backing, 2, MAPRING_CORRUPT);
    BROKEN(first_position, 4, MAPRING_CORRUPT);
    BROKEN(name[0], 0, MAPRING_CORRUPT);
    BROKEN(name[0], '.', MAPRING_CORRUPT);
    BROKEN(name[1], '/', MAPRING_CORRUPT);
    BROKEN(name[2], (char)0xff, MAPRING_CORRUPT);
}

Test(validation, identity_with_an_endless_name)
{
    struct identity identity = good_identity();
    struct geometry geometry;
    memset(identity.name, 'n', sizeof identity.name);
    cr_assert_status(validate_identity(&identity, identity.segment_size, &geometry), MAPRING_CORRUPT);
    identity.name[MAPRING_NAME_MAX + 1] = 0;
    cr_assert_status(validate_identity(&identity, identity.segment_size, &geometry), MAPRING_CORRUPT);
    identity.name[MAPRING_NAME_MAX] = 0;
    cr_assert_status(validate_identity(&identity, identity.segment_size, &geometry), MAPRING_OK);
}

Test(validation, identity_of_a_truncated_segment)
{
    struct identity identity = good_identity();
    struct geometry geometry;
    const uint64_t sizes[] = {0, sizeof identity, identity.stream_offset, identity.segment_size - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        cr_assert_status(validate_identity(&identity, sizes[i], &geometry), MAPRING_TRUNCATED);
}

Test(validation, identity_of_random_bytes)
{
    uint64_t random = 1;
    for (int round = 0; round < 200000; round++) {
        struct identity identity = good_identity();
        uint8_t *bytes = (uint8_t *)&identity;
        uint64_t place = random_next(&random) % sizeof identity;
        bytes[place] = (uint8_t)random_next(&random);
        struct geometry geometry;
        if (validate_identity(&identity, identity.segment_size, &geometry) < 0)
            continue;
        struct geometry expected = geometry_of(geometry.capacity, geometry.slot_count);
        cr_assert_eq(geometry.segment_size, expected.segment_size);
        cr_assert_eq(geometry.stream_offset, expected.stream_offset);
        cr_assert_eq(geometry.readers_offset, expected.readers_offset);
        cr_assert_eq(geometry.stream_size, expected.stream_size);
        cr_assert_eq(geometry.readers_size, expected.readers_size);
    }
}

Test(validation, record_sizes)
{
    for (uint64_t length = 0; length < 100; length++) {
        cr_assert_eq(record_size(length) % 8, 0);
        cr_assert_geq(record_size(length), 8 + length);
        cr_assert_lt(record_size(length), 16 + length);
    }
    cr_assert_eq(record_size(MESSAGE_LENGTH_MAX), MESSAGE_LENGTH_MAX + 8);
}

Test(validation, record_headers)
{
    const uint64_t lengths[] = {0, 1, 8, 1023, MESSAGE_LENGTH_MAX};
    const uint32_t tags[] = {0, 1, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t j = 0; j < sizeof tags / sizeof tags[0]; j++) {
            uint64_t header = message_header(lengths[i], tags[j]);
            cr_assert_neq(header, 0);
            cr_assert_eq(header_length(header), lengths[i]);
            cr_assert_eq(header >> HEADER_TAG_SHIFT, tags[j]);
            cr_assert_eq(header & HEADER_PADDING, 0);
            cr_assert_neq(header & HEADER_COMMITTED, 0);
        }
    }
    for (uint64_t size = 8; size < 4096; size += 8) {
        uint64_t header = padding_header(size);
        cr_assert_neq(header & HEADER_PADDING, 0);
        cr_assert_neq(header & HEADER_COMMITTED, 0);
        cr_assert_eq(record_size(header_length(header)), size);
    }
}

Test(validation, sound_headers_lie_within_the_data)
{
    uint64_t capacity = 4096;
    for (uint64_t offset = 0; offset < capacity; offset += 8) {
        uint64_t longest = capacity - offset - 8;
        cr_assert(header_is_sound(message_header(longest, 0), offset, capacity));
        cr_assert_not(header_is_sound(message_header(longest + 1, 0), offset, capacity));
        cr_assert_not(header_is_sound(message_header(HEADER_LENGTH_MASK, 0), offset, capacity));
        cr_assert_not(header_is_sound(message_header(8, 0) & ~HEADER_COMMITTED, offset, capacity));
    }
}

Test(validation, stride_ends)
{
    for (uint64_t capacity = 4096; capacity <= 65536; capacity *= 2) {
        uint64_t stride = capacity / 64;
        for (uint64_t position = 0; position < 3 * capacity; position += 8) {
            uint64_t end = stride_end(position, capacity);
            cr_assert_eq(end % stride, 0);
            cr_assert_gt(end, position);
            cr_assert_leq(end - position, stride);
        }
    }
    cr_assert_eq(overwritten_below(100, 4096), 0);
    cr_assert_eq(overwritten_below(4096, 4096), 0);
    cr_assert_eq(overwritten_below(5000, 4096), 904);
}
