#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

#define KERNEL_BYTES (4 << 20)
#define BATCH 64u

static int ends[WAYS][2];

/* A batch as received. */
static uint8_t *buffer;
static struct mmsghdr headers[BATCH];
static struct iovec pieces[BATCH];
static unsigned batch, taken, received;

static void enlarge(int socket)
{
    int bytes = KERNEL_BYTES;
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static const char *prepare(struct crew *crew)
{
    (void)crew;
    for (unsigned way = 0; way < WAYS; way++) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends[way]) != 0)
            return "no socket";
        enlarge(ends[way][1]);
    }
    return NULL;
}

static void clear(struct crew *crew)
{
    (void)crew;
    for (unsigned way = 0; way < WAYS; way++) {
        close(ends[way][0]);
        close(ends[way][1]);
    }
}

static void open_end(const struct crew *crew, unsigned member)
{
    (void)member;
    uint64_t fits = PEER_BUFFER / crew->size;
    batch = fits < BATCH ? (unsigned)fits : BATCH;
    if ((buffer = aligned_alloc(4096, PEER_BUFFER)) == NULL)
        unable("no memory");
    for (unsigned i = 0; i < batch; i++) {
        pieces[i] = (struct iovec){.iov_base = buffer + i * crew->size, .iov_len = crew->size};
        headers[i].msg_hdr.msg_iov = &pieces[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    if (send(ends[way][1], data, length, MSG_NOSIGNAL) != (ssize_t)length)
        unable("send: %s", strerror(errno));
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    if (taken == received) {
        int count = recvmmsg(ends[way][0], headers, batch, MSG_WAITFORONE, NULL);
        if (count <= 0)
            unable("recvmmsg: %s", strerror(errno));
        received = (unsigned)count;
        taken = 0;
    }
    *length = headers[taken].msg_len;
    return pieces[taken++].iov_base;
}

PEER_JOBS

const struct peer peer_seqpacket = {
    .name = "UNIX seqpacket",
    .setting = "4 MiB in the kernel where allowed, send(), recvmmsg() of up to 64",
    .features = FEATURE_VARIABLE | FEATURE_RELIABLE | FEATURE_BLOCKING,
    .prepare = prepare,
    .open = open_end,
    .clear = clear,
    PEER_JOBS_OF,
};
