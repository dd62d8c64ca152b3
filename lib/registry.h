/*
 * The names of a ring's consumers and groups. All with the registry locked (life.h).
 */
#ifndef MAPRING_LIB_REGISTRY_H
#define MAPRING_LIB_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/* Copies a name into shared words, and out of them as far as it is one; `name` has MAPRING_OWN_NAME_MAX + 1 bytes. */
void own_name_store(shared64 words[OWN_NAME_WORDS], const char *name);
void own_name_load(const shared64 words[OWN_NAME_WORDS], char *name);

/* The slot of a named consumer, dead or alive; the number of a group. */
bool registry_find_consumer(const struct ring *ring, const char *name, uint32_t *slot);
bool registry_find_group(const struct ring *ring, const char *name, uint32_t *group);

/* The slot of a consumer that is gone has no name any longer, and counts for nothing. */
void registry_end_name(struct slot *slot);

/* Whether some member of the group lives. `self`: a slot that is not looked at. */
bool group_lives(const struct ring *ring, uint32_t group, uint32_t self);

/* Ends a group without living members, and what its dead had. */
void group_drop(struct ring *ring, uint32_t group);

#endif
