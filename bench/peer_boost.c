#include "peer_boost.h"

#include <stdlib.h>
#include <unistd.h>

#include "peer.h"

static struct boost_queue *queues[WAYS];
static uint8_t *buffer;
static uint64_t message_bytes;
static char reason[120];

static const char *prepare(struct crew *crew)
{
    for (unsigned way = 0; way < WAYS; way++) {
        char name[64];
        snprintf(name, sizeof name, "mapring-bench-%d-%u-%u", (int)getpid(), crew->number, way);
        queues[way] = boost_queue_make(name, crew->capacity / crew->size, crew->size, reason, sizeof reason);
        if (queues[way] == NULL) {
            if (way > 0)
                boost_queue_free(queues[0]);
            return reason;
        }
    }
    return NULL;
}

static void clear(struct crew *crew)
{
    (void)crew;
    for (unsigned way = 0; way < WAYS; way++)
        boost_queue_free(queues[way]);
}

static void open_end(const struct crew *crew, unsigned member)
{
    (void)member;
    message_bytes = crew->size;
    if ((buffer = aligned_alloc(64, (crew->size + 63) / 64 * 64)) == NULL)
        unable("no memory");
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    if (!boost_queue_send(queues[way], data, length, reason, sizeof reason))
        unable("send: %s", reason);
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    size_t received;
    if (!boost_queue_receive(queues[way], buffer, message_bytes, &received, reason, sizeof reason))
        unable("receive: %s", reason);
    *length = received;
    return buffer;
}

PEER_JOBS

const struct peer peer_boost = {
    .name = "Boost message_queue",
    .setting = "as many bytes as the ring",
    .features = FEATURE_RELIABLE | FEATURE_BLOCKING,
    .prepare = prepare,
    .open = open_end,
    .clear = clear,
    PEER_JOBS_OF,
};
