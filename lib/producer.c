/*
 * Publishing: DESIGN P1. What is done for every message is here, on one screen;
 * getting room, once or twice per stride, is in claim.c.
 */
#include "producer.h"

#include <mapring/mapring.h>

#include "record.h"

static inline shared64 *header_at(const struct mapring_producer *producer, uint64_t position)
{
    return (shared64 *)(void *)(producer->data + (position & producer->mask));
}

static inline uint8_t *payload_at(const struct mapring_producer *producer, uint64_t position)
{
    return producer->data + (position & producer->mask) + HEADER_SIZE;
}

/* Whether a record of this length fits at the position without asking. Then it does not wrap either: the limit lies
 * within the stride. */
static inline bool fits(const struct mapring_producer *producer, uint64_t length)
{
    return length <= MESSAGE_LENGTH_MAX && producer->position + record_size(length) + HEADER_SIZE <= producer->limit;
}

/* Wakes consumers that sleep, if there are any. */
static inline void look_for_sleepers(struct mapring_producer *producer)
{
    /* Pairs with the fence in wait_once(). Without it here, the sleeper's is a heavy one and stands for both. */
    if (producer->fences)
        fence_full();
    if (load64_relaxed(producer->sleepers) != producer->no_sleepers)
        ring_consumers(producer);
}

/* Makes the record (or the run of records) at `start` visible. The header behind it must be 0 by now. */
static inline void commit_header(struct mapring_producer *producer, uint64_t start, uint64_t header)
{
    /* Release: pairs with the acquire load of a header in consumer.c and index.c. */
    store64_release(header_at(producer, start), header);
    look_for_sleepers(producer);
}

/* Appends a committed record at `position`, as part of a run or on its own. */
static inline void append(struct mapring_producer *producer, uint64_t header, uint32_t flags)
{
    uint64_t position = producer->position;
    uint64_t next = position + record_size(header_length(header));
    /* Before the release store that makes it visible, so that stale bytes never look like a record. */
    store64_relaxed(header_at(producer, next), 0);
    producer->position = next;
    if (producer->run_header == 0 && (flags & MAPRING_MORE) == 0) {
        commit_header(producer, position, header);
    } else if (producer->run_header == 0) {
        producer->run_start = position;
        producer->run_header = header;
    } else {
        /* Made visible by the release store of the run's first header. */
        store64_relaxed(header_at(producer, position), header);
        if ((flags & MAPRING_MORE) == 0)
            end_run(producer);
    }
}

void end_run(struct mapring_producer *producer)
{
    if (producer->run_header == 0)
        return;
    uint64_t header = producer->run_header;
    producer->run_header = 0;
    commit_header(producer, producer->run_start, header);
}

void ring_consumers(struct mapring_producer *producer)
{
    struct ring *ring = &producer->ring;
    if ((load64_relaxed(producer->sleepers) & SLEEPERS_WANT_FENCES) != 0) {
        producer->no_sleepers = SLEEPERS_WANT_FENCES;
        producer->fences = true;
        /* Pairs with producer_fences() in consumer.c: who reads it sees all that was published without a fence. */
        store64_release(&ring->stream->fence, MAPRING_FENCE_FULL);
    }
    bell_ring(&ring->readers->news, producer->sleeper.parking, SLOT_NUMBER(0), ring->geometry.slot_count);
}

/* A padding record, which is part of the run that the next record belongs to. */
static void append_padding(struct mapring_producer *producer, uint64_t size)
{
    if (size > 0)
        append(producer, padding_header(size), MAPRING_MORE);
}

static int32_t publish_slow(struct mapring_producer *producer, const void *data, uint64_t length, uint32_t tag,
                            uint32_t flags, int64_t timeout_ns)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    uint64_t padding;
    int32_t status = claim_room(producer, length, timeout_ns, &padding);
    if (status < 0)
        return status;
    append_padding(producer, padding);
    copy_to_shared(payload_at(producer, producer->position), data, length);
    producer->sequence++;
    append(producer, message_header(length, tag), flags);
    return MAPRING_OK;
}

int32_t mapring_publish(mapring_producer *producer, const void *data, uint64_t length, uint32_t tag, uint32_t flags,
                        int64_t timeout_ns)
{
    if (timeout_ns < 0 || (flags & ~(uint32_t)MAPRING_MORE) != 0)
        return MAPRING_INVALID_ARGUMENT;
    if (data == NULL) {
        if (length > 0)
            return MAPRING_INVALID_ARGUMENT;
        data = "";
    }
    if (producer == NULL || !fits(producer, length))
        return publish_slow(producer, data, length, tag, flags, timeout_ns);
    copy_to_shared(payload_at(producer, producer->position), data, length);
    producer->sequence++;
    append(producer, message_header(length, tag), flags);
    return MAPRING_OK;
}

int32_t mapring_publish_batch(mapring_producer *producer, const mapring_message *messages, uint32_t count,
                              int64_t timeout_ns)
{
    if (producer == NULL || timeout_ns < 0 || (messages == NULL && count > 0) || count > INT32_MAX)
        return MAPRING_INVALID_ARGUMENT;
    uint64_t deadline = 0; /* read the clock only when there is no room at once */
    for (uint32_t i = 0; i < count; i++) {
        const mapring_message *message = &messages[i];
        uint32_t flags = i + 1 < count ? MAPRING_MORE : 0;
        int32_t status = mapring_publish(producer, message->data, message->length, message->tag, flags, 0);
        if (status == MAPRING_FULL && timeout_ns > 0) {
            uint64_t now = platform_clock_ns();
            if (deadline == 0)
                deadline = deadline_after(timeout_ns);
            if (now < deadline)
                status = mapring_publish(producer, message->data, message->length, message->tag, flags,
                                         (int64_t)(deadline - now));
        }
        if (status < 0) {
            end_run(producer);
            return i > 0 ? (int32_t)i : status;
        }
    }
    return (int32_t)count;
}

/* Claims. While one is open the limit is 0, so that everything else has to ask and finds out. */

static void open_claim(struct mapring_producer *producer, uint64_t padding, uint64_t end, uint32_t count)
{
    producer->claim_open = true;
    producer->claim_count = count;
    producer->claim_padding = padding;
    producer->claim_end = end;
    producer->claim_limit = producer->limit;
    producer->limit = 0;
}

static void close_claim(struct mapring_producer *producer)
{
    producer->claim_open = false;
    producer->limit = producer->claim_limit;
}

int32_t mapring_claim(mapring_producer *producer, uint64_t length, int64_t timeout_ns, void **payload)
{
    mapring_message message = {.length = length};
    if (payload == NULL)
        return MAPRING_INVALID_ARGUMENT;
    int32_t status = mapring_claim_batch(producer, &message, 1, timeout_ns);
    if (status < 0)
        return status;
    *payload = (void *)(uintptr_t)message.data;
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
    uint64_t end = producer->position + padding;
    uint32_t granted = 0;
    do {
        messages[granted].data = payload_at(producer, end);
        end += record_size(messages[granted].length);
        granted++;
    } while (granted < count && messages[granted].length <= MESSAGE_LENGTH_MAX &&
             end + record_size(messages[granted].length) + HEADER_SIZE <= producer->limit);
    open_claim(producer, padding, end, granted);
    return (int32_t)granted;
}

int32_t mapring_commit(mapring_producer *producer, uint64_t length, uint32_t tag, uint32_t flags)
{
    if (producer == NULL || (flags & ~(uint32_t)MAPRING_MORE) != 0)
        return MAPRING_INVALID_ARGUMENT;
    if (!producer->claim_open)
        return MAPRING_NO_CLAIM;
    uint64_t start = producer->position + producer->claim_padding;
    if (producer->claim_count != 1)
        return MAPRING_INVALID_ARGUMENT;
    if (length > MESSAGE_LENGTH_MAX || start + record_size(length) > producer->claim_end)
        return MAPRING_MESSAGE_TOO_LARGE;
    close_claim(producer);
    append_padding(producer, producer->claim_padding);
    producer->sequence++;
    append(producer, message_header(length, tag), flags);
    return MAPRING_OK;
}

/* The position of a granted message, or the end of the claim if it is none. */
static uint64_t granted_position(const struct mapring_producer *producer, const mapring_message *message)
{
    uint64_t start = producer->position + producer->claim_padding;
    uint64_t distance = (uint64_t)(uintptr_t)message->data - (uint64_t)(uintptr_t)payload_at(producer, start);
    return distance < producer->claim_end - start && distance % 8 == 0 ? start + distance : producer->claim_end;
}

int32_t mapring_commit_batch(mapring_producer *producer, const mapring_message *messages, uint32_t count)
{
    if (producer == NULL || (messages == NULL && count > 0))
        return MAPRING_INVALID_ARGUMENT;
    if (!producer->claim_open)
        return MAPRING_NO_CLAIM;
    if (count > producer->claim_count)
        return MAPRING_INVALID_ARGUMENT;
    uint64_t start = producer->position + producer->claim_padding;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t position = granted_position(producer, &messages[i]);
        uint64_t next = i + 1 < count ? granted_position(producer, &messages[i + 1]) : producer->claim_end;
        if (position >= next || (i == 0 && position != start))
            return MAPRING_INVALID_ARGUMENT;
        if (messages[i].length > MESSAGE_LENGTH_MAX || position + record_size(messages[i].length) > next)
            return MAPRING_MESSAGE_TOO_LARGE;
    }

    close_claim(producer);
    if (count > 0)
        append_padding(producer, producer->claim_padding);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t next = i + 1 < count ? producer->position + (uint64_t)((const uint8_t *)messages[i + 1].data -
                                                                        (const uint8_t *)messages[i].data)
                                      : 0;
        producer->sequence++;
        append(producer, message_header(messages[i].length, messages[i].tag), i + 1 < count ? MAPRING_MORE : 0);
        /* A message that was committed shorter leaves a gap before the next. */
        if (next > producer->position)
            append_padding(producer, next - producer->position);
    }
    return MAPRING_OK;
}

int32_t mapring_abandon(mapring_producer *producer)
{
    if (producer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (!producer->claim_open)
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
