#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "peer.h"

#define MESSAGES_MOST 65536
#define MESSAGES_LEAST 4 /* the usual limit is 10 */

static mqd_t queues[WAYS];
static uint8_t *buffer;
static uint64_t message_bytes;

/* As deep as the machine allows, up to what the ring would hold. Nobody else needs the name. */
static bool make(mqd_t *queue, const struct crew *crew, unsigned way)
{
    char name[64];
    uint64_t fits = crew->capacity / crew->size;
    struct mq_attr form = {.mq_maxmsg = fits < MESSAGES_MOST ? (long)fits : MESSAGES_MOST,
                           .mq_msgsize = (long)crew->size};
    snprintf(name, sizeof name, "/mapring-bench-%d-%u-%u", (int)getpid(), crew->number, way);
    do
        *queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &form);
    while (*queue == (mqd_t)-1 && (form.mq_maxmsg = form.mq_maxmsg * 3 / 4) >= MESSAGES_LEAST);
    if (*queue == (mqd_t)-1)
        return false;
    mq_unlink(name);
    return true;
}

static const char *prepare(struct crew *crew)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MSGQUEUE, &limit);
    if (!make(&queues[WAY_AWAY], crew, WAY_AWAY))
        return errno == EINVAL || errno == EMFILE ? "the machine's limits are too low: see /proc/sys/fs/mqueue"
                                                  : strerror(errno);
    if (make(&queues[WAY_BACK], crew, WAY_BACK))
        return NULL;
    mq_close(queues[WAY_AWAY]);
    return "the machine's limits are too low: see ulimit -q";
}

static void clear(struct crew *crew)
{
    (void)crew;
    for (unsigned way = 0; way < WAYS; way++)
        mq_close(queues[way]);
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
    if (mq_send(queues[way], data, length, 0) != 0)
        unable("mq_send: %s", strerror(errno));
    return true;
}

static inline void flush(unsigned way)
{
    (void)way;
}

static inline const void *take_one(unsigned way, uint64_t *length)
{
    ssize_t count = mq_receive(queues[way], (char *)buffer, message_bytes, NULL);
    if (count < 0)
        unable("mq_receive: %s", strerror(errno));
    *length = (uint64_t)count;
    return buffer;
}

PEER_JOBS

const struct peer peer_mqueue = {
    .name = "POSIX mqueue",
    .setting = "as many messages as the machine allows",
    .features = FEATURE_RELIABLE | FEATURE_BLOCKING,
    .prepare = prepare,
    .open = open_end,
    .clear = clear,
    PEER_JOBS_OF,
};
