#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

#define DEPTH 8192 /* the most that the library takes */
#define LOOK_MS 100

static nng_socket sockets[WAYS];
static nng_msg *message;
static uint64_t aligned[PAYLOAD_MAX / 8];

static void must(int error, const char *call)
{
    if (error != 0)
        unable("%s: %s", call, nng_strerror(error));
}

/* In the abstract name space: nothing is left behind. */
static void open_way(const struct crew *crew, unsigned way, bool sends)
{
    char address[96];
    nng_socket *socket = &sockets[way];
    snprintf(address, sizeof address, "abstract://mapring-bench-%d-%u-%u", (int)getppid(), crew->number, way);
    must(sends ? nng_push0_open(socket) : nng_pull0_open(socket), "open");
    must(nng_socket_set_ms(*socket, sends ? NNG_OPT_SENDTIMEO : NNG_OPT_RECVTIMEO, LOOK_MS), "timeout");
    must(nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, 0), "longest message");
    /* Some protocols have no such buffer, and say so. */
    nng_socket_set_int(*socket, sends ? NNG_OPT_SENDBUF : NNG_OPT_RECVBUF, DEPTH);
    if (sends)
        must(nng_dial(*socket, address, NULL, NNG_FLAG_NONBLOCK), address);
    else
        must(nng_listen(*socket, address, NULL, 0), address);
}

static void open_both(const struct crew *crew, unsigned member)
{
    open_way(crew, WAY_AWAY, member == 0);
    open_way(crew, WAY_BACK, member == 1);
}

static void close_both(const struct crew *crew, unsigned member)
{
    (void)crew, (void)member;
    nng_msg_free(message);
    for (unsigned way = 0; way < WAYS; way++)
        nng_close(sockets[way]);
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    nng_msg *fresh;
    must(nng_msg_alloc(&fresh, length), "nng_msg_alloc");
    memcpy(nng_msg_body(fresh), data, length);
    int error;
    while ((error = nng_sendmsg(sockets[way], fresh, 0)) == NNG_ETIMEDOUT)
        if (stopping())
            return false;
    must(error, "nng_sendmsg");
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    if (message != NULL)
        nng_msg_free(message);
    message = NULL;
    int error;
    while ((error = nng_recvmsg(sockets[way], &message, 0)) == NNG_ETIMEDOUT)
        if (stopping())
            return NULL;
    must(error, "nng_recvmsg");
    const void *data = nng_msg_body(message);
    *length = nng_msg_len(message);
    if ((uintptr_t)data % sizeof(uint64_t) == 0 || *length > sizeof aligned)
        return data;
    return memcpy(aligned, data, *length);
}

PEER_JOBS

const struct peer peer_nng = {
    .name = "nng ipc",
    .setting =
        "push to pull, its threads beside its own, buffers of 8192 messages, messages handed over without a copy",
    .features = FEATURE_VARIABLE | FEATURE_RELIABLE | FEATURE_BLOCKING,
    .sleeps = true,
    .open = open_both,
    .close = close_both,
    PEER_JOBS_OF,
};
