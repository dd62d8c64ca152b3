#include "bare.h"

#include <string.h>

#include "payload.h"

/* Where a line lies decides which way it goes between the processors: bursts take turns on lines of many pages, as the
 * records of a ring do. */
#define LINE_PAIRS 1024u
#define PAGE 4096u
#define BURST 200u
#define PROBE_BURSTS 9u

/* Each way a word that says that it is there, and as many behind it as make a second line of a message of 64 B. */
#define WORDS 8u

struct line_pair {
    shared64 there;
    uint64_t sent[WORDS];
    uint8_t unused0[56];
    shared64 back;
    uint64_t returned[WORDS];
    uint8_t unused1[PAGE - 200];
};

struct stream_buffer {
    shared64 written; /* bytes, by the writer */
    uint8_t unused0[120];
    shared64 taken; /* bytes, by the reader */
    uint8_t unused1[120];
    _Alignas(4096) uint8_t data[];
};

static struct line_pair *pairs;
static struct stream_buffer *buffer;
static uint64_t driver_turn, partner_turn; /* bursts so far; the same on both sides */

void bare_prepare(uint64_t capacity)
{
    pairs = shared_memory((LINE_PAIRS + 1) * sizeof *pairs);
    memset(pairs, 0, LINE_PAIRS * sizeof *pairs);
    buffer = shared_memory(sizeof *buffer + capacity);
}

static inline void put(shared64 *word, uint64_t *words, uint64_t number, bool two)
{
    if (two) {
        prefetch_to_write(word);
        prefetch_to_write(words + WORDS - 1);
    }
    for (unsigned i = 0; two && i < WORDS; i++)
        words[i] = number + i;
    store64_release(word, number); /* with get() on the other side */
}

/* False when everything is to end. */
static inline bool get(const shared64 *word, const uint64_t *words, uint64_t number, bool two)
{
    while (load64_acquire(word) != number) { /* with put() on the other side */
        if (two)
            __builtin_prefetch(words + WORDS - 1);
        if (stopping())
            return false;
    }
    uint64_t wrong = 0;
    for (unsigned i = 0; two && i < WORDS; i++)
        wrong |= words[i] ^ (number + i);
    if (wrong != 0)
        fail("lines: a wrong byte in round trip %llu", (unsigned long long)number);
    return true;
}

/* The pair's words go on counting from burst to burst, so that none has to be reset. */
static inline void burst_driver(bool two)
{
    struct line_pair *pair = &pairs[driver_turn % LINE_PAIRS];
    uint64_t first = driver_turn / LINE_PAIRS * BURST;
    driver_turn++;
    for (uint64_t i = first + 1; i <= first + BURST; i++) {
        put(&pair->there, pair->sent, i, two);
        if (!get(&pair->back, pair->returned, i, two))
            return;
    }
}

static inline void burst_partner(bool two)
{
    struct line_pair *pair = &pairs[partner_turn % LINE_PAIRS];
    uint64_t first = partner_turn / LINE_PAIRS * BURST;
    partner_turn++;
    for (uint64_t i = first + 1; i <= first + BURST; i++) {
        if (!get(&pair->there, pair->sent, i, two))
            return;
        put(&pair->back, pair->returned, i, two);
    }
}

double bare_probe_driver(void)
{
    double bursts[PROBE_BURSTS];
    for (unsigned i = 0; i < PROBE_BURSTS; i++) {
        uint64_t begin = now_ns();
        burst_driver(false);
        bursts[i] = (double)(now_ns() - begin) / BURST;
    }
    return summarise(bursts, PROBE_BURSTS).median;
}

void bare_probe_partner(void)
{
    for (unsigned i = 0; i < PROBE_BURSTS; i++)
        burst_partner(false);
}

double bare_pingpong_driver(const struct job *job)
{
    uint64_t bursts = job->count / BURST + 1;
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < bursts; i++)
        if (job->variant == LINES_TWO)
            burst_driver(true);
        else
            burst_driver(false);
    return (double)(now_ns() - begin) / (double)(bursts * BURST);
}

void bare_pingpong_partner(const struct job *job)
{
    uint64_t bursts = job->count / BURST + 1;
    for (uint64_t i = 0; i < bursts; i++)
        if (job->variant == LINES_TWO)
            burst_partner(true);
        else
            burst_partner(false);
}

double bare_pingpong_timed_driver(const struct job *job)
{
    struct histogram *histogram = crew_histogram();
    struct line_pair *pair = &pairs[LINE_PAIRS];
    uint64_t first = load64_relaxed(&pair->there); /* as often as there were answers, when no job runs */
    uint64_t before = now_ns();
    for (uint64_t i = first + 1; i <= first + job->count; i++) {
        store64_release(&pair->there, i);        /* with the partner's load */
        while (load64_acquire(&pair->back) != i) /* with the partner's store */
            if (stopping())
                return 0;
        uint64_t now = now_ns();
        histogram_record(histogram, now - before);
        before = now;
    }
    return histogram_quantile(histogram, 0.5);
}

void bare_pingpong_timed_partner(const struct job *job)
{
    struct line_pair *pair = &pairs[LINE_PAIRS];
    uint64_t first = load64_relaxed(&pair->back); /* which only this side changes, below */
    for (uint64_t i = first + 1; i <= first + job->count; i++) {
        while (load64_acquire(&pair->there) != i) /* with the driver's store */
            if (stopping())
                return;
        store64_release(&pair->back, i); /* with the driver's load */
    }
}

/* Both sides go on where the last job ended, at a place where no chunk reaches beyond the end. */
static uint64_t first_position(const struct job *job)
{
    return (load64_relaxed(&buffer->taken) + job->size - 1) / job->size * job->size;
}

static void copy_chunk(const struct job *job, uint8_t *to, const uint8_t *from)
{
    if (job->variant == STREAM_WHOLE) {
        memcpy(to, from, job->size);
        return;
    }
    for (uint64_t done = 0; done < job->size; done += STREAM_PIECE)
        memcpy(to + done, from + done, STREAM_PIECE);
}

double bare_stream_driver(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t written = first_position(job), taken = written, capacity = job->capacity;
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        while (written + job->size - taken > capacity) {
            if (stopping())
                return 0;
            spin_pause();
            taken = load64_acquire(&buffer->taken); /* with the reader's store: it has read them */
        }
        copy_chunk(job, buffer->data + (written & (capacity - 1)), payload_source(&payload, i));
        payload_sent(&payload, i);
        written += job->size;
        store64_release(&buffer->written, written); /* with the reader's load */
    }
    return (double)(crew_await_done() - begin) / (double)job->count;
}

void bare_stream_partner(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t taken = first_position(job), written = taken;
    uint64_t end = taken + job->count * job->size, capacity = job->capacity;
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t wanted = taken + job->size + job->lag < end ? taken + job->size + job->lag : end;
        while (written < wanted) {
            if (stopping())
                return;
            spin_pause();
            written = load64_acquire(&buffer->written); /* with the writer's store */
        }
        if (!payload_is(&payload, buffer->data + (taken & (capacity - 1)), job->size, i))
            fail("streamed copy: a wrong byte in chunk %llu", (unsigned long long)i);
        taken += job->size;
        store64_release(&buffer->taken, taken); /* with the writer's load */
    }
    crew_done(now_ns());
}

struct bare_buffer bare_buffer(uint64_t capacity)
{
    return (struct bare_buffer){.data = buffer->data, .capacity = capacity};
}

void bare_copy(struct bare_buffer *bare, const void *bytes, uint64_t length)
{
    if (bare->offset + length > bare->capacity)
        bare->offset = 0;
    memcpy(bare->data + bare->offset, bytes, length);
    bare->offset += length;
}
