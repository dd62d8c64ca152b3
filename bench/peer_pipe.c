#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "peer.h"

/* What a pipe may hold without privileges, unless the machine's owner changed it. */
#define PIPE_BYTES (1 << 20)

#define HEADER sizeof(uint64_t)
#define ROOM (2 * (PEER_BUFFER + HEADER))

static int ends[WAYS][2];

/* What was read and not yet taken: any number of messages, the last maybe not whole. A pipe keeps no boundaries, so
 * each message has its length before it. */
static uint8_t *buffer;
static uint64_t begin, end;

static const char *prepare(struct crew *crew)
{
    (void)crew;
    for (unsigned way = 0; way < WAYS; way++) {
        if (pipe2(ends[way], O_CLOEXEC) != 0)
            return "no pipe";
        fcntl(ends[way][1], F_SETPIPE_SZ, PIPE_BYTES);
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
    (void)crew;
    if ((buffer = malloc(ROOM)) == NULL)
        unable("no memory");
}

static inline bool send_one(unsigned way, const void *data, uint64_t length)
{
    struct iovec parts[2] = {{&length, HEADER}, {(void *)(uintptr_t)data, length}};
    uint64_t written = 0;
    while (written < HEADER + length) {
        ssize_t count = writev(ends[way][1], parts, 2);
        if (count < 0)
            unable("writev: %s", strerror(errno));
        written += (uint64_t)count;
        /* A large message may go in pieces. */
        uint64_t left = (uint64_t)count;
        for (unsigned i = 0; i < 2; i++) {
            uint64_t part = left < parts[i].iov_len ? left : parts[i].iov_len;
            parts[i].iov_base = (uint8_t *)parts[i].iov_base + part;
            parts[i].iov_len -= part;
            left -= part;
        }
    }
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

/* Until so many bytes are there. */
static void await_bytes(unsigned way, uint64_t wanted)
{
    if (begin == end)
        begin = end = 0;
    if (begin + wanted > ROOM) {
        memmove(buffer, buffer + begin, end - begin);
        end -= begin;
        begin = 0;
    }
    while (end - begin < wanted) {
        ssize_t count = read(ends[way][0], buffer + end, ROOM - end);
        if (count <= 0)
            unable("read: %s", count == 0 ? "the pipe is closed" : strerror(errno));
        end += (uint64_t)count;
    }
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    if (end - begin < HEADER)
        await_bytes(way, HEADER);
    memcpy(length, buffer + begin, HEADER);
    if (*length > PAYLOAD_MAX)
        unable("a wrong length");
    if (end - begin < HEADER + *length)
        await_bytes(way, HEADER + *length);
    const void *data = buffer + begin + HEADER;
    begin += HEADER + *length;
    return data;
}

PEER_JOBS

const struct peer peer_pipe = {
    .name = "pipe",
    .setting = "1 MiB in the kernel, writev() of each message, read() of all there is",
    .features = FEATURE_VARIABLE | FEATURE_RELIABLE | FEATURE_BLOCKING,
    .prepare = prepare,
    .open = open_end,
    .clear = clear,
    PEER_JOBS_OF,
};
