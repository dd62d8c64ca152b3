#include "control.h"

#include <string.h>

#include "atomic.h"
#include "payload.h"
#include "stream.h"

#define HEADER 8u
#define PADDING ((uint64_t)1 << 63) /* in a header: not a message, the end of the data is unused */

struct control_ring {
    shared64 head; /* everything before it is written; by the producer */
    uint8_t unused0[120];
    shared64 tail; /* everything before it is read; by the consumer */
    uint8_t unused1[120];
    _Alignas(4096) uint8_t data[];
};

struct control_end {
    struct control_ring *ring;
    uint64_t capacity;
    uint64_t position; /* own */
    uint64_t other;    /* the last seen of the opposite counter */
    uint64_t told;     /* consumer: the tail as stored */
};

struct control_message {
    const void *data;
    uint64_t length;
};

static struct control_ring *ring;

void control_prepare(uint64_t capacity)
{
    ring = shared_memory(sizeof *ring + capacity);
}

static uint64_t record_size(uint64_t length)
{
    return HEADER + ((length + 7) & ~(uint64_t)7);
}

static bool has_room(struct control_end *end, uint64_t size)
{
    if (end->position + size - end->other <= end->capacity)
        return true;
    end->other = load64_acquire(&end->ring->tail); /* with the consumer's store: it has read what is overwritten now */
    return end->position + size - end->other <= end->capacity;
}

/* Calls, as those of a library are, and for the same reason not inlined. */
__attribute__((noinline)) static bool control_publish(struct control_end *end, const void *data, uint64_t length)
{
    uint64_t size = record_size(length);
    uint64_t offset = end->position & (end->capacity - 1);
    uint64_t rest = end->capacity - offset;
    if (size > rest) {
        if (!has_room(end, rest + size))
            return false;
        memcpy(end->ring->data + offset, &(uint64_t){PADDING | rest}, HEADER);
        end->position += rest;
        offset = 0;
    } else if (!has_room(end, size)) {
        return false;
    }
    memcpy(end->ring->data + offset, &length, HEADER);
    memcpy(end->ring->data + offset + HEADER, data, length);
    end->position += size;
    store64_release(&end->ring->head, end->position); /* with control_read() */
    return true;
}

__attribute__((noinline)) static unsigned control_read(struct control_end *end, struct control_message *messages,
                                                       unsigned max)
{
    if (end->other == end->position) {
        end->other = load64_acquire(&end->ring->head); /* with the producer's store: the records are there */
        if (end->other == end->position)
            return 0;
    }
    unsigned count = 0;
    while (count < max && end->position != end->other) {
        const uint8_t *record = end->ring->data + (end->position & (end->capacity - 1));
        uint64_t header;
        memcpy(&header, record, HEADER);
        if (header & PADDING) {
            end->position += header & ~PADDING;
            continue;
        }
        messages[count++] = (struct control_message){record + HEADER, header};
        end->position += record_size(header);
    }
    return count;
}

/* Everything read so far. */
__attribute__((noinline)) static void control_release(struct control_end *end)
{
    if (end->position != end->other && end->position - end->told < end->capacity / 8)
        return;
    end->told = end->position;
    store64_release(&end->ring->tail, end->position); /* with has_room() */
}

double control_driver(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t position = load64_relaxed(&ring->head);
    struct control_end end = {.ring = ring, .capacity = job->capacity, .position = position, .other = position};
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        while (!control_publish(&end, payload_source(&payload, i), job->size)) {
            if (stopping())
                return 0;
            spin_pause();
        }
        payload_sent(&payload, i);
    }
    return (double)(crew_await_done() - begin) / (double)job->count;
}

void control_partner(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t position = load64_relaxed(&ring->tail);
    struct control_end end = {
        .ring = ring, .capacity = job->capacity, .position = position, .other = position, .told = position};
    struct control_message messages[READ_BATCH];
    unsigned batch = read_batch(job->capacity, job->size);
    for (uint64_t received = 0; received < job->count;) {
        unsigned count = control_read(&end, messages, batch);
        if (count == 0) {
            if (stopping())
                return;
            spin_pause();
            continue;
        }
        struct payload_wrong wrong = {.words = 0};
        for (unsigned i = 0; i < count; i++, received++)
            payload_compare(&payload, messages[i].data, messages[i].length, received, &wrong);
        if (payload_any(&wrong))
            fail("control ring: a wrong byte in one of the %u messages before %llu", count,
                 (unsigned long long)received);
        control_release(&end);
    }
    crew_done(now_ns());
}
