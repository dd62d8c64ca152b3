#include "stream.h"

#include <stdlib.h>

#include "payload.h"
#include "rings.h"

#define BATCH 16u

/* A member that finds nothing looks this often whether the others have got the rest. */
#define MEMBER_WAIT_NS 1000000
#define RECEIVE_BYTES ((uint64_t)1 << 20)

static _Thread_local uint8_t *copies; /* of what is received */

/* Room may be long in coming when the consumer's processor is taken away: only then is there time to look whether
 * everything is to end. */
static bool again(int32_t status)
{
    return status == MAPRING_FULL && !stopping();
}

static double per_message(const struct job *job, uint64_t begin)
{
    return (double)(crew_await_done() - begin) / (double)job->count;
}

static bool publish_one(const struct payload *payload, uint64_t sequence)
{
    int32_t status;
    do
        status = mapring_publish(rings.sent, payload_source(payload, sequence), payload->words * 8, 0, 0, WAIT_NS);
    while (again(status));
    if (status == MAPRING_FULL)
        return false;
    check(status, "mapring_publish");
    payload_sent(payload, sequence);
    return true;
}

double stream_publish(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++)
        if (!publish_one(&payload, i))
            return 0;
    return per_message(job, begin);
}

double stream_publish_batch(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    mapring_message messages[BATCH];
    /* As many as are ready: a large message has one source only. */
    uint64_t step = payload.mask + 1 < BATCH ? payload.mask + 1 : BATCH;
    uint64_t begin = now_ns();
    for (uint64_t sent = 0; sent < job->count;) {
        uint64_t count = job->count - sent < step ? job->count - sent : step;
        for (uint64_t i = 0; i < count; i++)
            messages[i] = (mapring_message){.data = payload_source(&payload, sent + i), .length = job->size};
        int32_t status;
        do
            status = mapring_publish_batch(rings.sent, messages, (uint32_t)count, WAIT_NS);
        while (again(status));
        if (status == MAPRING_FULL)
            return 0;
        for (int32_t i = check(status, "mapring_publish_batch"); i > 0; i--)
            payload_sent(&payload, sent++);
    }
    return per_message(job, begin);
}

double stream_compose(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        void *room;
        int32_t status;
        do
            status = mapring_claim(rings.sent, job->size, WAIT_NS, &room);
        while (again(status));
        if (status == MAPRING_FULL)
            return 0;
        check(status, "mapring_claim");
        payload_compose(&payload, room, i);
        check(mapring_commit(rings.sent, job->size, 0, 0), "mapring_commit");
    }
    return per_message(job, begin);
}

double stream_publish_bursts(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t burst = job->capacity / 2 / (job->size + 16), spent = 0;
    for (uint64_t sent = 0; sent < job->count;) {
        uint64_t end = job->count - sent < burst ? job->count : sent + burst;
        uint64_t begin = now_ns();
        for (; sent < end; sent++)
            if (!publish_one(&payload, sent))
                return 0;
        spent += now_ns() - begin;
        int32_t status;
        while ((status = mapring_drain(rings.sent, WAIT_NS)) == MAPRING_TIMEOUT)
            if (stopping())
                return 0;
        check(status, "mapring_drain");
    }
    crew_await_done();
    return (double)spent / (double)job->count;
}

static void verify(const struct payload *payload, const mapring_message *messages, int32_t count, uint64_t first)
{
    struct payload_wrong wrong = {.words = 0};
    for (int32_t i = 0; i < count; i++)
        payload_compare(payload, messages[i].data, messages[i].length, first + (uint64_t)i, &wrong);
    if (payload_any(&wrong))
        fail("stream: a wrong byte in one of the %d messages from %llu on", (int)count, (unsigned long long)first);
}

void stream_read(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    mapring_message messages[READ_BATCH];
    uint32_t batch = read_batch(job->capacity, job->size);
    for (uint64_t received = 0; received < job->count;) {
        int32_t count = check(mapring_read(rings.got, messages, batch, WAIT_NS), "mapring_read");
        if (count == 0 && stopping())
            return;
        verify(&payload, messages, count, received);
        check(mapring_release(rings.got, (uint32_t)count), "mapring_release");
        received += (uint64_t)count;
    }
    uint64_t end = now_ns();
    /* The producer is told of the last releases by a read that finds nothing, and may be waiting for that. */
    if (check(mapring_read(rings.got, messages, 1, 0), "mapring_read") != 0)
        fail("stream: a message more than were sent");
    crew_done(end);
}

void stream_receive(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    if (copies == NULL && (copies = aligned_alloc(4096, RECEIVE_BYTES)) == NULL)
        fail("no memory for %llu bytes of received messages", (unsigned long long)RECEIVE_BYTES);
    /* For small messages as little as stays in the nearest cache. */
    uint64_t room = job->size > 65536 ? RECEIVE_BYTES : 65536;
    mapring_message messages[READ_BATCH];
    uint32_t batch = read_batch(job->capacity, job->size);
    for (uint64_t received = 0; received < job->count;) {
        int32_t count = check(mapring_receive(rings.got, copies, room, messages, batch, WAIT_NS), "mapring_receive");
        if (count == 0 && stopping())
            return;
        verify(&payload, messages, count, received);
        received += (uint64_t)count;
    }
    crew_done(now_ns());
}

/* How many of them are whole; what a lossy consumer reads in place may be overwritten meanwhile. */
static bool is_whole(const struct payload *payload, const mapring_message *messages, int32_t count, uint64_t *next)
{
    for (int32_t i = 0; i < count; i++) {
        uint64_t number = *(const uint64_t *)messages[i].data;
        if (number < *next || !payload_is(payload, messages[i].data, messages[i].length, number))
            return false;
        *next = number + 1;
    }
    return true;
}

void stream_read_lossy(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    mapring_message messages[READ_BATCH];
    uint32_t batch = read_batch(job->capacity, job->size);
    uint64_t next = 0, got = 0;
    while (next < job->count) {
        int32_t count = mapring_read(rings.got, messages, batch, WAIT_NS);
        if (count == 0 && stopping())
            return;
        if (count == MAPRING_LAPPED)
            continue;
        uint64_t seen = next;
        bool whole = is_whole(&payload, messages, check(count, "mapring_read"), &seen);
        int32_t status = mapring_release(rings.got, (uint32_t)count);
        if (status == MAPRING_LAPPED)
            continue;
        check(status, "mapring_release");
        if (!whole)
            fail("stream: a lossy consumer got a wrong byte or order after message %llu", (unsigned long long)next);
        got += (uint64_t)count;
        next = seen;
    }
    crew_lost(job->count - got);
    crew_done(now_ns());
}

double stream_publish_to_group(const struct job *job)
{
    double ns = stream_publish(job);
    uint64_t count = 0, sum = 0;
    for (unsigned i = 1; i < crew_members() && !stopping(); i++) {
        count += load64_relaxed(&crew_words(i)[WORD_COUNT]); /* ordered by the meeting, as the next */
        sum += load64_relaxed(&crew_words(i)[WORD_SUM]);
    }
    if (ns > 0 && (count != job->count || sum != job->count * (job->count - 1) / 2))
        fail("stream: the members of a group got %llu messages of %llu", (unsigned long long)count,
             (unsigned long long)job->count);
    return ns;
}

static uint64_t got_by_all(void)
{
    uint64_t count = 0;
    for (unsigned i = 1; i < crew_members(); i++)
        count += load64_relaxed(&crew_words(i)[WORD_COUNT]);
    return count;
}

void stream_read_as_member(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    mapring_message messages[READ_BATCH];
    uint32_t batch = read_batch(job->capacity, job->size);
    shared64 *own = crew_words(crew_member());
    uint64_t got = 0, sum = 0, last = now_ns();
    for (;;) {
        int32_t count = check(mapring_read(rings.got, messages, batch, MEMBER_WAIT_NS), "mapring_read");
        for (int32_t i = 0; i < count; i++) {
            uint64_t number = *(const uint64_t *)messages[i].data;
            verify(&payload, &messages[i], 1, number);
            sum += number;
        }
        if (count > 0) {
            check(mapring_release(rings.got, (uint32_t)count), "mapring_release");
            last = now_ns();
        } else if (stopping()) {
            return;
        } else if (got_by_all() == job->count) {
            break;
        }
        got += (uint64_t)count;
        store64_relaxed(&own[WORD_SUM], sum);
        store64_relaxed(&own[WORD_COUNT], got);
    }
    crew_done(last);
}
