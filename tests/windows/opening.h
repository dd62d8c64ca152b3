/*
 * Segments as callers open them, for the tests of the public interface.
 */
#ifndef MAPRING_TESTS_WINDOWS_OPENING_H
#define MAPRING_TESTS_WINDOWS_OPENING_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/mapring.h>

#define MEBIBYTE ((uint64_t)1 << 20)
#define ODD_SIZE 100001u

int32_t open_with(const char *name, uint32_t mode, uint64_t size, uint32_t flags, mapring_segment **segment);

/* Opens and closes. */
int32_t status_of(const char *name, uint32_t mode, uint64_t size, uint32_t flags);

/* Whether nobody has the name, or only keeps it for a moment: who lists the names there are, as other tests do, opens
 * what they belong to. */
bool is_free(const char *name);

/* A view of the whole. NULL, and a failed check, if there is none to be had. */
uint8_t *map_all(mapring_segment *segment, uint32_t flags);

mapring_segment_info stat_of(mapring_segment *segment);

/* What the system lets do with the pages there: PAGE_READWRITE, ...; 0: nothing is mapped. */
uint32_t protection_of(const void *address);

#endif
