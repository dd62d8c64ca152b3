#include "registry.h"

#include <string.h>

#include <mapring/mapring.h>

#include "life.h"
#include "slot.h"

void own_name_store(shared64 words[OWN_NAME_WORDS], const char *name)
{
    uint64_t copy[OWN_NAME_WORDS] = {0};
    memcpy(copy, name, strlen(name));
    for (uint32_t i = 0; i < OWN_NAME_WORDS; i++)
        store64_relaxed(&words[i], copy[i]);
}

void own_name_load(const shared64 words[OWN_NAME_WORDS], char *name)
{
    uint64_t copy[OWN_NAME_WORDS];
    for (uint32_t i = 0; i < OWN_NAME_WORDS; i++)
        copy[i] = load64_relaxed(&words[i]);
    memcpy(name, copy, MAPRING_OWN_NAME_MAX);
    name[MAPRING_OWN_NAME_MAX] = 0;
}

static bool is_name(const shared64 words[OWN_NAME_WORDS], const char *name)
{
    char found[MAPRING_OWN_NAME_MAX + 1];
    own_name_load(words, found);
    return strcmp(found, name) == 0;
}

bool registry_find_consumer(const struct ring *ring, const char *name, uint32_t *slot)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        const struct slot *found = &ring->readers->slots[i];
        if ((load64_relaxed(&found->state) & SLOT_NAMED) != 0 && is_name(found->name, name)) {
            *slot = i;
            return true;
        }
    }
    return false;
}

bool registry_find_group(const struct ring *ring, const char *name, uint32_t *group)
{
    uint64_t used = load64_relaxed(&ring->readers->groups_used);
    for (uint32_t i = 0; i < GROUPS_MAX; i++) {
        if ((used >> i & 1) != 0 && is_name(ring->readers->groups[i].name, name)) {
            *group = i;
            return true;
        }
    }
    return false;
}

void registry_end_name(struct slot *slot)
{
    uint64_t state;
    do
        state = load64_relaxed(&slot->state);
    while ((state & SLOT_NAMED) != 0 && !compare_and_swap64(&slot->state, state, (state & ~SLOT_NAMED) | SLOT_LET_GO));
}

static bool is_member(const struct ring *ring, uint32_t number, uint32_t group)
{
    const struct slot *slot = &ring->readers->slots[number];
    return (load64_relaxed(&slot->state) & SLOT_KIND_MASK) == MAPRING_MEMBER && load64_relaxed(&slot->group) == group;
}

bool group_lives(const struct ring *ring, uint32_t group, uint32_t self)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++)
        if (i != self && is_member(ring, i, group) && slot_lives(ring, i))
            return true;
    return false;
}

void group_drop(struct ring *ring, uint32_t group)
{
    for (uint32_t i = 0; i < ring->geometry.slot_count; i++) {
        if (!is_member(ring, i, group))
            continue;
        struct slot *slot = &ring->readers->slots[i];
        uint64_t state = load64_relaxed(&slot->state);
        enum slot_life life = slot_examine(ring, i);
        if (life == SLOT_DEAD)
            slot_leave(ring, i, false);
        else if (life == SLOT_ORPHANED)
            compare_and_swap64(&slot->state, state, state | SLOT_LET_GO);
    }
    and64(&ring->readers->groups_used, ~((uint64_t)1 << group));
}
