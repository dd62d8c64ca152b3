/*
 * A ring as one handle sees it: the segment, found sound, and its regions mapped.
 */
#ifndef MAPRING_LIB_RING_H
#define MAPRING_LIB_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/names.h>

#include "layout.h"
#include "platform.h"

enum ring_role { ROLE_PRODUCER, ROLE_CONSUMER, ROLE_OBSERVER };

struct ring {
    struct platform_segment *segment;
    struct geometry geometry;
    struct stream *stream;   /* read-only unless the role is ROLE_PRODUCER */
    uint8_t *data;           /* behind *stream */
    struct readers *readers; /* read-only for ROLE_OBSERVER */
};

/* The locks of a ring (docs/design.md P7). They are numbered as sleepers are. */
#define PRODUCER_NUMBER 0u
#define SLOT_NUMBER(slot) (1u + (slot))
#define NO_SLOT UINT32_MAX
/* For who looks up or changes names, or becomes the producer. */
#define REGISTRY_NUMBER (1u + SLOTS_MAX)
/* Instead of PRODUCER_NUMBER, while that is held by a child of a dead producer. */
#define SPARE_NUMBER(spare) (2u + SLOTS_MAX + (spare))
#define SPARE_COUNT 8u

/* Creates a ring of this geometry, which lacks its backing and ring_id, with the producer's lock taken; nobody else
 * sees it before ring_publish(). */
int32_t ring_create(const struct platform_target *target, const struct geometry *wanted, struct ring *ring);
int32_t ring_publish(struct ring *ring);

/* Opens a ring by name, or by `file` if that is not NULL; see platform_segment_open(). `name` may be NULL for an
 * observer of a file. If `identity` is not NULL it gets a private copy. */
int32_t ring_open(const struct platform_target *target, enum ring_role role, struct ring *ring,
                  struct identity *identity);

/* What is opened: the ring in the file, if there is one, and else of the name. */
static inline struct platform_target ring_target(const char *name, const char *file)
{
    return (struct platform_target){.name = file == NULL ? name : NULL, .file = file, .kind = MAPRING_KIND_RING};
}

/* Unmaps and releases; nothing for a ring that is all zeros. In a child of fork() it frees the child's copies only. */
void ring_close(struct ring *ring);

static inline const shared64 *ring_header(const struct ring *ring, uint64_t position)
{
    return (const shared64 *)(const void *)(ring->data + (position & (ring->geometry.capacity - 1)));
}

#endif
