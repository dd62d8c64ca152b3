/*
 * Reading: docs/design.md P2. What is done for every message is here; joining is in
 * slot.c, sleeping in wait.c.
 */
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "options.h"
#include "record.h"
#include "slot.h"
#include "validate.h"
#include "wait.h"

struct mapring_consumer {
    /* What every read touches. */
    const uint8_t *data;
    uint64_t capacity;
    uint64_t position; /* of the next record to read */
    uint64_t sequence; /* of the next message to read */
    uint64_t unreleased;

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
    uint32_t slot;
    struct sleeper sleeper;
};

/* Releasing. */

static void ring_producer(struct mapring_consumer *consumer)
{
    struct bell *room = &consumer->ring.readers->room;
    if ((load64_relaxed(&room->sleepers) & SLEEPERS_WANT_FENCES) != 0) {
        consumer->no_sleepers = SLEEPERS_WANT_FENCES;
        consumer->fences = true;
        slot_announce(&consumer->ring.readers->slots[consumer->slot], true);
    }
    bell_ring(room, consumer->sleeper.parking, PRODUCER_NUMBER, PRODUCER_NUMBER);
}

/* Wakes the producer if it sleeps. */
static void look_for_producer(struct mapring_consumer *consumer)
{
    /* Pairs with the fence in wait_once(). Without it here, the sleeper's is a heavy one and stands for both. */
    if (consumer->fences)
        fence_full();
    if (load64_relaxed(&consumer->ring.readers->room.sleepers) != consumer->no_sleepers)
        ring_producer(consumer);
}

static void store_cursor(struct mapring_consumer *consumer)
{
    struct slot *slot = &consumer->ring.readers->slots[consumer->slot];
    store64_relaxed(&slot->sequence, consumer->released.sequence);
    /* Release: pairs with the fence in advance_frontier(); our reads before it are over. */
    store64_release(&slot->cursor, consumer->released.position);
    consumer->stored = consumer->released.position;
    look_for_producer(consumer);
}

/* Releases the oldest `count` messages, which are fewer than were read, by walking over their records. */
static void release_some(struct mapring_consumer *consumer, uint32_t count)
{
    struct mark *released = &consumer->released;
    while (count > 0 && released->position < consumer->position) {
        uint64_t header = load64_relaxed(ring_header(&consumer->ring, released->position));
        released->position = min64(released->position + record_size(header_length(header)), consumer->position);
        if ((header & HEADER_PADDING) == 0) {
            released->sequence++;
            count--;
        }
    }
}

int32_t mapring_release(mapring_consumer *consumer, uint32_t count)
{
    if (consumer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (count > consumer->unreleased)
        return MAPRING_NOT_READ;
    if (count == consumer->unreleased)
        consumer->released = (struct mark){consumer->position, consumer->sequence};
    else
        release_some(consumer, count);
    consumer->unreleased -= count;
    if (consumer->released.position - consumer->stored > consumer->untold_max)
        store_cursor(consumer);
    return MAPRING_OK;
}

/* Reading. */

/* Looks at the next record. Returns 1 and its header if it is a message, 0 if there is none yet. */
static inline int32_t next_message(struct mapring_consumer *consumer, uint64_t *header)
{
    for (;;) {
        uint64_t offset = consumer->position & (consumer->capacity - 1);
        /* Pairs with the release store of a header in producer.c. Read once: the producer may write anything. */
        *header = load64_acquire((const shared64 *)(const void *)(consumer->data + offset));
        if (*header == 0)
            return 0;
        if (!header_is_sound(*header, offset, consumer->capacity))
            return MAPRING_CORRUPT;
        if ((*header & HEADER_PADDING) == 0)
            return 1;
        /* Nothing but padding, all around: no producer of ours did that. */
        if (consumer->position - consumer->released.position > consumer->capacity)
            return MAPRING_CORRUPT;
        consumer->position += record_size(header_length(*header));
    }
}

/*
 * Each header leads to the next, so the processor cannot run ahead by itself: for each record that is read, as
 * many lines are fetched farther on. Measured against no prefetch: twice the throughput at 64 B, three times at
 * 512 B (bench/throughput.c).
 */
#define PREFETCH_DISTANCE 8192u
#define PREFETCH_MAX 4096u

static inline void prefetch_beyond(const uint8_t *data, uint64_t mask, uint64_t position, uint64_t size)
{
    uint64_t start = position + PREFETCH_DISTANCE;
    PREFETCH(data + (start & mask));
    for (uint64_t i = 64; UNLIKELY(i < size) && i < PREFETCH_MAX; i += 64)
        PREFETCH(data + ((start + i) & mask));
}

static inline mapring_message take_message(struct mapring_consumer *consumer, uint64_t header)
{
    mapring_message message = {
        .data = consumer->data + (consumer->position & (consumer->capacity - 1)) + HEADER_SIZE,
        .length = header_length(header),
        .sequence = consumer->sequence++,
        .tag = (uint32_t)(header >> HEADER_TAG_SHIFT),
    };
    uint64_t size = record_size(message.length);
    prefetch_beyond(consumer->data, consumer->capacity - 1, consumer->position, size);
    consumer->position += size;
    return message;
}

/* What a caught-up consumer may read next: 1 a message (or what makes no sense), MAPRING_STREAM_ENDED, or 0: nothing
 * yet. */
static int32_t news(struct mapring_consumer *consumer)
{
    /* Needs no order: it counts only for who has read everything before it. */
    bool ended = load64_relaxed(&consumer->ring.stream->end) == consumer->position;
    uint64_t header;
    if (next_message(consumer, &header) != 0)
        return 1;
    return ended ? MAPRING_STREAM_ENDED : 0;
}

static bool has_news(void *context)
{
    return news(context) != 0;
}

static bool producer_fences(void *context)
{
    const struct mapring_consumer *consumer = context;
    /* Pairs with the release stores in choose_fence() and ring_consumers(). */
    return load64_acquire(&consumer->ring.stream->fence) == MAPRING_FENCE_FULL;
}

/*
 * A consumer that follows a dense stream word by word takes the producer's cache
 * line from it for every message, and both crawl. One that looks away for a moment gets
 * many messages at once, and the producer is undisturbed. So who is caught up now and then looks away; if that brought
 * many messages, it does so every time, and if not, more and more seldom, so that it costs a sparse stream nothing.
 */
#define STEP_BACK_NS 1000u
#define STEP_BACK_MESSAGES 16u
#define STEPS_APART_MIN 16u
#define STEPS_APART_MAX 4096u

static void step_back(struct mapring_consumer *consumer)
{
    if (consumer->stepped_back) {
        if (consumer->sequence - consumer->stepped_sequence >= STEP_BACK_MESSAGES)
            consumer->steps_apart = STEPS_APART_MIN;
        else
            consumer->steps_left = consumer->steps_apart = (uint32_t)min64(2 * consumer->steps_apart, STEPS_APART_MAX);
    }
    consumer->stepped_back = consumer->steps_left == 0;
    if (!consumer->stepped_back) {
        consumer->steps_left--;
        return;
    }
    consumer->stepped_sequence = consumer->sequence;
    uint64_t end = platform_clock_ns() + STEP_BACK_NS;
    do
        spin_pause();
    while (platform_clock_ns() < end);
}

/* Waits until there is something to read. Returns 1, 0 when the time passed, or why nothing will come. */
static int32_t wait_for_news(struct mapring_consumer *consumer, int64_t timeout_ns)
{
    /* Caught up: tell the producer everything that was released, and what is released before the next message. */
    consumer->untold_max = 0;
    if (consumer->stored != consumer->released.position)
        store_cursor(consumer);
    int32_t found = news(consumer);
    if (found != 0 || timeout_ns == 0)
        return found;
    uint64_t deadline = deadline_after(timeout_ns);
    step_back(consumer);
    for (;;) {
        enum wait_result result = wait_once(&consumer->sleeper, deadline);
        bool alone = result != WAIT_READY && platform_lock_held(consumer->ring.segment, PRODUCER_NUMBER) == 0;
        found = news(consumer);
        if (found != 0)
            return found;
        if (alone)
            return MAPRING_NO_PRODUCER;
        if (result == WAIT_DEADLINE)
            return 0;
    }
}

/* Reads the messages that lie there one behind the other, up to padding, the newest one or nonsense. */
static inline uint32_t read_plain(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max)
{
    /* Copies: for all the compiler knows, messages[] may lie over the fields of *consumer. */
    const uint8_t *data = consumer->data;
    uint64_t capacity = consumer->capacity;
    uint64_t position = consumer->position;
    uint64_t sequence = consumer->sequence;
    uint32_t count = 0;
    for (; count < max; count++) {
        uint64_t offset = position & (capacity - 1);
        /* Pairs with the release store of a header in producer.c. Read once: the producer may write anything. */
        uint64_t header = load64_acquire((const shared64 *)(const void *)(data + offset));
        if (!header_is_message(header, offset, capacity))
            break;
        uint64_t size = record_size(header_length(header));
        prefetch_beyond(data, capacity - 1, position, size);
        messages[count] = (mapring_message){
            .data = data + offset + HEADER_SIZE,
            .length = header_length(header),
            .sequence = sequence++,
            .tag = (uint32_t)(header >> HEADER_TAG_SHIFT),
        };
        position += size;
    }
    consumer->position = position;
    consumer->sequence = sequence;
    consumer->unreleased += count;
    consumer->untold_max = consumer->batch;
    return count;
}

/* When there is nothing plain to read: steps over padding, or waits if it should. Returns 1 when it is worth another
 * try. */
static NOINLINE int32_t read_slow(struct mapring_consumer *consumer, bool wait, int64_t timeout_ns)
{
    uint64_t header;
    int32_t found = next_message(consumer, &header);
    return found != 0 || !wait ? found : wait_for_news(consumer, timeout_ns);
}

int32_t mapring_read(mapring_consumer *consumer, mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    if (UNLIKELY(consumer == NULL || messages == NULL || max == 0 || max > INT32_MAX || timeout_ns < 0))
        return MAPRING_INVALID_ARGUMENT;
    uint32_t count = 0;
    for (;;) {
        count += read_plain(consumer, messages + count, max - count);
        if (count == max)
            return (int32_t)count;
        int32_t found = read_slow(consumer, count == 0, timeout_ns);
        if (found != 1)
            return count > 0 ? (int32_t)count : found;
    }
}

int32_t mapring_receive(mapring_consumer *consumer, void *buffer, uint64_t size, mapring_message *messages,
                        uint32_t max, int64_t timeout_ns)
{
    if (consumer == NULL || messages == NULL || max == 0 || max > INT32_MAX || timeout_ns < 0 ||
        (buffer == NULL && size > 0))
        return MAPRING_INVALID_ARGUMENT;
    if (consumer->unreleased > 0)
        return MAPRING_UNRELEASED;
    for (;;) {
        uint32_t count = 0;
        uint64_t used = 0; /* bytes of the buffer, a multiple of 8 */
        uint64_t header = 0;
        int32_t found = 1;
        while (count < max && (found = next_message(consumer, &header)) == 1 && used <= size &&
               header_length(header) <= size - used) {
            mapring_message message = take_message(consumer, header);
            if (message.length > 0)
                copy_from_shared((uint8_t *)buffer + used, message.data, message.length);
            message.data = (uint8_t *)buffer + used;
            messages[count++] = message;
            used += record_size(message.length) - HEADER_SIZE;
        }
        if (count > 0) {
            consumer->unreleased = count;
            consumer->untold_max = consumer->batch;
            mapring_release(consumer, count);
            return (int32_t)count;
        }
        if (found < 0)
            return found;
        if (found == 1) {
            messages[0] = (mapring_message){.length = header_length(header), .sequence = consumer->sequence};
            return MAPRING_BUFFER_TOO_SMALL;
        }
        int32_t news = wait_for_news(consumer, timeout_ns);
        if (news != 1)
            return news;
    }
}

/* Opening and closing. */

static int32_t open_ring(const char *name, int64_t timeout_ns, struct ring *ring)
{
    int32_t status = ring_open(name, NULL, ROLE_CONSUMER, ring, NULL);
    if (timeout_ns == 0 || status != MAPRING_NOT_FOUND)
        return status;
    uint64_t deadline = deadline_after(timeout_ns);
    while (status == MAPRING_NOT_FOUND) {
        if (platform_clock_ns() >= deadline)
            return MAPRING_TIMEOUT;
        platform_segment_await(name, deadline);
        status = ring_open(name, NULL, ROLE_CONSUMER, ring, NULL);
    }
    return status;
}

static int32_t join(struct mapring_consumer *consumer, enum index_end start)
{
    struct ring *ring = &consumer->ring;
    struct mark mark;
    int32_t status = slot_join(ring, start, &consumer->slot, &mark);
    if (status < 0)
        return status;
    if (start == NEWEST)
        status = walk_to_newest(ring, &mark);
    if (status == MAPRING_OK)
        status = platform_parking_open(ring->geometry.ring_id, SLOT_NUMBER(consumer->slot), &consumer->sleeper.parking);
    if (status < 0) {
        slot_leave(ring, consumer->slot);
        return status;
    }

    consumer->data = ring->data;
    consumer->capacity = ring->geometry.capacity;
    consumer->position = mark.position;
    consumer->sequence = mark.sequence;
    consumer->released = mark;
    consumer->batch = consumer->capacity / 8;
    consumer->steps_apart = consumer->steps_left = STEPS_APART_MIN;
    consumer->sleeper.bell = &ring->readers->news;
    consumer->sleeper.number = SLOT_NUMBER(consumer->slot);
    consumer->sleeper.ready = has_news;
    consumer->sleeper.peer_fences = producer_fences;
    consumer->sleeper.context = consumer;
    consumer->fences = !platform_heavy_fence_register();
    slot_announce(&ring->readers->slots[consumer->slot], consumer->fences);
    store_cursor(consumer);
    return MAPRING_OK;
}

static int32_t check_options(const struct mapring_consumer_options *options)
{
    if (options->struct_size != sizeof *options || options->start > MAPRING_FROM_NEWEST ||
        !all_zero(options->reserved, sizeof options->reserved))
        return MAPRING_INVALID_OPTIONS;
    return options->timeout_ns < 0 ? MAPRING_INVALID_ARGUMENT : MAPRING_OK;
}

int32_t mapring_consumer_open(const char *name, const mapring_consumer_options *options, mapring_consumer **consumer)
{
    static const mapring_consumer_options defaults = {.struct_size = sizeof defaults};
    if (consumer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (options == NULL)
        options = &defaults;
    int32_t status = check_options(options);
    if (status == MAPRING_OK)
        status = validate_name(name);
    if (status < 0)
        return status;

    struct mapring_consumer *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return MAPRING_NO_MEMORY;
    status = open_ring(name, options->timeout_ns, &opened->ring);
    if (status == MAPRING_OK)
        status = join(opened, options->start == MAPRING_FROM_NEWEST ? NEWEST : OLDEST);
    if (status < 0) {
        ring_close(&opened->ring);
        free(opened);
        return status;
    }
    *consumer = opened;
    return MAPRING_OK;
}

void mapring_consumer_close(mapring_consumer *consumer)
{
    if (consumer == NULL)
        return;
    if (platform_segment_is_ours(consumer->ring.segment)) {
        slot_leave(&consumer->ring, consumer->slot);
        /* The slot may be somebody else's by now, so this cannot be look_for_producer(). */
        struct bell *room = &consumer->ring.readers->room;
        fence_full();
        if ((load64_relaxed(&room->sleepers) & ~SLEEPERS_WANT_FENCES) != 0)
            bell_ring(room, consumer->sleeper.parking, PRODUCER_NUMBER, PRODUCER_NUMBER);
    }
    platform_parking_close(consumer->sleeper.parking);
    ring_close(&consumer->ring);
    free(consumer);
}
