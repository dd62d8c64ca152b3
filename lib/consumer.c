/*
 * Reading: docs/design.md P2. What is done for every message is here; attaching is in consumer_open.c, waiting in
 * consumer_wait.c.
 */
#include <stddef.h>
#include <string.h>

#include "consumer.h"
#include "descriptor.h"
#include "life.h"
#include "slot.h"

/*
 * Reading one message, and releasing all that was read, take one comparison each to find out whether anything is to be
 * done but the usual: with `limit`, and of `unreleased`. Up to the limit the next record starts within the data too,
 * and the producer need not be told that the message is released; or RELEASE_CAREFULLY says already that it must be.
 * The limit is less than 1 GiB ahead: so it keeps out every header but a message's, as message_length() says.
 */
static void allow_shortcuts(struct mapring_consumer *consumer)
{
    bool caught_up = consumer->untold_max < consumer->batch;
    if (!consumer->plain || caught_up) {
        forbid_shortcuts(consumer);
        return;
    }
    uint64_t room = (uint64_t)(consumer->data + consumer->capacity - consumer->payload);
    uint64_t untold = position_of(consumer) - consumer->stored;
    if (untold < consumer->untold_max) {
        consumer->unreleased &= ~RELEASE_CAREFULLY;
        room = min64(room, consumer->untold_max - untold);
    } else {
        consumer->unreleased |= RELEASE_CAREFULLY;
    }
    consumer->limit = consumer->payload + min64(room, HEADER_LENGTH_MASK);
    consumer->shortcut_max = 1;
}

/* Releasing. */

static void ring_producer(struct mapring_consumer *consumer)
{
    struct bell *room = &consumer->ring.readers->room;
    if ((load64_relaxed(&room->sleepers) & SLEEPERS_WANT_FENCES) != 0) {
        consumer->no_sleepers = SLEEPERS_WANT_FENCES;
        consumer->fences = true;
        struct slot *slot = &consumer->ring.readers->slots[consumer->slot];
        uint64_t state = load64_relaxed(&slot->state);
        /* Pairs with the acquire load in consumers_fence(). Fails only if the producer lets us go, and then waits for
         * nothing of ours. */
        compare_and_swap64(&slot->state, state, state | SLOT_FENCES);
    }
    wake_producer(&consumer->ring, consumer->sleeper.parking);
    count64(&consumer->sleeper.counts->wakes);
}

void look_for_producer(struct mapring_consumer *consumer)
{
    /* Pairs with the fence in wait_fence(). Without it here, the sleeper's is a heavy one and stands for both. */
    if (consumer->fences)
        fence_full();
    if (load64_relaxed(&consumer->ring.readers->room.sleepers) != consumer->no_sleepers)
        ring_producer(consumer);
}

void store_cursor(struct mapring_consumer *consumer)
{
    consumer->stored = consumer->released.position;
    if (consumer->slot == NO_SLOT)
        return;
    struct slot *slot = &consumer->ring.readers->slots[consumer->slot];
    if (consumer->kind != MAPRING_RELIABLE) {
        /* For people only. */
        store64_relaxed(&slot->sequence, consumer->released.sequence);
        store64_relaxed(&slot->mark, mark_word(consumer->released));
        return;
    }
    slot_tell(slot, consumer->released);
    look_for_producer(consumer);
    allow_shortcuts(consumer);
}

/* Releases the oldest `count` messages, which are fewer than were read, by walking over their records. */
static void release_some(struct mapring_consumer *consumer, uint32_t count)
{
    struct mark *released = &consumer->released;
    while (count > 0 && released->position < position_of(consumer)) {
        uint64_t header = load64_relaxed(ring_header(&consumer->ring, released->position));
        released->position = min64(released->position + record_size(header_length(header)), position_of(consumer));
        if ((header & HEADER_PADDING) != 0)
            continue;
        released->sequence++;
        if (is_wanted(consumer, header))
            count--;
    }
}

/* Everything that was read, and is not counted as unreleased any longer. */
static inline void set_released(struct mapring_consumer *consumer)
{
    consumer->released.position = position_of(consumer);
    consumer->released.sequence = consumer->sequence;
}

static inline void store_cursor_in_time(struct mapring_consumer *consumer)
{
    if (UNLIKELY(consumer->released.position - consumer->stored > consumer->untold_max))
        store_cursor(consumer);
}

static void tell_released(struct mapring_consumer *consumer)
{
    if (consumer->group != NULL)
        group_release(consumer);
    else
        store_cursor_in_time(consumer);
}

/* Everything that mapring_release() below leaves out. It has taken `count` off `unreleased`. */
static NOINLINE int32_t release_carefully(struct mapring_consumer *consumer, uint32_t count)
{
    consumer->unreleased += count;
    if (count > unreleased_of(consumer))
        return MAPRING_NOT_READ;
    uint64_t oldest = consumer->released.position;
    if (count == unreleased_of(consumer))
        set_released(consumer);
    else
        release_some(consumer, count);
    /* After the headers were walked over: they may be torn as well. */
    if (consumer->watched && count > 0 && is_lapped(consumer, oldest))
        return give_up_torn(consumer);
    consumer->unreleased -= count;
    tell_released(consumer);
    if (consumer->descriptor != NULL && unreleased_of(consumer) == 0)
        descriptor_settle_released(consumer);
    return MAPRING_OK;
}

int32_t mapring_release(mapring_consumer *consumer, uint32_t count)
{
    if (UNLIKELY(consumer == NULL))
        return MAPRING_INVALID_ARGUMENT;
    consumer->unreleased -= count;
    if (consumer->unreleased != 0)
        return release_carefully(consumer, count);
    consumer->released.position = position_of(consumer);
    consumer->released.sequence += count;
    return MAPRING_OK;
}

/* Reading. */

/* Pairs with the release store of a header in producer.c; who may be lapped has the fence in is_lapped() before it
 * reads what is behind the header. Read once: the producer may write anything. */
static ALWAYS_INLINE uint64_t load_header(const uint8_t *record, bool racing)
{
    const shared64 *header = (const shared64 *)(const void *)record;
    return racing ? peek64(header) : load64_acquire(header);
}

/* For who waits for a message: one that is not short lies on that line too, and the two then come at once. */
static inline void prefetch_next_line(const uint8_t *header)
{
    PREFETCH(header + 64);
}

int32_t next_message(struct mapring_consumer *consumer, uint64_t *header)
{
    for (;;) {
        const uint8_t *record = consumer->payload - HEADER_SIZE;
        uint64_t offset = (uint64_t)(record - consumer->data);
        *header = load_header(record, consumer->watched);
        if (*header == 0) {
            prefetch_next_line(record);
            return 0;
        }
        if (!header_is_sound(*header, offset, consumer->capacity))
            return MAPRING_CORRUPT;
        if ((*header & HEADER_PADDING) == 0)
            return 1;
        /* Nothing but padding, all around: no producer of ours did that. */
        if (position_of(consumer) - consumer->released.position > consumer->capacity)
            return MAPRING_CORRUPT;
        move_to(consumer, position_of(consumer) + record_size(header_length(*header)));
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

/* The same for one message, before `next`. At the end of the data it fetches what lies behind them, which does no harm.
 */
static inline void prefetch_ahead(const uint8_t *next, uint64_t length)
{
    PREFETCH(next + PREFETCH_DISTANCE);
    for (uint64_t i = 64 - HEADER_SIZE; UNLIKELY(i < length) && i < PREFETCH_MAX; i += 64)
        PREFETCH(next + PREFETCH_DISTANCE + HEADER_SIZE + i);
}

/* Where the payload of the record behind this one starts. Records start at multiples of 8. */
static inline const uint8_t *payload_behind(const uint8_t *payload, uint64_t length)
{
    return (const uint8_t *)(((uintptr_t)payload + length + HEADER_SIZE + 7) & ~(uintptr_t)7);
}

static ALWAYS_INLINE void tell_message(mapring_message *message, const void *data, uint64_t header, uint64_t sequence)
{
    message->data = data;
    message->length = message_length(header);
    message->sequence = sequence;
    /* In one store: a reader of one message notices. There are no flags. */
    static_assert(offsetof(mapring_message, flags) == offsetof(mapring_message, tag) + 4, "one word");
    uint64_t tag_and_flags = header >> HEADER_TAG_SHIFT;
    memcpy((uint8_t *)message + offsetof(mapring_message, tag), &tag_and_flags, sizeof tag_and_flags);
}

/*
 * Reads the messages that lie there one behind the other, up to padding, the newest one or nonsense. `careful`: only
 * those that are wanted, and not beyond `end`.
 */
static ALWAYS_INLINE uint32_t read_run(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                                       bool careful, uint64_t end)
{
    /* Copies: for all the compiler knows, messages[] may lie over the fields of *consumer. */
    const uint8_t *data = consumer->data;
    uint64_t capacity = consumer->capacity;
    uint64_t position = position_of(consumer);
    uint64_t sequence = consumer->sequence;
    uint32_t count = 0;
    while (count < max && (!careful || position < end)) {
        uint64_t offset = position & (capacity - 1);
        uint64_t header = load_header(data + offset, careful && consumer->watched);
        if (!header_is_message(header, offset, capacity))
            break;
        uint64_t size = record_size(message_length(header));
        prefetch_beyond(data, capacity - 1, position, size);
        if (!careful || is_wanted(consumer, header))
            tell_message(&messages[count++], data + offset + HEADER_SIZE, header, sequence);
        sequence++;
        position += size;
    }
    move_to(consumer, position);
    consumer->sequence = sequence;
    consumer->unreleased += count;
    consumer->untold_max = consumer->batch;
    if (!careful)
        allow_shortcuts(consumer);
    return count;
}

/* In a function of its own the loop has the registers for itself. */
static NOINLINE uint32_t read_all(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max)
{
    return read_run(consumer, messages, max, false, 0);
}

uint32_t read_wanted(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max, uint64_t end)
{
    return read_run(consumer, messages, max, true, end);
}

/* Whether who polls may be told at once that there is nothing: there was nothing before, and no release is to be told.
 */
static inline bool is_polled_in_vain(const struct mapring_consumer *consumer)
{
    const uint8_t *record = consumer->payload - HEADER_SIZE;
    if (consumer->untold_max != 0 || load_header(record, false) != 0)
        return false;
    prefetch_next_line(record);
    /* Needs no order: whether the stream ended is for wait_for_news() to say. */
    return load64_relaxed(&consumer->ring.stream->end) != position_of(consumer);
}

/* When there is nothing plain to read: steps over padding, or waits if it should. Returns 1 when it is worth another
 * try. */
static int32_t read_slow(struct mapring_consumer *consumer, bool wait, int64_t timeout_ns)
{
    uint64_t header;
    int32_t found = next_message(consumer, &header);
    return found != 0 || !wait ? found : wait_for_news(consumer, timeout_ns);
}

/* For who reads all there is. */
static NOINLINE int32_t read_plain(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                                   int64_t timeout_ns)
{
    uint32_t count = 0;
    for (;;) {
        count += read_all(consumer, messages + count, max - count);
        if (count == max)
            return (int32_t)count;
        int32_t found = read_slow(consumer, count == 0, timeout_ns);
        if (found != 1)
            return count > 0 ? (int32_t)count : found;
    }
}

/* Messages that nobody wanted are released unseen, if nothing before them is still held. */
static void release_unwanted(struct mapring_consumer *consumer)
{
    if (unreleased_of(consumer) > 0)
        return;
    set_released(consumer);
    store_cursor_in_time(consumer);
}

/* At most so much is passed over in one go, before it is seen whether it was overwritten meanwhile, and in a call whose
 * time is over. */
static uint64_t pass_end(const struct mapring_consumer *consumer)
{
    return position_of(consumer) + consumer->capacity / 2;
}

/* For who reads not everything, or what may be overwritten meanwhile. */
static NOINLINE int32_t read_carefully(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                                       int64_t timeout_ns)
{
    int32_t status = take_notice(consumer);
    if (status < 0)
        return status;
    uint64_t deadline = timeout_ns == 0 ? 0 : deadline_after(timeout_ns);
    for (;;) {
        struct mark from = {position_of(consumer), consumer->sequence, 0};
        uint64_t held = consumer->unreleased;
        uint32_t count = read_run(consumer, messages, max, true, pass_end(consumer));
        uint64_t header = 0;
        int32_t found = count > 0 ? 1 : next_message(consumer, &header);
        if (consumer->watched && is_lapped(consumer, from.position)) {
            consumer->unreleased = held;
            return resume_lapped(consumer, from);
        }
        if (count > 0) {
            consumer->lapses = 0;
            return (int32_t)count;
        }
        if (found < 0)
            return found;
        release_unwanted(consumer);
        uint64_t now = platform_clock_ns();
        if (found == 0) {
            found = wait_for_news(consumer, time_left(deadline, now));
            if (found != 1 || now >= deadline)
                return found == 1 ? 0 : found;
            status = take_notice(consumer);
            if (status < 0)
                return status;
        } else if (position_of(consumer) - from.position >= consumer->capacity / 2 && now >= deadline) {
            return 0;
        }
    }
}

/* For those who are not plain. */
static int32_t read_as_it_may(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                              int64_t timeout_ns)
{
    return consumer->group != NULL ? group_read(consumer, messages, max, timeout_ns)
                                   : read_carefully(consumer, messages, max, timeout_ns);
}

static NOINLINE int32_t read_otherwise(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                                       int64_t timeout_ns)
{
    int32_t result = read_as_it_may(consumer, messages, max, timeout_ns);
    return consumer->descriptor == NULL ? result : descriptor_settle(consumer, result);
}

/* Reads the message that lies there, if there is no more to it than this. */
static ALWAYS_INLINE bool read_one(struct mapring_consumer *consumer, mapring_message *message)
{
    const uint8_t *payload = consumer->payload;
    uint64_t header = load_header(payload - HEADER_SIZE, false);
    uint64_t length = message_length(header);
    const uint8_t *next = payload_behind(payload, length);
    if (UNLIKELY(next > consumer->limit))
        return false;
    prefetch_ahead(next, length);
    tell_message(message, payload, header, consumer->sequence);
    consumer->payload = next;
    consumer->sequence++;
    consumer->unreleased++;
    return true;
}

/* Everything that mapring_read() below leaves out. */
static NOINLINE int32_t read_more(struct mapring_consumer *consumer, mapring_message *messages, uint32_t max,
                                  int64_t timeout_ns)
{
    if (UNLIKELY(max == 0 || max > INT32_MAX || timeout_ns < 0))
        return MAPRING_INVALID_ARGUMENT;
    if (UNLIKELY(!consumer->plain))
        return read_otherwise(consumer, messages, max, timeout_ns);
    if (timeout_ns == 0 && is_polled_in_vain(consumer))
        return 0;
    /* The first message after a while is one that was waited for: no detour for it, if there is a shortcut. */
    if (max == 1) {
        consumer->untold_max = consumer->batch;
        allow_shortcuts(consumer);
        if (read_one(consumer, messages))
            return 1;
    }
    return read_plain(consumer, messages, max, timeout_ns);
}

int32_t mapring_read(mapring_consumer *consumer, mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    if (UNLIKELY(consumer == NULL || messages == NULL))
        return MAPRING_INVALID_ARGUMENT;
    if (max != consumer->shortcut_max || UNLIKELY(timeout_ns < 0))
        return read_more(consumer, messages, max, timeout_ns);
    return read_one(consumer, messages) ? 1 : read_more(consumer, messages, max, timeout_ns);
}

/* Copying. */

/* One by one: what is looked at behind each copy then tells whether it is whole. */
static int32_t receive_carefully(struct mapring_consumer *consumer, uint8_t *buffer, uint64_t size,
                                 mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    uint64_t used = 0; /* bytes of the buffer, a multiple of 8 */
    for (uint32_t count = 0;; count++) {
        mapring_message *message = &messages[count];
        int32_t found = count == max ? 0 : read_as_it_may(consumer, message, 1, count == 0 ? timeout_ns : 0);
        struct mark from = {0};
        if (found == 1)
            from = (struct mark){position_of(consumer) - record_size(message->length), message->sequence, 0};
        if (found == 1 && (used > size || message->length > size - used)) {
            move_to(consumer, from.position);
            consumer->sequence = from.sequence;
            forget_unreleased(consumer);
            *message = (mapring_message){.length = message->length, .sequence = message->sequence};
            found = count > 0 ? 0 : MAPRING_BUFFER_TOO_SMALL;
        }
        if (found == 1) {
            if (message->length > 0)
                copy_racing(buffer + used, message->data, message->length);
            if (consumer->watched && is_lapped(consumer, from.position)) {
                forget_unreleased(consumer);
                found = resume_lapped(consumer, from);
            }
        }
        if (found != 1) {
            if (count > 0 && (found == MAPRING_LAPPED || found == MAPRING_DEMOTED))
                consumer->notice = found;
            return count > 0 ? (int32_t)count : found;
        }
        message->data = buffer + used;
        used += record_size(message->length) - HEADER_SIZE;
        forget_unreleased(consumer);
        set_released(consumer);
        tell_released(consumer);
    }
}

/* For those who are not plain. */
static NOINLINE int32_t receive_otherwise(struct mapring_consumer *consumer, uint8_t *buffer, uint64_t size,
                                          mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    int32_t result = receive_carefully(consumer, buffer, size, messages, max, timeout_ns);
    /* What did not fit was read, and put back. */
    return consumer->descriptor == NULL ? result : descriptor_settle(consumer, result);
}

/* The twin of read_run() that copies, and releases what it copied. */
static ALWAYS_INLINE uint32_t receive_run(struct mapring_consumer *consumer, uint8_t *buffer, uint64_t size,
                                          mapring_message *messages, uint32_t max)
{
    const uint8_t *data = consumer->data;
    uint64_t capacity = consumer->capacity;
    uint64_t position = position_of(consumer);
    uint64_t sequence = consumer->sequence;
    uint64_t used = 0; /* bytes of the buffer, a multiple of 8 */
    uint32_t count = 0;
    while (count < max) {
        uint64_t offset = position & (capacity - 1);
        uint64_t header = load_header(data + offset, false);
        uint64_t length = message_length(header);
        if (!header_is_message(header, offset, capacity) || used + length > size)
            break;
        prefetch_beyond(data, capacity - 1, position, record_size(length));
        tell_message(&messages[count++], buffer + used, header, sequence++);
        if (length > 0)
            copy_from_shared(buffer + used, data + offset + HEADER_SIZE, length);
        position += record_size(length);
        used += record_size(length) - HEADER_SIZE;
    }
    move_to(consumer, position);
    consumer->sequence = sequence;
    consumer->untold_max = consumer->batch;
    set_released(consumer);
    store_cursor_in_time(consumer);
    allow_shortcuts(consumer);
    return count;
}

/* Everything that mapring_receive() below leaves out, for who reads all there is. */
static NOINLINE int32_t receive_plain(struct mapring_consumer *consumer, uint8_t *buffer, uint64_t size,
                                      mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    for (;;) {
        uint32_t count = receive_run(consumer, buffer, size, messages, max);
        if (count > 0)
            return (int32_t)count;
        uint64_t header;
        int32_t found = read_slow(consumer, true, timeout_ns);
        if (found != 1)
            return found;
        if (next_message(consumer, &header) == 1 && header_length(header) > size) {
            messages[0] = (mapring_message){.length = header_length(header), .sequence = consumer->sequence};
            return MAPRING_BUFFER_TOO_SMALL;
        }
    }
}

/* The twin of read_one(). For lengths from `least` to `most`: in the program for each way to copy. */
static ALWAYS_INLINE bool receive_one(struct mapring_consumer *consumer, uint8_t *buffer, uint64_t size,
                                      mapring_message *message, uint64_t least, uint64_t most)
{
    const uint8_t *payload = consumer->payload;
    uint64_t header = load_header(payload - HEADER_SIZE, false);
    uint64_t length = message_length(header);
    if (length < least || length > most || UNLIKELY(length > size))
        return false;
    const uint8_t *next = payload_behind(payload, length);
    if (UNLIKELY(next > consumer->limit))
        return false;
    prefetch_ahead(next, length);
    copy_from_shared(buffer, payload, length);
    tell_message(message, buffer, header, consumer->sequence);
    consumer->payload = next;
    consumer->sequence++;
    consumer->released.position = position_of(consumer);
    consumer->released.sequence++;
    return true;
}

/* Everything that mapring_receive() below leaves out. */
static NOINLINE int32_t receive_more(struct mapring_consumer *consumer, uint8_t *buffer, uint64_t size,
                                     mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    if (UNLIKELY(max == 0 || max > INT32_MAX || timeout_ns < 0) || (UNLIKELY(buffer == NULL) && size > 0))
        return MAPRING_INVALID_ARGUMENT;
    if (UNLIKELY(unreleased_of(consumer) > 0))
        return MAPRING_UNRELEASED;
    if (UNLIKELY(!consumer->plain))
        return receive_otherwise(consumer, buffer, size, messages, max, timeout_ns);
    if (max == 1 && consumer->unreleased == 0 && receive_one(consumer, buffer, size, messages, 1, HEADER_LENGTH_MASK))
        return 1;
    return receive_plain(consumer, buffer, size, messages, max, timeout_ns);
}

int32_t mapring_receive(mapring_consumer *consumer, void *buffer, uint64_t size, mapring_message *messages,
                        uint32_t max, int64_t timeout_ns)
{
    if (UNLIKELY(consumer == NULL || messages == NULL))
        return MAPRING_INVALID_ARGUMENT;
    if (max != 1 || UNLIKELY(timeout_ns < 0) || UNLIKELY(consumer->unreleased != 0) || UNLIKELY(buffer == NULL))
        return receive_more(consumer, buffer, size, messages, max, timeout_ns);
    if (receive_one(consumer, buffer, size, messages, 8, 16))
        return 1;
    return receive_more(consumer, buffer, size, messages, max, timeout_ns);
}
