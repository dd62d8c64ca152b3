/*
 * Wait sets: docs/waiting.md.
 *
 * A wait looks at all members, then does what wait_once() does for all of them together: raises their bits, one
 * fence, looks again, sleeps. It sleeps on all doorbells at once where the system can do that, and they are not too
 * many, and the caller has no descriptors in the set; else on one descriptor at whose address all members are woken.
 */
#include "wait_set.h"

#include <stdlib.h>

#include <mapring/wait_set.h>

#include "consumer.h"
#include "producer.h"

enum member_kind { MEMBER_NONE, MEMBER_CONSUMER, MEMBER_PRODUCER, MEMBER_DESCRIPTOR };

struct member {
    enum member_kind kind;
    struct mapring_consumer *consumer;
    struct mapring_producer *producer;
    int64_t descriptor;
    uint64_t length; /* of the message that the producer wants room for */
    uint64_t token;
    uint32_t events;   /* that happened, and are not told yet: of a descriptor, or MAPRING_EVENT_ALONE */
    bool is_addressed; /* it is woken at the set's descriptor */
};

struct mapring_wait_set {
    struct member *members; /* with gaps, where some were removed */
    uint32_t member_count;
    uint32_t room;
    uint32_t first;  /* is looked at first in the next wait */
    uint32_t probed; /* is looked at first for death */
    uint64_t probed_ns;
    uint32_t descriptors;
    uint32_t observers;
    uint32_t process; /* that it belongs to */
    bool no_park_any; /* the system cannot sleep on several doorbells */

    struct platform_descriptor *descriptor; /* NULL: not needed so far */
    struct platform_ready ready[32];
    shared32 cancel_word;   /* changes with each cancellation */
    struct sleeper sleeper; /* how the set waits, without a bell of its own */
};

/* Members. */

static struct sleeper *sleeper_of(const struct member *member)
{
    /* What a producer that handed over shared is its successor's. */
    if (member->kind == MEMBER_PRODUCER)
        return member->producer->handed_over ? NULL : &member->producer->sleeper;
    return member->kind == MEMBER_CONSUMER && member->consumer->slot != NO_SLOT ? &member->consumer->sleeper : NULL;
}

static uint32_t look_at(const struct member *member)
{
    switch (member->kind) {
    case MEMBER_CONSUMER:
        return member->consumer->notice != MAPRING_OK || consumer_has_news(member->consumer)
                   ? (uint32_t)MAPRING_EVENT_READABLE
                   : member->events;
    case MEMBER_PRODUCER:
        return has_room(member->producer, member->length) ? (uint32_t)MAPRING_EVENT_WRITABLE : 0;
    default:
        return member->events;
    }
}

static bool all_fence(const struct mapring_wait_set *set)
{
    for (uint32_t i = 0; i < set->member_count; i++) {
        const struct sleeper *sleeper = sleeper_of(&set->members[i]);
        if (sleeper != NULL && !sleeper->peer_fences(sleeper->context))
            return false;
    }
    return true;
}

static bool some_are_ready(void *context)
{
    const struct mapring_wait_set *set = context;
    for (uint32_t i = 0; i < set->member_count; i++)
        if (look_at(&set->members[i]) != 0)
            return true;
    return false;
}

/* Asks the system about the descriptors, until one is ready, or the set's own is, or the deadline. MAPRING_OK, or why
 * it does not tell. */
static int32_t poll_descriptors(struct mapring_wait_set *set, uint64_t deadline)
{
    for (uint32_t i = 0; i < set->member_count; i++)
        if (set->members[i].kind == MEMBER_DESCRIPTOR)
            set->members[i].events = 0;
    int32_t count =
        platform_descriptor_wait(set->descriptor, deadline, set->ready, sizeof set->ready / sizeof set->ready[0]);
    for (int32_t i = 0; i < count; i++)
        if (set->ready[i].tag < set->member_count && set->members[set->ready[i].tag].kind == MEMBER_DESCRIPTOR)
            set->members[set->ready[i].tag].events = set->ready[i].events;
    return count < 0 ? count : MAPRING_OK;
}

/* Those that are ready, from another one on each time. */
static uint32_t collect(struct mapring_wait_set *set, mapring_ready *ready, uint32_t max)
{
    uint32_t count = 0;
    uint32_t start = set->first < set->member_count ? set->first : 0;
    set->first = start + 1;
    for (uint32_t i = 0; i < set->member_count && count < max; i++) {
        uint32_t place = start + i < set->member_count ? start + i : start + i - set->member_count;
        struct member *member = &set->members[place];
        uint32_t events = look_at(member);
        member->events = 0;
        if (events == 0)
            continue;
        ready[count++] = (mapring_ready){.token = member->token, .events = events};
        set->first = place + 1;
    }
    return count;
}

/* Counting, as wait_once() does it for each alone. */

static void count_parks(const struct mapring_wait_set *set)
{
    for (uint32_t i = 0; i < set->member_count; i++) {
        struct sleeper *sleeper = sleeper_of(&set->members[i]);
        if (sleeper != NULL)
            count64(&sleeper->counts->parks);
    }
}

/* Those that are ready did not sleep. The rest have not waited in vain yet. */
static void count_avoided(const struct mapring_wait_set *set)
{
    for (uint32_t i = 0; i < set->member_count; i++) {
        struct sleeper *sleeper = sleeper_of(&set->members[i]);
        if (sleeper != NULL && look_at(&set->members[i]) != 0)
            count64(&sleeper->counts->avoided);
    }
}

/* Those that are not ready slept, and were woken for nothing. */
static void count_spurious(const struct mapring_wait_set *set)
{
    for (uint32_t i = 0; i < set->member_count; i++) {
        struct sleeper *sleeper = sleeper_of(&set->members[i]);
        if (sleeper != NULL && look_at(&set->members[i]) == 0)
            count64(&sleeper->counts->spurious);
    }
}

/* Falling asleep. */

/* Raises the bits of all, and notes their doorbells, if there is room for them. `*covered`: all are sure to be woken.
 */
static uint32_t raise_all(struct mapring_wait_set *set, struct platform_doorbell *doorbells, bool *covered)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->member_count; i++) {
        struct sleeper *sleeper = sleeper_of(&set->members[i]);
        if (sleeper == NULL)
            continue;
        uint32_t remembered = wait_raise(sleeper);
        /* Beside that of cancellations. */
        if (count + 1 < PLATFORM_DOORBELLS_MAX)
            doorbells[count] = (struct platform_doorbell){&sleeper->bell->doorbell, remembered};
        count++;
    }
    /* As in wait_fence(), for all together. */
    fence_full();
    bool fenced = all_fence(set) || platform_heavy_fence();
    *covered = true;
    for (uint32_t i = 0; i < set->member_count; i++) {
        struct sleeper *sleeper = sleeper_of(&set->members[i]);
        if (sleeper != NULL && !wait_is_covered(sleeper, fenced))
            *covered = false;
    }
    return count;
}

static int32_t open_descriptor(struct mapring_wait_set *set)
{
    if (set->descriptor != NULL)
        return MAPRING_OK;
    int32_t status = platform_descriptor_open(false, &set->descriptor);
    /* Pairs with wait_cancel(), in another thread. */
    if (status == MAPRING_OK)
        store64_release(&set->sleeper.descriptor, (uint64_t)(uintptr_t)set->descriptor);
    return status;
}

static int32_t address_member(struct mapring_wait_set *set, struct member *member)
{
    struct sleeper *sleeper = sleeper_of(member);
    if (sleeper == NULL || member->is_addressed)
        return MAPRING_OK;
    const struct ring *ring = member->kind == MEMBER_PRODUCER ? &member->producer->ring : &member->consumer->ring;
    uint64_t address;
    int32_t status = platform_descriptor_address(set->descriptor, ring->segment, &address);
    if (status < 0)
        return status;
    wait_at_address(sleeper, address);
    member->is_addressed = true;
    return MAPRING_OK;
}

/* From now on the set sleeps on its descriptor. */
static int32_t use_descriptor(struct mapring_wait_set *set)
{
    int32_t status = open_descriptor(set);
    for (uint32_t i = 0; status == MAPRING_OK && i < set->member_count; i++)
        status = address_member(set, &set->members[i]);
    return status;
}

static bool needs_descriptor(const struct mapring_wait_set *set)
{
    return set->no_park_any || set->descriptors > 0;
}

/* Sleeps until a member may be ready. MAPRING_OK, or why it cannot. */
static int32_t sleep_until(struct mapring_wait_set *set, struct platform_doorbell *doorbells, uint32_t count,
                           uint64_t until)
{
    if (!needs_descriptor(set)) {
        if (platform_park_any(doorbells, count, until))
            return MAPRING_OK;
        /* It is tried once. Those that are woken from now on are raised again with an address. */
        set->no_park_any = true;
        return use_descriptor(set);
    }
    return poll_descriptors(set, until);
}

/* How long nothing may happen before the set looks by itself. */
#define OBSERVERS_NS 10000000u

static uint64_t quantum_of(struct mapring_wait_set *set, bool covered)
{
    if (!covered)
        return wait_unfenced_ns(&set->sleeper);
    set->sleeper.unfenced_ns = 0;
    return set->observers > 0 ? OBSERVERS_NS : QUANTUM_NS;
}

/* Looking for death takes some 10 us each: so for many it is done in turn. */
#define PROBES 16u

/* Every now and then, however short the waits are. */
static void probe_in_time(struct mapring_wait_set *set)
{
    uint64_t now = platform_clock_ns();
    if (now - set->probed_ns < QUANTUM_NS)
        return;
    set->probed_ns = now;
    for (uint32_t i = 0; i < set->member_count && i < PROBES; i++) {
        if (set->probed >= set->member_count)
            set->probed = 0;
        struct member *member = &set->members[set->probed++];
        if (member->kind == MEMBER_PRODUCER)
            press_for_room(member->producer, member->length);
        if (member->kind != MEMBER_CONSUMER)
            continue;
        if (member->consumer->group != NULL && group_has_heritage(member->consumer))
            member->events = MAPRING_EVENT_READABLE;
        else if (is_alone(member->consumer))
            member->events = MAPRING_EVENT_ALONE;
    }
}

/* One round of waiting: until something may have happened. */
static int32_t wait_round(struct mapring_wait_set *set, uint64_t deadline)
{
    struct platform_doorbell doorbells[PLATFORM_DOORBELLS_MAX];
    bool covered;
    /* Before the fence in raise_all(), which comes before the look at `cancelled`: as wait_raise() remembers. */
    doorbells[0] = (struct platform_doorbell){&set->cancel_word, load32_relaxed(&set->cancel_word)};
    uint32_t count = 1 + raise_all(set, doorbells + 1, &covered);
    if (some_are_ready(set)) {
        count_avoided(set);
        return MAPRING_OK;
    }
    if (wait_take_cancel(&set->sleeper))
        return MAPRING_CANCELLED;
    uint64_t now = platform_clock_ns();
    if (now >= deadline)
        return MAPRING_OK;
    count_parks(set);
    int32_t status = sleep_until(set, doorbells, count, min64(deadline, now + quantum_of(set, covered)));
    count_spurious(set);
    return status;
}

static int32_t wait_for_members(struct mapring_wait_set *set, mapring_ready *ready, uint32_t max, uint64_t deadline)
{
    for (;;) {
        probe_in_time(set);
        int32_t status = set->descriptors > 0 ? poll_descriptors(set, 0) : MAPRING_OK;
        if (status < 0)
            return status;
        uint32_t count = collect(set, ready, max);
        if (count > 0 || platform_clock_ns() >= deadline)
            return (int32_t)count;
        if (set->sleeper.waiting == MAPRING_WAIT_SPIN)
            status = wait_take_cancel(&set->sleeper) ? MAPRING_CANCELLED : MAPRING_OK;
        else if (set->descriptors == 0 && wait_spin(&set->sleeper))
            count_avoided(set);
        else
            status = wait_round(set, deadline);
        if (status < 0)
            return status;
    }
}

/* What a wait of each member alone begins with. */
static void begin_waits(struct mapring_wait_set *set)
{
    for (uint32_t i = 0; i < set->member_count; i++) {
        const struct member *member = &set->members[i];
        if (member->kind == MEMBER_PRODUCER) {
            end_run(member->producer);
        } else if (sleeper_of(member) != NULL) {
            tell_all(member->consumer);
            set_wake_at(member->consumer, 0);
        }
    }
}

int32_t mapring_wait_set_wait(mapring_wait_set *set, mapring_ready *ready, uint32_t max, int64_t timeout_ns)
{
    if (set == NULL || ready == NULL || max == 0 || max > INT32_MAX || timeout_ns < 0)
        return MAPRING_INVALID_ARGUMENT;
    int32_t status = wait_begin(&set->sleeper);
    if (status < 0)
        return status;
    begin_waits(set);
    if (needs_descriptor(set))
        status = use_descriptor(set);
    if (status == MAPRING_OK)
        status = wait_for_members(set, ready, max, timeout_ns == 0 ? 0 : deadline_after(timeout_ns));
    wait_end(&set->sleeper);
    return status;
}

int32_t mapring_wait_set_cancel(mapring_wait_set *set)
{
    if (set == NULL)
        return MAPRING_INVALID_ARGUMENT;
    wait_cancel(&set->sleeper);
    /* Either the sleeper remembers the new word, and so sees why it changed, or it does not sleep on the old one: as in
     * wait_cancel(). */
    fetch_add32(&set->cancel_word, 1);
    platform_unpark(&set->cancel_word);
    return MAPRING_OK;
}

int32_t mapring_wait_set_set_waiting(mapring_wait_set *set, uint32_t waiting)
{
    return set != NULL && sleeper_set_waiting(&set->sleeper, waiting) ? MAPRING_OK : MAPRING_INVALID_ARGUMENT;
}

/* Opening and closing. */

int32_t mapring_wait_set_open(mapring_wait_set **set)
{
    if (set == NULL)
        return MAPRING_INVALID_ARGUMENT;
    struct mapring_wait_set *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return MAPRING_NO_MEMORY;
    opened->process = platform_process_number();
    opened->probed_ns = platform_clock_ns();
    opened->sleeper.ready = some_are_ready;
    opened->sleeper.context = opened;
    sleeper_set_waiting(&opened->sleeper, MAPRING_WAIT_ADAPTIVE);
    *set = opened;
    return MAPRING_OK;
}

static void leave(struct mapring_wait_set *set, struct member *member)
{
    struct sleeper *sleeper = sleeper_of(member);
    if (sleeper != NULL && member->is_addressed)
        store64_relaxed(sleeper->address, 0);
    if (member->kind == MEMBER_DESCRIPTOR) {
        platform_descriptor_remove(set->descriptor, member->descriptor);
        set->descriptors--;
    } else if (member->kind == MEMBER_PRODUCER) {
        member->producer->set = NULL;
    } else if (member->kind == MEMBER_CONSUMER) {
        member->consumer->set = NULL;
        set->observers -= member->consumer->slot == NO_SLOT;
    }
    *member = (struct member){.kind = MEMBER_NONE};
}

void mapring_wait_set_close(mapring_wait_set *set)
{
    if (set == NULL)
        return;
    if (set->process == platform_process_number()) {
        mapring_wait_set_cancel(set);
        wait_shut(&set->sleeper);
        for (uint32_t i = 0; i < set->member_count; i++)
            leave(set, &set->members[i]);
    }
    platform_descriptor_close(set->descriptor);
    free(set->members);
    free(set);
}

/* Adding and removing. */

static struct member *new_member(struct mapring_wait_set *set)
{
    for (uint32_t i = 0; i < set->member_count; i++)
        if (set->members[i].kind == MEMBER_NONE)
            return &set->members[i];
    if (set->member_count == set->room) {
        uint32_t room = set->room == 0 ? 8 : 2 * set->room;
        struct member *members = calloc(room, sizeof *members);
        if (members == NULL)
            return NULL;
        for (uint32_t i = 0; i < set->member_count; i++)
            members[i] = set->members[i];
        free(set->members);
        set->members = members;
        set->room = room;
    }
    set->members[set->member_count] = (struct member){.kind = MEMBER_NONE};
    return &set->members[set->member_count++];
}

static uint32_t place_of(const struct mapring_wait_set *set, const struct member *member)
{
    return (uint32_t)(member - set->members);
}

/* NULL: nothing is like that. */
static struct member *find(const struct mapring_wait_set *set, struct member like)
{
    for (uint32_t i = 0; i < set->member_count; i++) {
        struct member *member = &set->members[i];
        if (member->kind == like.kind && member->consumer == like.consumer && member->producer == like.producer &&
            member->descriptor == like.descriptor)
            return member;
    }
    return NULL;
}

/* Too many to sleep on all doorbells: beside these there is the word of cancellations. */
static void count_doorbells(struct mapring_wait_set *set)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < set->member_count; i++)
        count += sleeper_of(&set->members[i]) != NULL;
    if (count > PLATFORM_DOORBELLS_MAX)
        set->no_park_any = true;
}

static int32_t add(struct mapring_wait_set *set, struct member wanted)
{
    struct member *member = new_member(set);
    if (member == NULL)
        return MAPRING_NO_MEMORY;
    *member = wanted;
    int32_t status = MAPRING_OK;
    if (wanted.kind == MEMBER_DESCRIPTOR) {
        status = open_descriptor(set);
        if (status == MAPRING_OK)
            status = platform_descriptor_add(set->descriptor, wanted.descriptor, wanted.events, place_of(set, member));
        member->events = 0;
    } else if (set->descriptor != NULL) {
        status = address_member(set, member);
    }
    if (status < 0) {
        *member = (struct member){.kind = MEMBER_NONE};
        return status;
    }
    set->descriptors += wanted.kind == MEMBER_DESCRIPTOR;
    count_doorbells(set);
    return MAPRING_OK;
}

int32_t mapring_wait_set_add_consumer(mapring_wait_set *set, mapring_consumer *consumer, uint64_t token)
{
    if (set == NULL || consumer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (consumer->set != NULL || consumer->descriptor != NULL)
        return MAPRING_BUSY;
    int32_t status = add(set, (struct member){.kind = MEMBER_CONSUMER, .consumer = consumer, .token = token});
    if (status < 0)
        return status;
    consumer->set = set;
    set->observers += consumer->slot == NO_SLOT;
    return MAPRING_OK;
}

int32_t mapring_wait_set_add_producer(mapring_wait_set *set, mapring_producer *producer, uint64_t length,
                                      uint64_t token)
{
    if (set == NULL || producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (producer->set != NULL && producer->set != set)
        return MAPRING_BUSY;
    if (length > message_length_max(producer->ring.geometry.capacity))
        return MAPRING_MESSAGE_TOO_LARGE;
    struct member *member = find(set, (struct member){.kind = MEMBER_PRODUCER, .producer = producer});
    if (member != NULL) {
        member->length = length;
        member->token = token;
        return MAPRING_OK;
    }
    int32_t status =
        add(set, (struct member){.kind = MEMBER_PRODUCER, .producer = producer, .length = length, .token = token});
    if (status == MAPRING_OK)
        producer->set = set;
    return status;
}

int32_t mapring_wait_set_add_descriptor(mapring_wait_set *set, int64_t descriptor, uint32_t events, uint64_t token)
{
    const uint32_t known = MAPRING_EVENT_READABLE | MAPRING_EVENT_WRITABLE;
    if (set == NULL || events == 0 || (events & ~known) != 0 ||
        find(set, (struct member){.kind = MEMBER_DESCRIPTOR, .descriptor = descriptor}) != NULL)
        return MAPRING_INVALID_ARGUMENT;
    return add(set,
               (struct member){.kind = MEMBER_DESCRIPTOR, .descriptor = descriptor, .events = events, .token = token});
}

static int32_t take_out(struct mapring_wait_set *set, struct member like)
{
    struct member *member = find(set, like);
    if (member == NULL)
        return MAPRING_NOT_FOUND;
    leave(set, member);
    return MAPRING_OK;
}

int32_t mapring_wait_set_remove_consumer(mapring_wait_set *set, mapring_consumer *consumer)
{
    if (set == NULL || consumer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    return take_out(set, (struct member){.kind = MEMBER_CONSUMER, .consumer = consumer});
}

int32_t mapring_wait_set_remove_producer(mapring_wait_set *set, mapring_producer *producer)
{
    if (set == NULL || producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    return take_out(set, (struct member){.kind = MEMBER_PRODUCER, .producer = producer});
}

int32_t mapring_wait_set_remove_descriptor(mapring_wait_set *set, int64_t descriptor)
{
    if (set == NULL)
        return MAPRING_INVALID_ARGUMENT;
    return take_out(set, (struct member){.kind = MEMBER_DESCRIPTOR, .descriptor = descriptor});
}

void wait_set_forget_consumer(struct mapring_consumer *consumer)
{
    if (consumer->set != NULL)
        mapring_wait_set_remove_consumer(consumer->set, consumer);
}

void wait_set_forget_producer(struct mapring_producer *producer)
{
    if (producer->set != NULL)
        mapring_wait_set_remove_producer(producer->set, producer);
}
