/*
 * Members of a group, and what became of each message, for scenarios.
 */
#ifndef MAPRING_MODEL_MEMBERS_H
#define MAPRING_MODEL_MEMBERS_H

#include "fixture.h"

enum { PRODUCER, FIRST, SECOND, THIRD };

#define BIT(thread) (1u << (thread))

struct tally {
    uint64_t published;
    uint64_t record_bytes; /* of each message from position 0 on; 0: they differ */
    uint32_t deaths;       /* that may have happened */
};

extern struct tally tally;

/* For setup: a ring without consumers; with a group of so many members, the threads from FIRST on, in the slots from 0
 * on. Then it acts as the producer. */
void begin_tally(uint32_t slot_count, mapring_producer_options options);
void create_members(uint32_t count);
void join_group(void);
void add_member(uint32_t thread);

void publish_next(uint64_t length);
void publish_one(void);
void publish_two(void);
void publish_if_room(void);

/* As many bytes as the ring holds. */
void fill(void);

/* Gets up to `max` messages, and the number of the first, or UINT64_MAX. Returns as mapring_read(). */
int32_t get(uint32_t max, int64_t timeout_ns, uint64_t *first);
void give_back(uint64_t first, uint32_t count);
bool is_given_back(uint64_t number); /* or about to be */
bool was_given(uint64_t number);

/* Those before this one were there before the group. */
void group_begins_at(uint64_t first);

/* Gets some and gives them back. Returns as mapring_read(). */
int32_t work(uint32_t max, int64_t timeout_ns);
void work_once(void);

/* All messages are done with, as somebody was told: what they stand for may be changed. */
void all_are_done(void);

/* For setup: the member takes everything, releases the first message, and is to die. */
void take_all_as(uint32_t thread);
void die(void);

/* For finish(): those that live get all that is left; nothing is missing. */
void members_finish(void);

#define GROUP(title, text, count, ...)                                                                                 \
    {                                                                                                                  \
        .name = title, .invariant = text, .thread_count = count,                                                       \
        .thread_names = {"producer", "member", "second", "third"}, .name_word = name_ring_word, __VA_ARGS__            \
    }

#endif
