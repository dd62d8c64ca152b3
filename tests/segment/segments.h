/*
 * Segments as the tests of several processes use them: what must succeed does, or ends the process.
 */
#ifndef MAPRING_TESTS_SEGMENTS_H
#define MAPRING_TESTS_SEGMENTS_H

#include <mapring/mapring.h>

#include "cases.h"

#define ALIGNMENT ((uint64_t)65536)

mapring_segment_options segment_options(uint32_t mode, uint64_t size);

/* Creates a segment that is not there, or opens one that is. */
mapring_segment *create_segment(const char *name, uint64_t size, uint32_t flags);
mapring_segment *open_segment(const char *name);

/* All of it, to read and write. */
void *map_segment(mapring_segment *segment);
mapring_segment_info stat_segment(mapring_segment *segment);

/* Whether there is one of this name. */
bool segment_exists(const char *name);

/* What a call that opens a segment by this name says; nothing is left open. */
int32_t status_of_open(const char *name, const mapring_segment_options *options);

#endif
