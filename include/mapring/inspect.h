/*
 * Looking at rings from outside: reads only, disturbs nobody, and works on a
 * ring whose processes are all dead.
 *
 * Any thread; does not block.
 */
#ifndef MAPRING_INSPECT_H
#define MAPRING_INSPECT_H

#include <stdint.h>

#include "export.h"
#include "message.h"
#include "status.h"

MAPRING_BEGIN

/* How a producer orders its stores before it looks for sleepers. */
enum {
    MAPRING_FENCE_FULL = 1,      /* a fence in every publish */
    MAPRING_FENCE_ASYMMETRIC = 2 /* none unless sleepers were found just now: they pay, with membarrier(2) */
};

/*
 * How rings were waited on, as producers and consumers count it (below, of the ring's producers and of each consumer).
 * A call that finds at once what it wants counts nothing, nor does one that only spins (MAPRING_WAIT_SPIN).
 *
 * parks: it slept. A call of the handle's own counts each sleep; a long wait has one every 0.1 s. A wait set counts
 * each of its sleeps for every member. With a descriptor it is how often that was left unreadable, whether the program
 * then sleeps or not, and with mapring_consumer_prepare_wait() how many entries were filled.
 *
 * wakes_avoided: what was waited for came before it slept, while it spun or got ready to sleep. In a wait set this
 * counts for those members alone that are ready then; with a descriptor, when the call that was to leave that
 * unreadable left it readable. Of a producer also: it found sleepers and woke none, since none was due.
 *
 * spurious_wakes: it slept for nothing, and what was waited for was not there when it awoke: after 0.1 s, when its time
 * was over or it was cancelled, or since it was woken together with others. In a wait set this counts for those members
 * that are not ready then, be it another member that ended the sleep, or a descriptor of the caller's; with a
 * descriptor, when that was readable and there was nothing to say. So parks less spurious_wakes is how many sleeps
 * brought something, or still last.
 *
 * wakes: it woke the other side, with a system call.
 */

/* A snapshot; figures that change while it is taken may be slightly apart from each other. */
typedef struct mapring_ring_info {
    uint32_t struct_size; /* set by the caller: sizeof(mapring_ring_info) */
    uint32_t max_consumers;
    uint64_t capacity;     /* bytes */
    uint64_t memory;       /* bytes allocated for the ring in all */
    uint64_t position;     /* position behind the newest message, in bytes */
    uint64_t messages;     /* published since the ring was created */
    uint64_t oldest;       /* sequence number of the oldest message that a new consumer can get */
    uint64_t epoch;        /* 1 for the first producer, one more for each that took over */
    uint32_t producer_pid; /* 0: none attached */
    uint32_t producer_alive;
    uint32_t consumers;              /* attached, dead ones included until somebody needs their slot */
    uint32_t ended;                  /* 1: the producer has ended the stream */
    uint32_t fence;                  /* MAPRING_FENCE_FULL or MAPRING_FENCE_ASYMMETRIC; 0 before the first producer */
    uint32_t groups;                 /* mapring_groups() describes them */
    char name[MAPRING_NAME_MAX + 8]; /* ends with a zero */
    uint32_t slow_policy;            /* MAPRING_SLOW_WAIT, ... */
    uint32_t flags;                  /* MAPRING_DURABLE */
    uint64_t slow_ns;                /* as created */
    uint64_t hold_ns;
    uint64_t evictions;      /* consumers and groups that the producer ceased to wait for, in all: detached, */
    uint64_t demotions;      /* or made lossy */
    uint64_t flushed;        /* position up to which a power cut leaves the messages; 0 if never flushed */
    uint64_t parks;          /* how often the producer slept, for want of room or for consumers: as above */
    uint64_t wakes;          /* how often it woke consumers, */
    uint64_t wakes_avoided;  /* found sleepers but woke none, since none was due, or waited without sleeping, */
    uint64_t spurious_wakes; /* and slept for nothing */
    uint64_t reserved[4];
} mapring_ring_info;

typedef struct mapring_consumer_info {
    uint32_t slot;
    uint32_t pid;
    uint32_t alive;
    uint32_t kind;         /* MAPRING_RELIABLE, MAPRING_LOSSY, MAPRING_MEMBER; 0: it is finding its place */
    uint64_t position;     /* everything before it was released, in bytes; of a member without messages: the newest */
    uint64_t lag_bytes;    /* from there to the newest message */
    uint64_t lag_messages; /* the same in messages */
    uint64_t lost;         /* messages lost so far */
    uint64_t redelivered;  /* messages had from other members that died or left */
    uint32_t let_go;       /* 1: evicted or demoted: the producer does not wait for it */
    uint32_t waiting;      /* MAPRING_WAIT_ADAPTIVE, ... (wait.h) */
    char own_name[MAPRING_OWN_NAME_MAX + 1]; /* its name, or that of its group; empty: none */
    uint64_t parks;                          /* how often it slept: as above */
    uint64_t wakes;                          /* how often it woke others: a producer without room, as a rule */
    uint64_t wakes_avoided;                  /* waits that were over before it slept */
    uint64_t spurious_wakes;                 /* how often it slept for nothing */
    uint32_t descriptor;                     /* MAPRING_DESCRIPTOR_FUTEX, ... (wait.h), if it has one; else 0 */
    uint32_t reserved0;
    uint64_t reserved[2];
} mapring_consumer_info;

typedef struct mapring_group_info {
    char name[MAPRING_OWN_NAME_MAX + 1];
    uint32_t members; /* that live */
    uint32_t dead;    /* members that died or left with messages which no other has taken yet */
    uint32_t tag_mask;
    uint32_t tag_value;
    uint64_t position; /* of the next message to be taken, in bytes */
    uint64_t lag_bytes;
    uint64_t lag_messages;
    uint64_t reserved[2];
} mapring_group_info;

/*
 * Describes one ring: `name` is its name, or, when `file` is not NULL, `file` is the path of a file that holds it and
 * `name` is ignored. Fills `info`, and up to `max` entries of `consumers` (may be NULL when `max` is 0).
 *
 * Returns the number of entries filled; MAPRING_INVALID_ARGUMENT, MAPRING_INVALID_OPTIONS (unknown struct_size),
 * MAPRING_INVALID_NAME; MAPRING_NOT_FOUND, MAPRING_WRONG_KIND, MAPRING_NOT_A_RING, MAPRING_WRONG_VERSION,
 * MAPRING_TRUNCATED, MAPRING_CORRUPT, MAPRING_UNTRUSTED; MAPRING_PERMISSION, MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS,
 * MAPRING_SYSTEM_ERROR.
 */
MAPRING_API int32_t mapring_stat(const char *name, const char *file, mapring_ring_info *info,
                                 mapring_consumer_info *consumers, uint32_t max);

/*
 * Describes the groups of a ring, which is named as for mapring_stat(): fills up to `max` entries of `groups`.
 *
 * Returns how many groups there are; else as mapring_stat().
 */
MAPRING_API int32_t mapring_groups(const char *name, const char *file, mapring_group_info *groups, uint32_t max);

/* What mapring_check() found. */
typedef struct mapring_check_report {
    uint32_t struct_size;      /* set by the caller: sizeof(mapring_check_report) */
    uint32_t problems;         /* in all */
    uint32_t bad_records;      /* where a record should be there is none */
    uint32_t bad_index;        /* entries of the index that point at no record, or at another than they say */
    uint32_t bad_cursors;      /* consumers, */
    uint32_t bad_groups;       /* and groups, whose place is none */
    uint32_t bad_limits;       /* positions that contradict each other */
    uint32_t bad_checkpoints;  /* of a durable ring: none is whole */
    uint64_t problem_position; /* of the first, in bytes */
    uint64_t capacity;
    uint64_t oldest;   /* sequence number of the oldest message retained, */
    uint64_t messages; /* and of the next to come */
    uint64_t bytes;    /* that the records from there on take, */
    uint64_t padding;  /* with so many that are padding */
    uint32_t index_entries;
    uint32_t consumers;
    uint32_t dead; /* consumers whose processes are gone: no problem */
    uint32_t producer_alive;
    uint64_t reserved[4];
} mapring_check_report;

/*
 * Walks over all that a ring retains, which is named as for mapring_stat(), and fills `report`. The ring may be in use,
 * or all its processes dead. What the producer overwrites meanwhile is no problem. Takes as long as reading the first
 * bytes of every message.
 *
 * One record that is none says nothing about the rest: behind it the walk goes on with the next entry of the index.
 *
 * Returns MAPRING_OK, also when there are problems; MAPRING_BUSY when the producer overtook the walk every time; else
 * as mapring_stat().
 */
MAPRING_API int32_t mapring_check(const char *name, const char *file, mapring_check_report *report);

/*
 * Lists the names in use, of rings and of everything else that has one (mapring_kind()), this user's own and those of
 * the machine, which begin with "Global\": writes them one behind the other, each ended by a
 * zero, into `names` of `size` bytes, and the bytes that all of them need into `*needed`. A name that does not fit is
 * left out: when `*needed` is larger than `size`, call again with more. Names that mapring_stat() cannot read are
 * listed too. `names` may be NULL when `size` is 0.
 *
 * Returns how many names were written; MAPRING_INVALID_ARGUMENT, MAPRING_UNTRUSTED, MAPRING_PERMISSION,
 * MAPRING_NO_MEMORY, MAPRING_NO_DESCRIPTORS, MAPRING_UNSUPPORTED, MAPRING_SYSTEM_ERROR.
 */
MAPRING_API int32_t mapring_list(char *names, uint64_t size, uint64_t *needed);

MAPRING_END

#endif
