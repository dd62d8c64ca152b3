#include "lines.h"

#include "payload.h"

struct lines {
    shared64 taken; /* by the reader */
    uint8_t unused0[120];
    _Alignas(4096) struct line lines[];
};

static struct lines *shared;

void lines_prepare(uint64_t capacity)
{
    shared = shared_memory(sizeof *shared + capacity);
}

struct lines_end lines_begin(const struct job *job)
{
    uint64_t position = load64_relaxed(&shared->taken);
    return (struct lines_end){.lines = shared->lines,
                              .mask = job->capacity / LINE_BYTES - 1,
                              .position = position,
                              .taken = position,
                              .known = position};
}

struct line *lines_room(struct lines_end *end)
{
    if (end->position - end->taken > end->mask) {
        end->taken = load64_acquire(&shared->taken); /* with lines_read(): it has read what is overwritten now */
        if (end->position - end->taken > end->mask)
            return NULL;
    }
    return &end->lines[end->position & end->mask];
}

void lines_written(struct lines_end *end, struct line *line)
{
    store64_release(&line->number, ++end->position); /* with lines_next() */
}

const struct line *lines_next(struct lines_end *end, uint64_t ahead)
{
    if (end->position >= end->known) {
        uint64_t wanted = end->position + ahead;
        /* With lines_written(): what stands before the number is there, and so are all earlier lines. */
        if (load64_acquire(&end->lines[wanted & end->mask].number) != wanted + 1)
            return NULL;
        end->known = wanted + 1;
    }
    return &end->lines[end->position & end->mask];
}

unsigned lines_there(const struct lines_end *end, unsigned most)
{
    unsigned count = 0;
    while (count < most) {
        uint64_t wanted = end->position + count;
        if (load64_acquire(&end->lines[wanted & end->mask].number) != wanted + 1) /* with lines_written() */
            break;
        count++;
    }
    return count;
}

void lines_read(struct lines_end *end)
{
    end->position++;
    if (end->position - end->taken <= end->mask / 8 && end->position != end->known)
        return;
    end->taken = end->position;
    store64_release(&shared->taken, end->position); /* with lines_room() */
}

void lines_end_job(const struct lines_end *end)
{
    store64_release(&shared->taken, end->position); /* with lines_begin() of the next job, through the conductor */
}

double lines_driver(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, LINE_BYTES);
    struct lines_end end = lines_begin(job);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        struct line *line;
        while ((line = lines_room(&end)) == NULL) {
            if (stopping())
                return 0;
            spin_pause();
        }
        const uint64_t *source = payload.sources + (i & payload.mask) * payload.words;
        for (unsigned word = 1; word < LINE_BYTES / 8; word++)
            line->words[word - 1] = source[word];
        lines_written(&end, line);
    }
    return (double)(crew_await_done() - begin) / (double)job->count;
}

/* All but the last word, which says that the line is there. */
static inline void compare(const struct line *line, uint64_t seed, struct payload_wrong *wrong)
{
    payload_line expected;
    payload_line_set(&expected, seed + 1);
    payload_line differing = *(const payload_line *)line->words ^ expected;
    differing[PAYLOAD_STEP - 1] = 0;
    wrong->lines |= differing;
}

void lines_partner(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, LINE_BYTES);
    struct lines_end end = lines_begin(job);
    uint64_t ahead = job->lag / LINE_BYTES;
    struct payload_wrong wrong = {.words = 0};
    for (uint64_t i = 0; i < job->count; i++) {
        const struct line *line;
        uint64_t rest = job->count - i - 1;
        while ((line = lines_next(&end, ahead < rest ? ahead : rest)) == NULL) {
            if (stopping())
                return;
            spin_pause();
        }
        compare(line, payload_seed(i & payload.mask), &wrong);
        if ((i % PAYLOAD_LOOK == 0 || rest == 0) && payload_any(&wrong))
            fail("lines: a wrong byte in message %llu or one of those before it", (unsigned long long)i);
        lines_read(&end);
    }
    lines_end_job(&end);
    crew_done(now_ns());
}
