/*
 * What lies where in a ring: format version 1.
 *
 *   identity   64 KiB   written once by the creator, then read-only for all
 *   stream     4 KiB of producer lines and index, then the data; written by the producer alone
 *   readers    on the next 64 KiB boundary: two bells, groups, a slot for each consumer; written by all
 *
 * The regions start on 64 KiB boundaries, which every system can map with
 * rights of their own. Only the used part of each gets memory. No pointer is
 * stored: positions count bytes from the ring's first on, and position p lies at
 * offset p % capacity of the data. Words written by different processes never share a
 * block of 128 bytes, save words that several processes write themselves.
 */
#ifndef MAPRING_LIB_LAYOUT_H
#define MAPRING_LIB_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "atomic.h"
#include "namespace.h"

static_assert(sizeof(void *) == 8, "64-bit targets only");
#if defined(__BYTE_ORDER__)
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian targets only");
#endif

#define REGION_ALIGNMENT 65536u
#define BLOCK_SIZE 128u

#define CAPACITY_MIN 4096u
#define CAPACITY_MAX ((uint64_t)1 << 34)
#define CAPACITY_DEFAULT ((uint64_t)8 << 20)
#define SLOTS_MAX 1024u
#define SLOTS_DEFAULT 64u

/* A position or cursor that is none. Positions are multiples of 8 and never get near it. */
#define NO_POSITION UINT64_MAX

/* Identity. */

#define IDENTITY_MAGIC 0x31474e495250414dull /* "MAPRING1" */

/* The kinds are those of <mapring/names.h>, with a flag. */
#define KIND_IN_FILE 0x100u /* a name only: what it belongs to lies in a file elsewhere */
#define KIND_MASK 0xffu

enum backing { BACKING_MEMORY = 0, BACKING_FILE = 1 };

struct identity {
    shared64 magic; /* stored last: while it is 0 the segment is being made */
    uint32_t kind;  /* MAPRING_KIND_RING */
    uint32_t format_version;
    uint64_t segment_size;
    uint64_t capacity;
    uint64_t stream_offset;
    uint64_t readers_offset;
    uint32_t slot_count;
    uint32_t backing;
    uint64_t ring_id[2]; /* random: no other ring has it */
    uint64_t first_position;
    uint64_t created_ns;  /* UTC since 1970 */
    uint32_t slow_policy; /* MAPRING_SLOW_WAIT, ... */
    uint32_t flags;       /* MAPRING_DURABLE */
    uint64_t slow_ns;
    uint64_t hold_ns;
    uint64_t reserved;
    char name[256]; /* ends with a zero */
};

static_assert(offsetof(struct identity, magic) == 0, "format 1");
static_assert(offsetof(struct identity, kind) == 8, "format 1");
static_assert(offsetof(struct identity, format_version) == 12, "format 1");
static_assert(offsetof(struct identity, segment_size) == 16, "format 1");
static_assert(offsetof(struct identity, capacity) == 24, "format 1");
static_assert(offsetof(struct identity, stream_offset) == 32, "format 1");
static_assert(offsetof(struct identity, readers_offset) == 40, "format 1");
static_assert(offsetof(struct identity, slot_count) == 48, "format 1");
static_assert(offsetof(struct identity, backing) == 52, "format 1");
static_assert(offsetof(struct identity, ring_id) == 56, "format 1");
static_assert(offsetof(struct identity, first_position) == 72, "format 1");
static_assert(offsetof(struct identity, created_ns) == 80, "format 1");
static_assert(offsetof(struct identity, slow_policy) == 88, "format 1");
static_assert(offsetof(struct identity, flags) == 92, "format 1");
static_assert(offsetof(struct identity, slow_ns) == 96, "format 1");
static_assert(offsetof(struct identity, hold_ns) == 104, "format 1");
static_assert(offsetof(struct identity, name) == 120, "format 1");
static_assert(sizeof(struct identity) == 376, "format 1");

/* Segments that are no ring. */

/*
 * What a name says of a segment, event, semaphore or mutex: written once before others can find the name. The bytes of
 * a segment in memory follow on the next 64 KiB boundary, or at 2 MiB for large pages; a file has its bytes alone, and
 * this is with its name. The fields that an identity has too lie where they lie there.
 */
struct segment_header {
    shared64 magic;
    uint32_t kind;
    uint32_t format_version;
    uint64_t segment_size; /* with this header; of a name whose bytes are in a file: of what the name itself has */
    uint64_t size;         /* the caller's bytes; of a semaphore: its maximum; of an event: 1 for manual reset */
    uint64_t data_offset;
    uint32_t flags; /* MAPRING_PERSISTENT, which mapring_segment_remove() takes away; MAPRING_READ_ONLY; ... */
    uint32_t reserved0;
    uint64_t created_ns;    /* UTC since 1970 */
    uint64_t segment_id[2]; /* random: nothing else has it */
    uint64_t file;          /* Linux: number of the file that it is in */
    uint64_t reserved[5];
    char name[256]; /* ends with a zero; empty for a segment without one */
};

static_assert(offsetof(struct segment_header, magic) == offsetof(struct identity, magic), "told apart by the same");
static_assert(offsetof(struct segment_header, kind) == offsetof(struct identity, kind), "told apart by the same");
static_assert(offsetof(struct segment_header, format_version) == offsetof(struct identity, format_version), "same");
static_assert(offsetof(struct segment_header, segment_size) == offsetof(struct identity, segment_size), "same");
static_assert(offsetof(struct segment_header, segment_id) == offsetof(struct identity, ring_id),
              "locks have this name");
static_assert(offsetof(struct segment_header, name) == offsetof(struct identity, name), "same");
static_assert(sizeof(struct segment_header) == sizeof(struct identity), "same");

#define LARGE_PAGE_SIZE ((uint64_t)2 << 20)
#define SEGMENT_SIZE_MAX ((uint64_t)1 << 46)

/* Stream. */

/*
 * The head of a record, and its commit word: 0 until the record is committed.
 * The payload follows, padded to 8 bytes. A record never wraps: a padding record fills the end of the data. The header
 * after the newest record is always 0.
 */
#define HEADER_SIZE 8u
#define HEADER_COMMITTED ((uint64_t)1 << 31)
#define HEADER_PADDING ((uint64_t)1 << 30)
#define HEADER_LENGTH_MASK (HEADER_PADDING - 1)
#define HEADER_TAG_SHIFT 32

#define MESSAGE_LENGTH_MAX (((uint64_t)1 << 30) - 8)

/* The data is cut into strides; the index has an entry for each: the first record that starts in it. */
#define STRIDE_COUNT 64u

struct index_entry {
    shared64 position; /* of the record's header; NO_POSITION: none */
    shared64 sequence; /* of the first message at or after the position */
    shared64 time_ns;  /* UTC since 1970, when the claim was made */
    shared64 reserved;
};

/* What a flush leaves on the disk: docs/design.md P12. Whole if the checksum is right. */
struct checkpoint {
    shared64 number; /* one more for each; the higher one of the two counts */
    shared64 position;
    shared64 sequence;
    shared64 oldest_position; /* a record boundary from which one can walk to the position, */
    shared64 oldest_sequence;
    shared64 frontier; /* nothing is overwritten that this frontier leaves intact */
    shared64 boot_id[2];
    shared64 checksum;
    uint8_t unused[512 - 72]; /* a sector each: disks write them whole */
};

/* How often, for people. */
struct wait_counts {
    shared64 parks;    /* it slept */
    shared64 wakes;    /* it woke others */
    shared64 avoided;  /* a wait was over before it slept; the producer found sleepers of whom none was due */
    shared64 spurious; /* it was woken for nothing */
};

struct stream {
    /* Line 0: the limits of overwriting (docs/design.md P3). */
    shared64 frontier; /* everything below frontier - capacity may be overwritten from now on */
    shared64 acted;    /* the last frontier that was confirmed, and is acted on */
    uint8_t unused0[BLOCK_SIZE - 16];

    /* Line 1: the producer itself. */
    shared64 epoch;
    shared64 end;            /* the position at which the stream ended; NO_POSITION while it goes on */
    shared64 fence;          /* for people: MAPRING_FENCE_FULL, MAPRING_FENCE_ASYMMETRIC; 0 before the first producer */
    shared64 producer_pid;   /* 0: detached in good order */
    shared64 producer_place; /* as in struct platform_process */
    shared64 producer_start;
    shared64 producer_lock; /* the number of the lock that the producer holds */
    shared64 handing_over;  /* until this time of the clock somebody is expected to come: the producer left for that */
    shared64 evictions;     /* consumers let go in all: evicted, */
    shared64 demotions;     /* or demoted */
    shared64 boot_id[2];    /* of the machine, when the last producer attached */
    uint8_t unused1[BLOCK_SIZE - 96];

    /* Line 2: how the producer waits. */
    shared64 address; /* as in struct slot */
    struct wait_counts counts;
    uint8_t unused2[1024 - 2 * BLOCK_SIZE - 40];

    struct checkpoint checkpoints[2]; /* written in turn */

    struct index_entry index[STRIDE_COUNT];
};

#define STREAM_HEAD_SIZE 4096u

static_assert(offsetof(struct stream, frontier) == 0, "format 1");
static_assert(offsetof(struct stream, acted) == 8, "format 1");
static_assert(offsetof(struct stream, epoch) == 128, "format 1");
static_assert(offsetof(struct stream, end) == 136, "format 1");
static_assert(offsetof(struct stream, fence) == 144, "format 1");
static_assert(offsetof(struct stream, producer_pid) == 152, "format 1");
static_assert(offsetof(struct stream, producer_lock) == 176, "format 1");
static_assert(offsetof(struct stream, handing_over) == 184, "format 1");
static_assert(offsetof(struct stream, boot_id) == 208, "format 1");
static_assert(offsetof(struct stream, checkpoints) == 1024, "format 1");
static_assert(offsetof(struct stream, index) == 2048, "format 1");
static_assert(sizeof(struct checkpoint) == 512, "format 1");
static_assert(sizeof(struct stream) == STREAM_HEAD_SIZE, "format 1");

/* Readers. */

/*
 * Where one side sleeps and the other wakes it (docs/design.md P5; wait.c). Sleepers
 * raise their bit; the bell is rung by lowering the bits, then changing the doorbell.
 */
struct bell {
    shared64 sleepers; /* sleeper_bit(n): sleeper n; bits 62 and 63: as below */
    shared64 distant;  /* the same bits: of those who once had an address; never lowered */
    uint8_t unused0[BLOCK_SIZE - 16];
    shared32 doorbell;
    uint8_t unused1[4];
    shared64 fencing; /* of consumers: 1: the producer fences between what it brings and its look at the sleepers */
    uint8_t unused2[BLOCK_SIZE - 16];
};

#define SLEEPERS_WANT_FENCES ((uint64_t)1 << 63) /* some sleeper needs fences */
#define SLEEPERS_CHANGED ((uint64_t)1 << 62)     /* some sleeper wants to be woken sooner than it said */

/*
 * A record boundary in one word: the low 32 bits of position / 8, and above them those of the number of the message
 * there. Both are completed from what is known to be near (index.c).
 */

/* Names of consumers and groups: 63 bytes at most, ended and filled with zeros. */
#define OWN_NAME_WORDS 8u

struct slot {
    /* Line 0: written by the consumer that holds the slot, or by who holds its lock. */
    shared64 cursor; /* everything before it is released; NO_POSITION: holds nobody back */
    /* The same with the message's number, for who continues: stored before the cursor, in this order (slot.c). */
    shared64 sequence;
    shared64 mark;        /* a boundary in one word */
    shared64 end;         /* of a member: of the messages that it took, which begin at the cursor; 0: none */
    shared64 state;       /* 0: free; else kind, SLOT_* flags, a count, and the process id; kind 0: finds its place */
    shared64 lost;        /* messages lost, */
    shared64 redelivered; /* messages had from other members, for people */
    shared64 wake_at;     /* who sleeps wants to be woken when the producer's position is here; 0: at once */
    shared64 address;     /* of its descriptor (wait.c); 0: it has none, or one that needs no address */
    /* For people. */
    shared64 waiting; /* MAPRING_WAIT_ADAPTIVE, ...; from bit 8 on MAPRING_DESCRIPTOR_FUTEX, ... */
    struct wait_counts counts;
    uint8_t unused0[BLOCK_SIZE - 112];

    /* Line 1: who that is, stored before the state. */
    shared64 place; /* as in struct platform_process */
    shared64 start;
    shared64 name[OWN_NAME_WORDS]; /* SLOT_NAMED */
    shared64 group;                /* number of a member's group */
    shared64 taken;                /* how often the slot was taken */
    uint8_t unused1[BLOCK_SIZE - 32 - 8 * OWN_NAME_WORDS];
};

#define SLOT_KIND_MASK ((uint64_t)0xff)
#define SLOT_FENCES ((uint64_t)1 << 8)  /* its consumer fences between storing the cursor and looking for sleepers */
#define SLOT_NAMED ((uint64_t)1 << 9)   /* keeps its place when its consumer is gone */
#define SLOT_LET_GO ((uint64_t)1 << 10) /* the producer does not wait for its cursor any longer */
#define SLOT_METHOD_SHIFT 8             /* of the method in `waiting` */
#define SLOT_COUNT_SHIFT 16             /* 16 bits that change with each consumer in the slot */
#define SLOT_COUNT_MASK ((uint64_t)0xffff << SLOT_COUNT_SHIFT)
#define SLOT_PID_SHIFT 32

#define SLOTS_PER_BIT 16u

/* Competing consumers that share a cursor: docs/design.md P9. */
struct group {
    shared64 mark; /* the next message to be taken: a boundary in one word */
    uint8_t unused0[BLOCK_SIZE - 8];
    shared64 name[OWN_NAME_WORDS];
    shared64 filter; /* mask of tags, and value above it */
    uint8_t unused1[BLOCK_SIZE - 8 - 8 * OWN_NAME_WORDS];
};

#define GROUPS_MAX 16u

struct readers {
    struct bell news;     /* consumers sleep here until something is published */
    struct bell room;     /* the producer sleeps here until something is released, or somebody joins or leaves */
    shared64 used;        /* bit n: one of the slots from 16n on was taken once; never lowered */
    shared64 groups_used; /* bit n: group n is there */
    shared64 moves;       /* of places from a dead consumer's slot to another's */
    uint8_t unused0[BLOCK_SIZE - 24];
    struct group groups[GROUPS_MAX];
    struct slot slots[];
};

static_assert(sizeof(struct bell) == 2 * BLOCK_SIZE, "format 1");
static_assert(offsetof(struct bell, doorbell) == BLOCK_SIZE, "format 1");
static_assert(offsetof(struct bell, fencing) == BLOCK_SIZE + 8, "format 1");
static_assert(sizeof(struct slot) == 2 * BLOCK_SIZE, "format 1");
static_assert(offsetof(struct slot, sequence) == 8, "format 1");
static_assert(offsetof(struct slot, mark) == 16, "format 1");
static_assert(offsetof(struct slot, end) == 24, "format 1");
static_assert(offsetof(struct slot, state) == 32, "format 1");
static_assert(offsetof(struct slot, wake_at) == 56, "format 1");
static_assert(offsetof(struct slot, address) == 64, "format 1");
static_assert(offsetof(struct slot, counts) == 80, "format 1");
static_assert(offsetof(struct stream, address) == 256, "format 1");
static_assert(offsetof(struct slot, place) == BLOCK_SIZE, "format 1");
static_assert(offsetof(struct slot, name) == BLOCK_SIZE + 16, "format 1");
static_assert(offsetof(struct slot, group) == BLOCK_SIZE + 80, "format 1");
static_assert(sizeof(struct group) == 2 * BLOCK_SIZE, "format 1");
static_assert(offsetof(struct group, name) == BLOCK_SIZE, "format 1");
static_assert(offsetof(struct group, filter) == BLOCK_SIZE + 64, "format 1");
static_assert(offsetof(struct readers, room) == 2 * BLOCK_SIZE, "format 1");
static_assert(offsetof(struct readers, used) == 4 * BLOCK_SIZE, "format 1");
static_assert(offsetof(struct readers, groups_used) == 4 * BLOCK_SIZE + 8, "format 1");
static_assert(offsetof(struct readers, groups) == 5 * BLOCK_SIZE, "format 1");
static_assert(offsetof(struct readers, slots) == (5 + 2 * GROUPS_MAX) * BLOCK_SIZE, "format 1");
static_assert(SLOTS_MAX <= 64 * SLOTS_PER_BIT, "each slot has a bit");

/* The sizes of a ring, copied to private memory and checked once; never read from the segment again. */
struct geometry {
    uint64_t capacity;
    uint32_t slot_count;
    uint32_t backing;
    uint64_t stream_offset;
    uint64_t stream_size;
    uint64_t readers_offset;
    uint64_t readers_size;
    uint64_t segment_size;
    uint64_t first_position;
    uint64_t ring_id[2];
    uint32_t slow_policy;
    uint32_t flags;
    uint64_t slow_ns;
    uint64_t hold_ns;
};

#endif
