#include <ck_ring.h>
#include <string.h>

#include "peer.h"

/*
 * Elements have a fixed size that the compiler knows: lengths that are usual have rings of their own, and for all
 * others the messages lie in slots beside the ring, which carries their addresses, as its users do it.
 */
struct word {
    uint64_t words[1];
};

struct block {
    uint64_t words[8];
};

CK_RING_PROTOTYPE(word, word)
CK_RING_PROTOTYPE(block, block)

/* One slot is being written and one read while all others are in the ring. */
#define SLOTS_BESIDE 2u

struct channel {
    _Alignas(128) ck_ring_t ring;
    _Alignas(128) uint8_t memory[]; /* the ring's elements, then the slots */
};

static struct channel *channels[WAYS];
static uint64_t channel_bytes, message_bytes, elements;
static uint64_t sent[WAYS];

static uint64_t element_bytes(uint64_t size)
{
    return size == sizeof(struct word) || size == sizeof(struct block) ? size : sizeof(void *);
}

static const char *prepare(struct crew *crew)
{
    uint64_t each = crew->size == element_bytes(crew->size) ? crew->size : crew->size + sizeof(void *);
    message_bytes = crew->size;
    elements = 4;
    while (elements * 2 * each <= crew->capacity)
        elements *= 2;
    channel_bytes = sizeof(struct channel) + elements * each + SLOTS_BESIDE * crew->size;
    for (unsigned way = 0; way < WAYS; way++) {
        channels[way] = shared_memory(channel_bytes);
        ck_ring_init(&channels[way]->ring, (unsigned)elements);
        sent[way] = 0;
    }
    return NULL;
}

static void clear(struct crew *crew)
{
    (void)crew;
    for (unsigned way = 0; way < WAYS; way++)
        shared_memory_free(channels[way], channel_bytes);
}

static inline uint8_t *slot(unsigned way, uint64_t number)
{
    uint64_t slots = elements + SLOTS_BESIDE;
    return channels[way]->memory + elements * sizeof(void *) + number % slots * message_bytes;
}

static inline bool enqueue(unsigned way, const void *data, uint64_t length)
{
    struct channel *channel = channels[way];
    if (length == sizeof(struct word))
        return ck_ring_enqueue_spsc_word(&channel->ring, (struct word *)channel->memory,
                                         (struct word *)(uintptr_t)data);
    if (length == sizeof(struct block))
        return ck_ring_enqueue_spsc_block(&channel->ring, (struct block *)channel->memory,
                                          (struct block *)(uintptr_t)data);
    return ck_ring_enqueue_spsc(&channel->ring, (ck_ring_buffer_t *)channel->memory, data);
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    if (element_bytes(length) != length)
        data = memcpy(slot(way, sent[way]++), data, length);
    while (!enqueue(way, data, length)) {
        if (stopping())
            return false;
        spin_pause();
    }
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

/* NULL: nothing there. */
static inline const void *dequeue(unsigned way)
{
    static struct block taken;
    struct channel *channel = channels[way];
    void *data = NULL;
    bool got;
    if (message_bytes == sizeof(struct word))
        got = ck_ring_dequeue_spsc_word(&channel->ring, (struct word *)channel->memory, (struct word *)&taken);
    else if (message_bytes == sizeof(struct block))
        got = ck_ring_dequeue_spsc_block(&channel->ring, (struct block *)channel->memory, &taken);
    else
        return ck_ring_dequeue_spsc(&channel->ring, (ck_ring_buffer_t *)channel->memory, &data) ? data : NULL;
    return got ? &taken : NULL;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    const void *data;
    while ((data = dequeue(way)) == NULL) {
        if (stopping())
            return NULL;
        spin_pause();
    }
    *length = message_bytes;
    return data;
}

PEER_JOBS

const struct peer peer_ck = {
    .name = "Concurrency Kit ring",
    .setting = "single producer and consumer, elements of 8 and 64 B in the ring, others beside it",
    .features = FEATURE_RELIABLE,
    .prepare = prepare,
    .clear = clear,
    PEER_JOBS_OF,
};
