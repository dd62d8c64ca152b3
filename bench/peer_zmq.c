#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "peer.h"

#define DEPTH_LEAST 1000 /* the library's default */
#define DEPTH_MOST 1000000
#define LOOK_MS 100

static void *context;
static void *sockets[WAYS];
static zmq_msg_t message;
static uint64_t aligned[PAYLOAD_MAX / 8]; /* for the short messages, which the library keeps at odd addresses */

static bool set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static void open_way(const struct crew *crew, unsigned way, bool sends)
{
    char address[96];
    uint64_t fits = crew->capacity / crew->size;
    int depth = fits < DEPTH_LEAST ? DEPTH_LEAST : fits > DEPTH_MOST ? DEPTH_MOST : (int)fits;
    /* In the abstract name space: nothing is left behind. */
    snprintf(address, sizeof address, "ipc://@mapring-bench-%d-%u-%u", (int)getppid(), crew->number, way);
    void *socket = sockets[way] = zmq_socket(context, sends ? ZMQ_PUSH : ZMQ_PULL);
    if (socket == NULL || !set(socket, ZMQ_SNDHWM, depth) || !set(socket, ZMQ_RCVHWM, depth) ||
        !set(socket, ZMQ_LINGER, 0) || !set(socket, ZMQ_SNDTIMEO, LOOK_MS) || !set(socket, ZMQ_RCVTIMEO, LOOK_MS) ||
        (sends ? zmq_connect(socket, address) : zmq_bind(socket, address)) != 0)
        unable("%s: %s", address, zmq_strerror(zmq_errno()));
}

static void open_both(const struct crew *crew, unsigned member)
{
    context = zmq_ctx_new();
    open_way(crew, WAY_AWAY, member == 0);
    open_way(crew, WAY_BACK, member == 1);
    zmq_msg_init(&message);
}

static void close_both(const struct crew *crew, unsigned member)
{
    (void)crew, (void)member;
    zmq_msg_close(&message);
    for (unsigned way = 0; way < WAYS; way++)
        zmq_close(sockets[way]);
    zmq_ctx_term(context);
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    while (zmq_send(sockets[way], data, length, 0) < 0) {
        if (zmq_errno() != EAGAIN)
            unable("zmq_send: %s", zmq_strerror(zmq_errno()));
        if (stopping())
            return false;
    }
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    while (zmq_msg_recv(&message, sockets[way], 0) < 0) {
        if (zmq_errno() != EAGAIN)
            unable("zmq_msg_recv: %s", zmq_strerror(zmq_errno()));
        if (stopping())
            return NULL;
    }
    const void *data = zmq_msg_data(&message);
    *length = zmq_msg_size(&message);
    if ((uintptr_t)data % sizeof(uint64_t) == 0 || *length > sizeof aligned)
        return data;
    return memcpy(aligned, data, *length);
}

PEER_JOBS

const struct peer peer_zmq = {
    .name = "ZeroMQ ipc",
    .setting = "PUSH to PULL, one I/O thread each beside its own, high-water marks as deep as the ring",
    .features = FEATURE_VARIABLE | FEATURE_RELIABLE | FEATURE_BLOCKING,
    .sleeps = true,
    .open = open_both,
    .close = close_both,
    PEER_JOBS_OF,
};
