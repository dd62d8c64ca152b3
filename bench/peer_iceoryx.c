#include "peer_iceoryx.h"

#include <poll.h>
#include <unistd.h>

#include "peer.h"
#include "roudi.h"

/* Chunks beside those in a queue: being written or waiting for room, kept by the publisher for the next, being read. */
#define CHUNKS_BESIDE 8u

static struct iceoryx_end *own_end;
static const void *message;

static uint64_t depth_for(const struct crew *crew)
{
    return iceoryx_depth(crew->capacity / crew->size);
}

static const char *prepare(struct crew *crew)
{
    return roudi_start(crew->size, WAYS * (depth_for(crew) + CHUNKS_BESIDE));
}

static void clear(struct crew *crew)
{
    (void)crew;
    roudi_end();
}

static void refuse(const char *reason)
{
    unable("%s", reason);
}

/* Not closed again: the daemon ends with the crew, and takes all away. */
static void open_end(const struct crew *crew, unsigned member)
{
    char user[64];
    const char *services[WAYS] = {"away", "back"};
    roudi_user(user, sizeof user, getppid(), member);
    own_end = iceoryx_open(user, services[member], services[1 - member], depth_for(crew), refuse);
    /* The daemon connects both, and tells nobody. */
    while (!iceoryx_is_connected(own_end) && !stopping())
        poll(NULL, 0, 1);
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    (void)way;
    iceoryx_send(own_end, data, length);
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    (void)way;
    if (message != NULL)
        iceoryx_release(own_end, message);
    while ((message = iceoryx_take(own_end, length)) == NULL) {
        if (stopping())
            return NULL;
        spin_pause();
    }
    return message;
}

PEER_JOBS

const struct peer peer_iceoryx = {
    .name = "iceoryx",
    .setting = "publisher waits for the subscriber, queue of up to 256 messages, the subscriber polls",
    .features = FEATURE_VARIABLE | FEATURE_BROADCAST | FEATURE_RELIABLE | FEATURE_IN_PLACE,
    .prepare = prepare,
    .open = open_end,
    .clear = clear,
    PEER_JOBS_OF,
};
