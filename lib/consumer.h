/*
 * The consumer's private state, shared by consumer.c (reading), consumer_wait.c (waiting), watch.c (what may be
 * overwritten), group.c (members) and consumer_open.c (attaching and leaving).
 */
#ifndef MAPRING_LIB_CONSUMER_H
#define MAPRING_LIB_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/mapring.h>

#include "index.h"
#include "record.h"
#include "ring.h"
#include "wait.h"

struct mapring_consumer {
    /* What every read touches. */
    const uint8_t *payload; /* of the next record to read; the header lies before it */
    const uint8_t *limit;   /* up to where it may move without a closer look: see allow_shortcuts(); NULL: nowhere */
    uint64_t sequence;      /* of the next message to read */
    uint64_t unreleased;    /* messages, and RELEASE_CAREFULLY unless it is only to be noted when all are released */
    uint64_t lap;           /* plus the address in `payload`: the position of the next record */
    uint32_t shortcut_max;  /* messages that a read asks for that may take the shortcut: 1; 0: none may */
    bool plain; /* reliable, reads everything, is always waited for, and has no notice: nothing below the line concerns
                   it */
    const uint8_t *data;
    uint64_t capacity;

    /* Releasing. */
    struct mark released; /* everything before it is released */
    uint64_t stored;      /* the position that the slot tells the producer */
    uint64_t untold_max;  /* how far the two may be apart: a batch, or nothing while it is caught up */
    uint64_t batch;
    bool fences;          /* fence after storing the cursor */
    uint64_t no_sleepers; /* what the room bell's sleepers read when the producer is not to be woken */

    /* Stepping back; see step_back(). */
    bool stepped_back;
    uint64_t stepped_sequence; /* of the next message then */
    uint32_t steps_apart;      /* how often it is caught up from one to the next */
    uint32_t steps_left;

    struct ring ring;
    uint32_t slot; /* NO_SLOT: an observer */
    struct sleeper sleeper;

    /* ---- */
    uint32_t kind;
    uint32_t tag_mask;
    uint32_t tag_value;
    bool named;
    bool watched;    /* what it reads may be overwritten meanwhile: see watch.c */
    bool evicted;    /* nothing more before it rejoins */
    int32_t notice;  /* a status that the next read returns; 0: none */
    uint32_t lapses; /* in a row, without a message between them */
    uint64_t lost_messages;
    uint64_t lost_bytes;
    uint64_t torn_messages;
    uint64_t redelivered;

    /* Waiting. */
    uint64_t watermark_bytes; /* 0: none */
    uint64_t watermark_ns;
    uint64_t wake_at;                       /* as its slot says */
    struct consumer_descriptor *descriptor; /* NULL: none */
    struct mapring_wait_set *set;           /* that it is in; NULL: none */
    uint32_t uring;                         /* whether the kernel waits on futexes for who owns an io_uring */

    /* Of a member. */
    struct group *group;
    uint32_t group_number;
    uint64_t range_end;    /* of what it took */
    bool inherited;        /* from another member */
    uint32_t takes;        /* since the dead were looked for */
    uint64_t inherited_ns; /* when that was */
};

#define RELEASE_CAREFULLY ((uint64_t)1 << 63)

enum { URING_UNKNOWN, URING_THERE, URING_ABSENT };

/* Whether `plain` is right to be set. */
static inline bool is_plain(const struct mapring_consumer *consumer)
{
    return consumer->kind == MAPRING_RELIABLE && !consumer->watched && consumer->tag_mask == 0 &&
           consumer->notice == MAPRING_OK && consumer->descriptor == NULL;
}

/* Of the next record to read. */
static inline uint64_t position_of(const struct mapring_consumer *consumer)
{
    return (uint64_t)(uintptr_t)consumer->payload + consumer->lap;
}

static inline uint64_t unreleased_of(const struct mapring_consumer *consumer)
{
    return consumer->unreleased & ~RELEASE_CAREFULLY;
}

static inline void forget_unreleased(struct mapring_consumer *consumer)
{
    consumer->unreleased &= RELEASE_CAREFULLY;
}

/* Until allow_shortcuts() in consumer.c, each read and release takes a closer look. Without `shortcut_max` a read would
 * load a header first, where a producer may write by now that does not wait for the consumer. */
static inline void forbid_shortcuts(struct mapring_consumer *consumer)
{
    consumer->shortcut_max = 0;
    consumer->limit = NULL;
    consumer->unreleased |= RELEASE_CAREFULLY;
}

static inline void move_to(struct mapring_consumer *consumer, uint64_t position)
{
    consumer->payload = consumer->data + (position & (consumer->capacity - 1)) + HEADER_SIZE;
    consumer->lap = position - (uint64_t)(uintptr_t)consumer->payload;
    forbid_shortcuts(consumer);
}

static inline bool is_wanted(const struct mapring_consumer *consumer, uint64_t header)
{
    return ((uint32_t)(header >> HEADER_TAG_SHIFT) & consumer->tag_mask) == consumer->tag_value;
}

/* consumer.c */

/* Looks at the next record. Returns 1 and its header if it is a message, 0 if there is none yet. */
int32_t next_message(struct mapring_consumer *consumer, uint64_t *header);

/* Reads those wanted of the messages that lie there one behind the other, up to `max` or to `end`. */
uint32_t read_wanted(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max, uint64_t end);

/* Tells the producer what is released. */
void store_cursor(struct mapring_consumer *consumer);

/* Wakes the producer if it sleeps. */
void look_for_producer(struct mapring_consumer *consumer);

/* consumer_wait.c */

/* Of one that has caught up: tells the producer everything that was released, and what is released before the next
 * message. */
void tell_all(struct mapring_consumer *consumer);

/* Waits until there is something to look at: 1; 0 when the time passed, or why nothing will come. */
int32_t wait_for_news(struct mapring_consumer *consumer, int64_t timeout_ns);

/* Asks to be woken when the producer is at this position; 0: at once. */
void set_wake_at(struct mapring_consumer *consumer, uint64_t position);

/* Whether the producer is gone, and no successor about to come. */
bool is_alone(const struct mapring_consumer *consumer);

/* For its sleeper: whether there is something to look at, and whether the producer fences. */
bool consumer_has_news(void *consumer);
bool consumer_is_fenced(void *consumer);

/* watch.c */

/* Whether a record at this position, and any behind it, that was read before, may have been overwritten by then. */
bool is_lapped(const struct mapring_consumer *consumer, uint64_t position);

/* Whether the producer does not wait for the consumer any longer, and it has not noticed yet or may not read on. */
bool is_let_go(const struct mapring_consumer *consumer);

/* MAPRING_OK, or the notice that the consumer gets now. */
int32_t take_notice(struct mapring_consumer *consumer);

/* Continues with what is there, after what was read from `from` on turned out to be overwritten. Returns the status
 * that says so. */
int32_t resume_lapped(struct mapring_consumer *consumer, struct mark from);

/* What was read and not released may be torn: gives it up. Returns the status that says so. */
int32_t give_up_torn(struct mapring_consumer *consumer);

/* group.c */

/* Looks up the group or makes it, with the registry locked. MAPRING_OK if it is new. */
int32_t group_join(struct mapring_consumer *consumer, const char *name, struct start start);

int32_t group_read(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max, int64_t timeout_ns);

/* Tells what of the range is released. */
void group_release(struct mapring_consumer *consumer);

/* What there is for a member that has nothing: 1, MAPRING_STREAM_ENDED or 0. */
int32_t group_news(struct mapring_consumer *consumer);

/* Whether some member died and left messages, which reading finds. */
bool group_has_heritage(const struct mapring_consumer *consumer);

#endif
