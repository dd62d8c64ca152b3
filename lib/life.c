#include "life.h"

#include <mapring/mapring.h>

/* The producer. */

static uint32_t producer_lock_number(const struct ring *ring)
{
    uint64_t number = load64_relaxed(&ring->stream->producer_lock);
    return number >= SPARE_NUMBER(0) && number < SPARE_NUMBER(SPARE_COUNT) ? (uint32_t)number : PRODUCER_NUMBER;
}

struct platform_process producer_process(const struct ring *ring)
{
    const struct stream *stream = ring->stream;
    return (struct platform_process){
        .pid = (uint32_t)load64_relaxed(&stream->producer_pid),
        .place = load64_relaxed(&stream->producer_place),
        .start = load64_relaxed(&stream->producer_start),
    };
}

bool producer_lives(const struct ring *ring)
{
    int32_t held = platform_lock_held(ring->segment, producer_lock_number(ring));
    if (held == 0)
        return false;
    struct platform_process producer = producer_process(ring);
    /* Where locks cannot be looked at, one that left has said so. */
    if (held < 0 && producer.pid == 0)
        return false;
    return !platform_process_gone(&producer);
}

void producer_announce(struct ring *ring)
{
    struct platform_process self;
    platform_process_self(&self);
    struct stream *stream = ring->stream;
    store64_relaxed(&stream->producer_place, self.place);
    store64_relaxed(&stream->producer_start, self.start);
    store64_relaxed(&stream->producer_pid, self.pid);
}

/* With the registry locked, so that nobody else is at it. */
static int32_t take_free_lock(struct ring *ring)
{
    if (producer_lives(ring))
        return 0;
    uint32_t number = PRODUCER_NUMBER;
    int32_t taken = platform_lock(ring->segment, number);
    for (uint32_t i = 0; taken == 0 && i < SPARE_COUNT; i++) {
        number = SPARE_NUMBER(i);
        taken = platform_lock(ring->segment, number);
    }
    if (taken != 1)
        return taken;
    producer_announce(ring);
    store64_relaxed(&ring->stream->producer_lock, number);
    return 1;
}

int32_t producer_lock(struct ring *ring)
{
    int32_t status = registry_lock(ring);
    if (status < 0)
        return status;
    status = take_free_lock(ring);
    registry_unlock(ring);
    return status;
}

int32_t producer_try_lock(struct ring *ring)
{
    int32_t taken = platform_lock(ring->segment, REGISTRY_NUMBER);
    if (taken != 1)
        return taken;
    taken = take_free_lock(ring);
    registry_unlock(ring);
    return taken;
}

void producer_unlock(struct ring *ring)
{
    store64_relaxed(&ring->stream->producer_pid, 0);
    platform_unlock(ring->segment, producer_lock_number(ring));
}

/* Slots. */

static bool is_orphaned(const struct ring *ring, uint32_t number)
{
    const struct slot *slot = &ring->readers->slots[number];
    /* Pairs with the release store of the state in slot_announce(): what it says of the process is there. */
    uint64_t state = load64_acquire(&slot->state);
    struct platform_process consumer = {
        .pid = (uint32_t)(state >> SLOT_PID_SHIFT),
        .place = load64_relaxed(&slot->place),
        .start = load64_relaxed(&slot->start),
    };
    return platform_process_gone(&consumer) && load64_relaxed(&slot->state) == state;
}

enum slot_life slot_examine(const struct ring *ring, uint32_t slot)
{
    if (platform_lock(ring->segment, SLOT_NUMBER(slot)) == 1)
        return SLOT_DEAD;
    return is_orphaned(ring, slot) ? SLOT_ORPHANED : SLOT_LIVES;
}

#define LOOKS 10
#define LOOK_PAUSE_NS 1000000u

enum slot_life slot_examine_again(const struct ring *ring, uint32_t slot)
{
    enum slot_life life = slot_examine(ring, slot);
    for (int look = 1; life != SLOT_DEAD && look < LOOKS; look++) {
        platform_sleep(LOOK_PAUSE_NS);
        life = slot_examine(ring, slot);
    }
    return life;
}

bool slot_lives(const struct ring *ring, uint32_t slot)
{
    return platform_lock_held(ring->segment, SLOT_NUMBER(slot)) != 0 && !is_orphaned(ring, slot);
}

/* The registry. */

#define REGISTRY_PAUSE_NS 1000000u

bool registry_try_lock(struct ring *ring)
{
    return platform_lock(ring->segment, REGISTRY_NUMBER) == 1;
}

int32_t registry_lock(struct ring *ring)
{
    return registry_lock_until(ring, platform_clock_ns() + REGISTRY_NS);
}

int32_t registry_lock_until(struct ring *ring, uint64_t deadline)
{
    for (;;) {
        int32_t taken = platform_lock(ring->segment, REGISTRY_NUMBER);
        if (taken != 0)
            return taken < 0 ? taken : MAPRING_OK;
        if (platform_clock_ns() >= deadline)
            return MAPRING_BUSY;
        platform_sleep(REGISTRY_PAUSE_NS);
    }
}

void registry_unlock(struct ring *ring)
{
    platform_unlock(ring->segment, REGISTRY_NUMBER);
}
