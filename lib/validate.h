/*
 * What comes from outside is checked here, by pure functions.
 */
#ifndef MAPRING_LIB_VALIDATE_H
#define MAPRING_LIB_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* `Local\`, `Global\` or nothing, then 1 to MAPRING_NAME_MAX bytes of UTF-8, no control characters, no '/' or '\', and
 * no
 * '.' at the start. */
int32_t validate_name(const char *name);

/* Of a valid name: without `Local\` in front, as it is stored; and without `Global\` too. */
const char *canonical_name(const char *name);
const char *plain_name(const char *name, bool *global);

int32_t validate_capacity(uint64_t capacity);

/* The geometry of a ring of this capacity, which is valid, and slot count, 1 to SLOTS_MAX. */
struct geometry geometry_of(uint64_t capacity, uint32_t slot_count);

/*
 * Whether a private copy of an identity describes a ring that a segment of `segment_size` bytes can hold. Fills
 * `geometry` if so.
 */
int32_t validate_identity(const struct identity *identity, uint64_t segment_size, struct geometry *geometry);

/* Whether a private copy of a header describes what a name of `segment_size` bytes can be, if that is no ring in
 * memory: the kinds of lib/layout.h. */
int32_t validate_header(const struct segment_header *header, uint64_t segment_size);

/* The bytes of a segment of `size` bytes in memory, with its header, which are `data_offset`. */
uint64_t segment_size_of(uint64_t size, uint64_t data_offset);

#endif
