/*
 * What comes from outside is checked here, by pure functions.
 */
#ifndef MAPRING_LIB_VALIDATE_H
#define MAPRING_LIB_VALIDATE_H

#include <stdint.h>

#include "layout.h"

/* 1 to MAPRING_NAME_MAX bytes of UTF-8, no control characters, no '/' or '\', and no '.' at the start. */
int32_t validate_name(const char *name);

int32_t validate_capacity(uint64_t capacity);

/* The geometry of a ring of this capacity, which is valid, and slot count, 1 to SLOTS_MAX. */
struct geometry geometry_of(uint64_t capacity, uint32_t slot_count);

/*
 * Whether a private copy of an identity describes a ring that a segment of `segment_size` bytes can hold. Fills
 * `geometry` if so.
 */
int32_t validate_identity(const struct identity *identity, uint64_t segment_size, struct geometry *geometry);

#endif
