/*
 * Consumers: processes that read the messages of a ring.
 *
 * There are four kinds. All map the messages read-only, so that they cannot
 * damage them for others, and all get messages in order, with their sequence
 * numbers and tags.
 *
 *   reliable   gets every message, and holds the producer back: a message that it has not released is not
 *              overwritten. With a name of its own it can die, come back, and continue.
 *   lossy      never holds the producer back. If it is too slow, messages are overwritten before it has read
 *              them: it is told exactly how many, and continues with the oldest one that is there.
 *   member     of a group: each message goes to one member of the group. Holds the producer back. What a member had
 *              not released when it died or left, another gets.
 *   observer   lossy, and needs no more than permission to read: it writes nothing anywhere, so nobody sees it, and
 *              since nobody can wake it, it looks by itself, every 10 ms at the least.
 *
 * A handle belongs to the process that opened it and is used by one thread at
 * a time; threads that want to read the same ring open a handle each. After
 * fork() the child may only close it, which frees the child's copies and leaves
 * the ring alone; any other call there faults, since the mapping is not
 * inherited.
 *
 * Every call also returns MAPRING_INVALID_ARGUMENT for a NULL handle or a NULL
 * result pointer.
 */
#ifndef MAPRING_CONSUMER_H
#define MAPRING_CONSUMER_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "names.h"
#include "status.h"

MAPRING_BEGIN

typedef struct mapring_consumer mapring_consumer;

/* Kinds of consumer. */
enum {
    MAPRING_RELIABLE = 1, /* the default */
    MAPRING_LOSSY = 2,
    MAPRING_MEMBER = 3,
    MAPRING_OBSERVER = 4
};

/* Where a consumer starts. */
enum {
    MAPRING_FROM_OLDEST = 0,   /* the oldest message retained, to within 1/64 of the capacity */
    MAPRING_FROM_NEWEST = 1,   /* the first message published after the call */
    MAPRING_FROM_SEQUENCE = 2, /* message number `start_value` */
    MAPRING_FROM_TIME = 3      /* the first message that was published at `start_value`, in nanoseconds of UTC since
                                  1970, or later, and up to 1/64 of the capacity before it */
};

typedef struct mapring_consumer_options {
    uint32_t struct_size; /* sizeof(mapring_consumer_options) */
    uint32_t kind;        /* MAPRING_RELIABLE, ...; 0: MAPRING_RELIABLE */
    uint32_t start;       /* MAPRING_FROM_OLDEST, ...; not used by who continues under a name or in a group */
    uint32_t flags;       /* MAPRING_OTHER_OWNERS (names.h): also a ring that another user made */
    uint64_t start_value; /* for MAPRING_FROM_SEQUENCE and MAPRING_FROM_TIME, else 0 */
    int64_t timeout_ns;   /* how long to wait for the ring to appear; 0: not at all */
    uint32_t tag_mask;    /* only messages with (tag & tag_mask) == tag_value are delivered, */
    uint32_t tag_value;   /* the others are released unseen; 0 and 0: all */
    const char *own_name; /* MAPRING_RELIABLE: a name to come back under; NULL: none */
    const char *group;    /* MAPRING_MEMBER: the name of the group; else NULL */
    const char *file;     /* MAPRING_OBSERVER: path of the file that the ring lies in, instead of its name; or NULL */
    uint32_t waiting;     /* MAPRING_WAIT_ADAPTIVE, ... (wait.h) */
    uint32_t reserved0;   /* 0 */
    uint64_t reserved[3]; /* 0 */
} mapring_consumer_options;

/* What mapring_consumer_open() returns on success. */
enum {
    MAPRING_RESUMED = 1,   /* it continues where the consumer of that name stopped, or in a group that is there */
    MAPRING_START_GONE = 2 /* the wished start is overwritten already: it begins with the oldest message retained */
};

/*
 * Attaches to a ring by name. `options` may be NULL for the defaults. mapring_progress() tells where it starts.
 *
 * Names of consumers and groups are 1 to MAPRING_OWN_NAME_MAX bytes of UTF-8, with the rules of ring names, and are the
 * ring's own. A named consumer that was killed, or closed, keeps its place and holds the producer back, until the
 * producer has been without room for `hold_ns` (see mapring_producer_options); then the name is kept while nobody needs
 * its slot, and who comes back is told what it lost, by MAPRING_LAPPED. mapring_forget() ends it. A group is there from
 * its first member on, keeps its place without members in the same way, and all its members filter alike.
 *
 * Returns MAPRING_OK, MAPRING_RESUMED or MAPRING_START_GONE; MAPRING_INVALID_ARGUMENT, MAPRING_INVALID_OPTIONS,
 * MAPRING_INVALID_NAME; MAPRING_NOT_FOUND (no such ring, and no waiting was asked for), MAPRING_TIMEOUT (none appeared
 * in time); MAPRING_NO_SLOT (as many consumers as the ring was made for), MAPRING_NO_GROUP (as many groups as a ring
 * can have); MAPRING_START_AHEAD (that message or time is yet to come); MAPRING_NAME_IN_USE (a consumer of
 * that name lives), MAPRING_WRONG_KIND (a consumer's name is a group's or the reverse, or the ring's name is none of a
 * ring), MAPRING_GROUP_DIFFERS (the group has another filter), MAPRING_BUSY (somebody else has been changing names for
 * more than a second); MAPRING_NOT_A_RING, MAPRING_WRONG_VERSION, MAPRING_WRONG_NAME, MAPRING_TRUNCATED,
 * MAPRING_CORRUPT, MAPRING_UNTRUSTED; MAPRING_PERMISSION, MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS,
 * MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR.
 */
MAPRING_API int32_t mapring_consumer_open(const char *name, const mapring_consumer_options *options,
                                          mapring_consumer **consumer);

/*
 * Detaches and frees the handle; what was read in place is no longer valid. A named consumer keeps its place; what a
 * member had not released, another gets. NULL is allowed. Does not block.
 */
MAPRING_API void mapring_consumer_close(mapring_consumer *consumer);

/*
 * Reads up to `max` messages in place: `messages[i].data` points into the ring
 * and stays valid until mapring_release(), and unchanged, unless the consumer is lossy or can be let go
 * (mapring_release() tells then). Takes what is there; waits up to `timeout_ns` only for the first. Messages may be
 * read on before earlier ones are released, but not by a member.
 *
 * Returns how many were read; 0 when none came in time; MAPRING_STREAM_ENDED (all was read and the producer ended
 * the stream; for a member: and no other member has messages unreleased); MAPRING_NO_PRODUCER (all was read, and the
 * producer died or closed without ending: found out by calls that wait, when their time is over or within 0.2 s; call
 * again to wait for its successor); MAPRING_UNRELEASED (a member releases what it has before it reads on);
 * MAPRING_LAPPED (messages were overwritten before they were read: the next call continues with the oldest one that is
 * there, and mapring_progress() tells how many were lost); MAPRING_DEMOTED (once: the producer did not wait for this
 * consumer any longer, it is lossy now, see mapring_rejoin()); MAPRING_EVICTED (the same, and it gets nothing more
 * before mapring_rejoin()); MAPRING_CORRUPT (the stream makes no sense here; the position does not move);
 * MAPRING_CANCELLED (wait.h); MAPRING_PERMISSION, MAPRING_UNSUPPORTED, ... (nothing came, and a sandbox has come to
 * refuse what the consumer's descriptor needs, as mapring_consumer_descriptor() says); MAPRING_BUSY (another thread
 * waits with this handle); MAPRING_INVALID_ARGUMENT (max is 0, negative time).
 */
MAPRING_API int32_t mapring_read(mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                                 int64_t timeout_ns);

/*
 * Releases the `count` oldest messages that were read in place and not yet released, so that the producer may reuse
 * their room. The producer is told in steps of up to 1/8 of the capacity, and at once while the last read
 * found nothing new, or the consumer has a name or is a member.
 *
 * Returns MAPRING_OK; MAPRING_NOT_READ (fewer than `count` are unreleased; nothing was released); MAPRING_LAPPED (what
 * was read and not released may have been overwritten while it was used: all of it is released, and counted as torn by
 * mapring_progress()); MAPRING_DEMOTED, MAPRING_EVICTED (the same, by a consumer that the producer no longer waits
 * for); of a consumer with a descriptor also MAPRING_PERMISSION, MAPRING_UNSUPPORTED, ... as mapring_read() (all is
 * released). Does not block.
 */
MAPRING_API int32_t mapring_release(mapring_consumer *consumer, uint32_t count);

/*
 * Reads up to `max` messages into the caller's `buffer` of `size` bytes and releases them: copied one
 * behind the other, each starting at a multiple of 8 from the start of the buffer, with `messages[i].data` pointing to
 * the copies, which are whole. Takes what is there and fits; waits up to `timeout_ns` only for the first.
 *
 * Returns as mapring_read(), and MAPRING_BUFFER_TOO_SMALL (the next message needs `messages[0].length` bytes; it was
 * not consumed); MAPRING_UNRELEASED (release first what was read in place).
 */
MAPRING_API int32_t mapring_receive(mapring_consumer *consumer, void *buffer, uint64_t size, mapring_message *messages,
                                    uint32_t max, int64_t timeout_ns);

/* Where a consumer is, and what it has been through. */
typedef struct mapring_consumer_progress {
    uint32_t struct_size;   /* set by the caller: sizeof(mapring_consumer_progress) */
    uint32_t kind;          /* MAPRING_RELIABLE, ...; of one that was demoted: MAPRING_LOSSY */
    uint64_t position;      /* where it reads next, in bytes */
    uint64_t sequence;      /* of the message it reads next */
    uint64_t lost_messages; /* overwritten before they were read, or gone when it came back, */
    uint64_t lost_bytes;    /* and the room that they took in the ring */
    uint64_t torn_messages; /* read in place, and perhaps overwritten before they were released */
    uint64_t redelivered;   /* messages that were another member's before */
    uint64_t epoch;         /* of the stream: one more for each producer that took over */
    uint64_t unreleased;    /* messages read in place and not released */
    uint64_t reserved[4];
} mapring_consumer_progress;

/* Fills `progress`. Returns MAPRING_OK; MAPRING_INVALID_OPTIONS (unknown struct_size). Does not block. */
MAPRING_API int32_t mapring_progress(mapring_consumer *consumer, mapring_consumer_progress *progress);

/*
 * Makes a consumer reliable again that was evicted or demoted: it continues where it was if that is still there, and
 * else with the oldest message retained; what it lost is counted. What it had read in place is released.
 *
 * Returns MAPRING_OK; MAPRING_CORRUPT (it stays as it is); MAPRING_INVALID_ARGUMENT for a consumer that was neither.
 * Does not block.
 */
MAPRING_API int32_t mapring_rejoin(mapring_consumer *consumer);

/*
 * Ends the place of a named consumer, or a group, of this ring, whose processes are all gone: it holds the producer
 * back no longer, and who comes under that name starts anew.
 *
 * Returns MAPRING_OK; MAPRING_NOT_FOUND (no such ring, consumer or group); MAPRING_NAME_IN_USE (it lives);
 * MAPRING_BUSY; and as mapring_consumer_open() when the ring cannot be attached. Any thread. Waits for nobody, except
 * up to a second for others who change names.
 */
MAPRING_API int32_t mapring_forget(const char *name, const char *own_name);

MAPRING_END

#endif
