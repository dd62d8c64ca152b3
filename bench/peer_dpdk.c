#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>
#include <string.h>

#include "peer.h"

#define BURST 32u

static struct rte_ring *channels[WAYS];
static uint64_t channel_bytes;
static unsigned element_bytes;

/* Places in the ring: granted to the sender and written up to `used`, or lent to the reader and read up to there. */
struct burst {
    struct rte_ring_zc_data places;
    unsigned count, used;
};

static struct burst sending[WAYS], taking[WAYS];

/* Without the library's environment, which would want huge pages: a ring needs only memory. */
static const char *prepare(struct crew *crew)
{
    unsigned elements = 4;
    element_bytes = (unsigned)crew->size;
    while ((uint64_t)elements * 2 * crew->size <= crew->capacity)
        elements *= 2;
    ssize_t needed = rte_ring_get_memsize_elem(element_bytes, elements);
    if (needed < 0)
        return "no ring of this size";
    channel_bytes = (uint64_t)needed;
    for (unsigned way = 0; way < WAYS; way++) {
        channels[way] = shared_memory(channel_bytes);
        memset(&sending[way], 0, sizeof sending[way]);
        memset(&taking[way], 0, sizeof taking[way]);
        if (rte_ring_init(channels[way], "mapring-bench", elements, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
            return "rte_ring_init refused";
    }
    return NULL;
}

static void clear(struct crew *crew)
{
    (void)crew;
    for (unsigned way = 0; way < WAYS; way++)
        shared_memory_free(channels[way], channel_bytes);
}

static inline void *place(const struct burst *burst)
{
    return burst->used < burst->places.n1
               ? (uint8_t *)burst->places.ptr1 + (uint64_t)burst->used * element_bytes
               : (uint8_t *)burst->places.ptr2 + (uint64_t)(burst->used - burst->places.n1) * element_bytes;
}

static inline void flush(unsigned way)
{
    struct burst *burst = &sending[way];
    if (burst->count > 0)
        rte_ring_enqueue_zc_elem_finish(channels[way], burst->used);
    burst->count = burst->used = 0;
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    struct burst *burst = &sending[way];
    while (burst->count == 0) {
        burst->count = rte_ring_enqueue_zc_burst_elem_start(channels[way], element_bytes, BURST, &burst->places, NULL);
        if (burst->count > 0)
            break;
        if (stopping())
            return false;
        spin_pause();
    }
    memcpy(place(burst), data, length);
    if (++burst->used == burst->count)
        flush(way);
    return true;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    struct burst *burst = &taking[way];
    *length = element_bytes;
    if (burst->used == burst->count) {
        if (burst->count > 0)
            rte_ring_dequeue_zc_elem_finish(channels[way], burst->count);
        burst->used = 0;
        while ((burst->count = rte_ring_dequeue_zc_burst_elem_start(channels[way], element_bytes, BURST, &burst->places,
                                                                    NULL)) == 0) {
            if (stopping())
                return NULL;
            spin_pause();
        }
    }
    const void *data = place(burst);
    burst->used++;
    return data;
}

PEER_JOBS

const struct peer peer_dpdk = {
    .name = "DPDK rte_ring",
    .setting = "single producer and consumer, written and read in place in bursts of up to 32, no huge pages",
    .features = FEATURE_RELIABLE | FEATURE_IN_PLACE,
    .prepare = prepare,
    .clear = clear,
    PEER_JOBS_OF,
};
