/*
 * Publishing: docs/design.md P1. What is done for every message is here; getting room,
 * once or twice per stride, is in claim.c.
 */
#include "producer.h"

#include <mapring/mapring.h>

#include "record.h"

static inline shared64 *header_at(uint8_t *record)
{
    return (shared64 *)(void *)record;
}

/* Whether a record of this length fits without asking. Then it does not wrap either: the limit lies within the stride.
 */
static inline bool fits_between(const uint8_t *next, const uint8_t *limit, uint64_t length)
{
    /* Both are multiples of 8 apart, so the length need not be rounded up. */
    return length <= MESSAGE_LENGTH_MAX && next + length + 2 * HEADER_SIZE <= limit;
}

static inline bool fits(const struct mapring_producer *producer, uint64_t length)
{
    return fits_between(producer->next, producer->limit, length);
}

/*
 * A line that a consumer has read is far away, and a processor holds back the stores of a few messages only until their
 * lines are its own. So for each message as many lines are fetched for writing farther on. Long messages do without:
 * there the processor sees by itself where the stores go. Measured against one line, 256 bytes ahead: 64 B 1.5 times as
 * fast, 512 B 2.5 times, 4 KiB 1.6 times (docs/benchmarks.md).
 */
#define PREFETCH_LENGTH_MAX 4096u

static ALWAYS_INLINE void prefetch_beyond(const struct mapring_producer *producer, const uint8_t *next, uint64_t length)
{
    const uint8_t *start = next + producer->prefetch_distance;
    prefetch_to_write(start);
    for (uint64_t i = 64; UNLIKELY(i <= length) && length <= PREFETCH_LENGTH_MAX; i += 64)
        prefetch_to_write(start + i);
}

/* Where the record behind this one starts. Records start at multiples of 8. */
static inline uint8_t *record_end(uint8_t *record, uint64_t length)
{
    return (uint8_t *)(((uintptr_t)record + length + HEADER_SIZE + 7) & ~(uintptr_t)7);
}

/* 0 if there is none. The lower half of a header is enough: it says that the record is committed. */
static inline uint32_t run_is_open(const struct mapring_producer *producer)
{
    return (uint32_t)producer->run_header;
}

/* Makes the record, or the run of records, at `start` visible. The header behind it must be 0 by now. */
static inline void commit_header(struct mapring_producer *producer, uint8_t *start, uint64_t header)
{
    /* Release: pairs with the acquire load of a header in consumer.c and index.c. */
    store64_release(header_at(start), header);
    if (LOOKS_FOR_SLEEPERS && UNLIKELY(load64_relaxed(producer->sleepers) != producer->no_sleepers))
        look_closer(producer);
}

/* The same, with the flags of the call that does it. */
static void commit_as_asked(struct mapring_producer *producer, uint8_t *start, uint64_t header, uint32_t flags)
{
    if (flags == 0) {
        commit_header(producer, start, header);
        return;
    }
    /* Release: as above. */
    store64_release(header_at(start), header);
    look_as_asked(producer, flags);
}

static void end_run_as_asked(struct mapring_producer *producer, uint32_t flags)
{
    if (producer->run_header == 0)
        return;
    uint64_t header = producer->run_header;
    producer->run_header = 0;
    commit_as_asked(producer, producer->run_start, header, flags);
}

void end_run(struct mapring_producer *producer)
{
    end_run_as_asked(producer, 0);
}

/* Appends a record whose payload is in place, as part of a run or on its own. The slow twin of publish(): it wraps. */
static void append(struct mapring_producer *producer, uint64_t header, uint32_t flags)
{
    uint8_t *record = producer->next;
    uint8_t *next = record + record_size(header_length(header));
    if (next == producer->ring.data + producer->ring.geometry.capacity) {
        next = producer->ring.data;
        producer->lap += producer->ring.geometry.capacity;
        producer->limit = next;
    } else if (next > producer->limit) {
        producer->limit = next;
    }
    store64_relaxed(header_at(next), 0);
    producer->next = next;
    if (producer->run_header == 0 && (flags & MAPRING_MORE) == 0) {
        commit_as_asked(producer, record, header, flags);
    } else if (producer->run_header == 0) {
        producer->run_start = record;
        producer->run_header = header;
    } else {
        /* Made visible by the release store of the run's first header. */
        store64_relaxed(header_at(record), header);
        if ((flags & MAPRING_MORE) == 0)
            end_run_as_asked(producer, flags);
    }
}

/* A padding record, which is part of the run that the next record belongs to. */
static void append_padding(struct mapring_producer *producer, uint64_t size)
{
    if (size > 0)
        append(producer, padding_header(size), MAPRING_MORE);
}

static void append_message(struct mapring_producer *producer, uint64_t length, uint32_t tag, uint32_t flags)
{
    producer->sequence++;
    append(producer, message_header(length, tag), flags);
}

static bool flags_are_known(uint32_t flags)
{
    const uint32_t both = MAPRING_WAKE_NEVER | MAPRING_WAKE_ALWAYS;
    return (flags & ~(MAPRING_MORE | both)) == 0 && (flags & both) != both;
}

/* Everything that mapring_publish() below leaves out. */
static NOINLINE int32_t publish_slow(struct mapring_producer *producer, const void *data, uint64_t length, uint32_t tag,
                                     uint32_t flags, int64_t timeout_ns)
{
    if (producer == NULL || timeout_ns < 0 || !flags_are_known(flags) || (data == NULL && length > 0))
        return MAPRING_INVALID_ARGUMENT;
    uint64_t padding = 0;
    if (!fits(producer, length)) {
        int32_t status = claim_room(producer, length, timeout_ns, &padding);
        if (status < 0)
            return status;
    }
    append_padding(producer, padding);
    if (length > 0)
        copy_to_shared(producer->next + HEADER_SIZE, data, length);
    append_message(producer, length, tag, flags);
    return MAPRING_OK;
}

/* Makes one message visible, whose payload is in place and for which there was room without asking. */
static inline int32_t commit_message(struct mapring_producer *producer, uint8_t *record, uint64_t length, uint32_t tag)
{
    uint8_t *next = record_end(record, length);
    prefetch_beyond(producer, next, length);
    /* Before this record becomes visible, so that stale bytes never look like the next. */
    store64_relaxed(header_at(next), 0);
    producer->next = next;
    producer->sequence++;
    commit_header(producer, record, message_header(length, tag));
    return MAPRING_OK;
}

/* A message on its own that fits. In the program for each way to copy: short messages are copied without a call. */
static ALWAYS_INLINE int32_t publish(struct mapring_producer *producer, const void *data, uint64_t length, uint32_t tag,
                                     void (*copy)(void *to, const void *from, uint64_t length))
{
    uint8_t *record = producer->next;
    /* In a sparse stream a consumer that polls has these lines: both are asked for before the first is written. */
    prefetch_to_write(record);
    prefetch_to_write(record + HEADER_SIZE + length);
    copy(record + HEADER_SIZE, data, length);
    return commit_message(producer, record, length, tag);
}

static NOINLINE int32_t publish_long(struct mapring_producer *producer, const void *data, uint64_t length, uint32_t tag,
                                     int64_t timeout_ns)
{
    if (UNLIKELY(!fits(producer, length)))
        return publish_slow(producer, data, length, tag, 0, timeout_ns);
    return publish(producer, data, length, tag, copy_to_shared);
}

/* Apart from the above: a function that calls another saves registers, and those stores wait for the lines of the
 * ring like all others. */
static NOINLINE int32_t publish_short(struct mapring_producer *producer, const void *data, uint64_t length,
                                      uint32_t tag, int64_t timeout_ns)
{
    if (length > COPY_SHORT_MAX)
        return publish_long(producer, data, length, tag, timeout_ns);
    if (UNLIKELY(!fits(producer, length)))
        return publish_slow(producer, data, length, tag, 0, timeout_ns);
    return publish(producer, data, length, tag, copy_short_to_shared);
}

int32_t mapring_publish(mapring_producer *producer, const void *data, uint64_t length, uint32_t tag, uint32_t flags,
                        int64_t timeout_ns)
{
    if (UNLIKELY(producer == NULL) || UNLIKELY(data == NULL) ||
        UNLIKELY((run_is_open(producer) | flags | (uint32_t)((uint64_t)timeout_ns >> 63)) != 0))
        return publish_slow(producer, data, length, tag, flags, timeout_ns);
    if (length < 8 || length > 16)
        return publish_short(producer, data, length, tag, timeout_ns);
    if (UNLIKELY(!fits(producer, length)))
        return publish_slow(producer, data, length, tag, flags, timeout_ns);
    return publish(producer, data, length, tag, copy_short_to_shared);
}

/* Publishes as one run those of the messages that fit without asking. Returns how many. */
static uint32_t publish_run(struct mapring_producer *producer, const mapring_message *messages, uint32_t count)
{
    uint8_t *start = producer->next;
    uint64_t start_header = 0;
    uint32_t done = 0;
    /* Copies: the compiler must expect what is copied into the ring to change *producer. */
    uint8_t *record = start;
    const uint8_t *limit = producer->limit;
    /* The headers within the run need no 0 before them: nobody gets there before the first header is stored. */
    for (; done < count; done++) {
        const void *data = messages[done].data;
        uint64_t length = messages[done].length;
        uint64_t header = message_header(length, messages[done].tag);
        if (UNLIKELY(!fits_between(record, limit, length)) || UNLIKELY(data == NULL))
            break;
        uint8_t *next = record_end(record, length);
        if (length <= COPY_SHORT_MAX) {
            copy_short_to_shared(record + HEADER_SIZE, data, length);
            prefetch_beyond(producer, next, length);
        } else {
            copy_to_shared(record + HEADER_SIZE, data, length);
            prefetch_beyond(producer, next, length);
        }
        if (done == 0)
            start_header = header;
        else
            store64_relaxed(header_at(record), header);
        record = next;
    }
    if (done > 0) {
        store64_relaxed(header_at(record), 0);
        producer->next = record;
        producer->sequence += done;
        commit_header(producer, start, start_header);
    }
    return done;
}

int32_t mapring_publish_batch(mapring_producer *producer, const mapring_message *messages, uint32_t count,
                              int64_t timeout_ns)
{
    if (producer == NULL || timeout_ns < 0 || (messages == NULL && count > 0) || count > INT32_MAX)
        return MAPRING_INVALID_ARGUMENT;
    end_run(producer);
    uint64_t deadline = 0; /* the clock is read for the first message that does not fit without asking */
    uint32_t done = 0;
    for (;;) {
        done += publish_run(producer, messages + done, count - done);
        if (done == count)
            return (int32_t)count;
        int64_t left = 0;
        if (timeout_ns > 0) {
            if (deadline == 0)
                deadline = deadline_after(timeout_ns);
            left = time_left(deadline, platform_clock_ns());
        }
        const mapring_message *message = &messages[done];
        int32_t status = publish_slow(producer, message->data, message->length, message->tag, 0, left);
        if (status < 0)
            return done > 0 ? (int32_t)done : status;
        done++;
    }
}

/* Claims. While one is open there is no room, so that everything else has to ask and finds out. */

static void open_claim(struct mapring_producer *producer, uint64_t padding, uint64_t size, uint64_t length,
                       uint32_t count)
{
    producer->claim_count = count;
    producer->claim_length = length;
    producer->claim_padding = padding;
    producer->claim_size = size;
    producer->claim_limit = producer->limit;
    producer->limit = producer->next;
}

/* Where the first record of a claim starts. */
static uint8_t *claim_start(const struct mapring_producer *producer, uint64_t padding)
{
    return padding > 0 ? producer->ring.data : producer->next;
}

int32_t mapring_claim(mapring_producer *producer, uint64_t length, int64_t timeout_ns, void **payload)
{
    if (producer == NULL || timeout_ns < 0 || payload == NULL)
        return MAPRING_INVALID_ARGUMENT;
    uint64_t padding = 0;
    if (UNLIKELY(!fits(producer, length))) {
        int32_t status = claim_room(producer, length, timeout_ns, &padding);
        if (status < 0)
            return status;
    }
    open_claim(producer, padding, record_size(length), length, 1);
    *payload = claim_start(producer, padding) + HEADER_SIZE;
    return MAPRING_OK;
}

int32_t mapring_claim_batch(mapring_producer *producer, mapring_message *messages, uint32_t count, int64_t timeout_ns)
{
    if (producer == NULL || timeout_ns < 0 || (messages == NULL && count > 0) || count > INT32_MAX)
        return MAPRING_INVALID_ARGUMENT;
    if (count == 0)
        return 0;
    uint64_t padding = 0;
    if (!fits(producer, messages[0].length)) {
        int32_t status = claim_room(producer, messages[0].length, timeout_ns, &padding);
        if (status < 0)
            return status;
    }
    uint8_t *start = claim_start(producer, padding);
    uint64_t room = padding > 0 ? 0 : (uint64_t)(producer->limit - producer->next);
    uint64_t size = 0;
    uint32_t granted = 0;
    do {
        messages[granted].data = start + size + HEADER_SIZE;
        size += record_size(messages[granted].length);
        granted++;
    } while (granted < count && messages[granted].length <= MESSAGE_LENGTH_MAX &&
             size + record_size(messages[granted].length) + HEADER_SIZE <= room);
    open_claim(producer, padding, size, messages[0].length, granted);
    return (int32_t)granted;
}

static void close_claim(struct mapring_producer *producer)
{
    producer->claim_count = 0;
    producer->limit = producer->claim_limit;
}

int32_t mapring_commit(mapring_producer *producer, uint64_t length, uint32_t tag, uint32_t flags)
{
    if (producer == NULL || !flags_are_known(flags))
        return MAPRING_INVALID_ARGUMENT;
    if (producer->claim_count == 0)
        return MAPRING_NO_CLAIM;
    if (producer->claim_count != 1)
        return MAPRING_INVALID_ARGUMENT;
    if (length > producer->claim_length)
        return MAPRING_MESSAGE_TOO_LARGE;
    close_claim(producer);
    if (producer->claim_padding == 0 && (producer->run_header | flags) == 0 && fits(producer, length))
        return commit_message(producer, producer->next, length, tag);
    append_padding(producer, producer->claim_padding);
    append_message(producer, length, tag, flags);
    return MAPRING_OK;
}

/* Where a granted message lies in the claim, in bytes; the size of the claim if it does not lie there. */
static uint64_t place_in_claim(const struct mapring_producer *producer, const mapring_message *message)
{
    const uint8_t *start = claim_start(producer, producer->claim_padding);
    uint64_t place = (uint64_t)(uintptr_t)message->data - (uint64_t)(uintptr_t)(start + HEADER_SIZE);
    return place < producer->claim_size && place % 8 == 0 ? place : producer->claim_size;
}

static int32_t check_batch(const struct mapring_producer *producer, const mapring_message *messages, uint32_t count)
{
    if (producer->claim_count == 0)
        return MAPRING_NO_CLAIM;
    if (count > producer->claim_count)
        return MAPRING_INVALID_ARGUMENT;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t place = place_in_claim(producer, &messages[i]);
        uint64_t next = i + 1 < count ? place_in_claim(producer, &messages[i + 1]) : producer->claim_size;
        if (place >= next || (i == 0 && place != 0))
            return MAPRING_INVALID_ARGUMENT;
        if (messages[i].length > MESSAGE_LENGTH_MAX || record_size(messages[i].length) > next - place)
            return MAPRING_MESSAGE_TOO_LARGE;
    }
    return MAPRING_OK;
}

int32_t mapring_commit_batch(mapring_producer *producer, const mapring_message *messages, uint32_t count)
{
    if (producer == NULL || (messages == NULL && count > 0))
        return MAPRING_INVALID_ARGUMENT;
    int32_t status = check_batch(producer, messages, count);
    if (status < 0)
        return status;
    close_claim(producer);
    if (count > 0)
        append_padding(producer, producer->claim_padding);
    for (uint32_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        append_message(producer, messages[i].length, messages[i].tag, last ? 0 : MAPRING_MORE);
        /* A message that was committed shorter leaves a gap before the next. */
        if (!last)
            append_padding(producer, (uint64_t)((const uint8_t *)messages[i + 1].data - HEADER_SIZE - producer->next));
    }
    return MAPRING_OK;
}

int32_t mapring_abandon(mapring_producer *producer)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (producer->claim_count == 0)
        return MAPRING_NO_CLAIM;
    close_claim(producer);
    return MAPRING_OK;
}

int32_t mapring_end_run(mapring_producer *producer)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    end_run(producer);
    return MAPRING_OK;
}
