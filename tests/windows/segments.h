/*
 * Segments as the tests of the platform use them.
 */
#ifndef MAPRING_TESTS_WINDOWS_SEGMENTS_H
#define MAPRING_TESTS_WINDOWS_SEGMENTS_H

#include <mapring/names.h>

#include "layout.h"
#include "platform.h"

#define RING_SEGMENT_SIZE 131072u

/* What the platform is to open or create. */
#define RING_TARGET(name_, file_) (&(struct platform_target){.name = name_, .file = file_, .kind = MAPRING_KIND_RING})

/* A segment with magic and a new id in its identity, published. NULL, and a failed check, if that fails. */
struct platform_segment *create_ring_segment(const char *name, const char *file);
/* NULL, and a failed check, if that fails. */
void *map_bytes(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable);
bool is_listed(const char *name);
/* `path` in UTF-8. */
bool delete_file(const char *path);

#endif
