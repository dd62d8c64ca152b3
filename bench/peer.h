/*
 * Other transports, each at its best documented setting, doing the same work: whole messages that the reader verifies.
 */
#ifndef MAPRING_BENCH_PEER_H
#define MAPRING_BENCH_PEER_H

#include "payload.h"
#include "rounds.h"

/* Each direction is a way: the driver sends on the first, and in a ping-pong the partner on the second. */
enum { WAY_AWAY, WAY_BACK, WAYS };

struct peer {
    const char *name;
    const char *setting;
    unsigned features;
    bool sleeps; /* it has threads of its own; they run on the processor of whoever uses them, which is best for them */

    /* The functions of a crew; crew->size and crew->capacity say what for. */
    const char *(*prepare)(struct crew *crew);
    void (*open)(const struct crew *crew, unsigned member);
    void (*close)(const struct crew *crew, unsigned member);
    void (*clear)(struct crew *crew);

    /* Jobs. */
    double (*stream_out)(const struct job *job);
    void (*stream_in)(const struct job *job);
    double (*ping)(const struct job *job);
    void (*pong)(const struct job *job);
};

extern const struct peer peer_pipe, peer_seqpacket, peer_mqueue, peer_zmq, peer_nng, peer_boost, peer_ck, peer_dpdk,
    peer_iceoryx;

/* Bytes that arrive in pieces of this size are taken as many at once as fit. */
#define PEER_BUFFER ((uint64_t)1 << 20)

/*
 * The loops, to be inlined with the functions of one transport:
 *
 * send() hands over one message; false when the job is to stop. flush() sends what was held back. take() gives the next
 * message, valid until the next call; NULL when the job is to stop.
 */
#define PEER_INLINE static inline __attribute__((always_inline))

typedef bool peer_send(unsigned way, const void *data, uint64_t length);
typedef void peer_flush(unsigned way);
typedef const void *peer_take(unsigned way, uint64_t *length);

PEER_INLINE double peer_stream_out(const struct job *job, peer_send *send, peer_flush *flush)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        if (!send(WAY_AWAY, payload_source(&payload, i), job->size))
            return 0;
        payload_sent(&payload, i);
    }
    flush(WAY_AWAY);
    return (double)(crew_await_done() - begin) / (double)job->count;
}

PEER_INLINE bool peer_take_checked(const struct payload *payload, unsigned way, uint64_t sequence, peer_take *take)
{
    uint64_t length;
    const void *data = take(way, &length);
    if (data == NULL)
        return false;
    if (!payload_is(payload, data, length, sequence))
        unable("a wrong byte in message %llu", (unsigned long long)sequence);
    return true;
}

PEER_INLINE void peer_stream_in(const struct job *job, peer_take *take)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    struct payload_wrong wrong = {.words = 0};
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t length;
        const void *data = take(WAY_AWAY, &length);
        if (data == NULL)
            return;
        payload_compare(&payload, data, length, i, &wrong);
        if ((i % PAYLOAD_LOOK == 0 || i == job->count - 1) && payload_any(&wrong))
            unable("a wrong byte in message %llu or one of those before it", (unsigned long long)i);
    }
    crew_done(now_ns());
}

PEER_INLINE double peer_ping(const struct job *job, peer_send *send, peer_flush *flush, peer_take *take)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        if (!send(WAY_AWAY, payload_source(&payload, i), job->size))
            return 0;
        flush(WAY_AWAY);
        payload_sent(&payload, i);
        if (!peer_take_checked(&payload, WAY_BACK, i, take))
            return 0;
    }
    return (double)(now_ns() - begin) / (double)job->count;
}

PEER_INLINE void peer_pong(const struct job *job, peer_send *send, peer_flush *flush, peer_take *take)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    for (uint64_t i = 0; i < job->count; i++) {
        if (!peer_take_checked(&payload, WAY_AWAY, i, take) || !send(WAY_BACK, payload_source(&payload, i), job->size))
            return;
        flush(WAY_BACK);
        payload_sent(&payload, i);
    }
}

/* Defines the four jobs from send_one(), flush() and take_one(). */
#define PEER_JOBS                                                                                                      \
    static double stream_out(const struct job *job)                                                                    \
    {                                                                                                                  \
        return peer_stream_out(job, send_one, flush);                                                                  \
    }                                                                                                                  \
    static void stream_in(const struct job *job)                                                                       \
    {                                                                                                                  \
        peer_stream_in(job, take_one);                                                                                 \
    }                                                                                                                  \
    static double ping(const struct job *job)                                                                          \
    {                                                                                                                  \
        return peer_ping(job, send_one, flush, take_one);                                                              \
    }                                                                                                                  \
    static void pong(const struct job *job)                                                                            \
    {                                                                                                                  \
        peer_pong(job, send_one, flush, take_one);                                                                     \
    }

#define PEER_JOBS_OF .stream_out = stream_out, .stream_in = stream_in, .ping = ping, .pong = pong

#endif
