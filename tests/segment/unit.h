/*
 * What the unit tests of segments share.
 */
#ifndef MAPRING_TESTS_SEGMENT_UNIT_H
#define MAPRING_TESTS_SEGMENT_UNIT_H

#include "rings.h"

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)

mapring_segment_options new_options(uint64_t size);

/* What opening says; nothing is left open, nor in the folders of names. */
int32_t try_open(const char *name, const mapring_segment_options *options);

mapring_segment *open_with(const char *name, const mapring_segment_options *options, int32_t expected);
void *map_all(mapring_segment *segment);
mapring_segment_info info_of(mapring_segment *segment);

/* A file with these bytes repeated to its size, outside the folder of names. The caller removes it. */
void make_file(char path[128], uint64_t size, uint8_t byte);
uint64_t size_of_file(const char *path);

int count_descriptors(void);

#endif
