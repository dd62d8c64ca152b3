#include "feed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "system.h"

#define BUFFER_SIZE 131072u
#define FRAME_HEAD 4u

/* From this size on blocks are read into the ring itself: then a copy costs more than a system call. */
#define DIRECT_MIN 4096u

/* What was read and not published yet. */
struct input {
    unsigned char *bytes;
    size_t size;
    size_t used;
    size_t searched; /* so many bytes at the front are known to hold no newline */
};

/* The message at the front of some bytes: `skip` bytes before it, `total` with all that belongs to it. */
struct part {
    size_t skip;
    size_t length;
    size_t total;
};

enum found { FOUND_MESSAGE, FOUND_INCOMPLETE, FOUND_TOO_LONG };

int feed_fail_too_long(const struct feed *feed, const char *what)
{
    return fail("'%s': %s is longer than the %" PRIu64 " bytes that a message can have in this ring of %" PRIu64
                " bytes; make a larger ring with --capacity",
                feed->name, what, mapring_message_max(feed->capacity), feed->capacity);
}

/*
 * Claims room. `ahead`: there may be no message for it yet, and as long as
 * there is no input this is no wait for room. MAPRING_FULL: no room in time, or the process is to stop.
 */
static int32_t claim(const struct feed *feed, uint64_t length, bool ahead, void **payload)
{
    int32_t status = mapring_claim(feed->producer, length, 0, payload);
    if (status != MAPRING_FULL)
        return status;
    if (ahead)
        system_await_input();
    uint64_t end = patience_end(feed->patience);
    do {
        status = mapring_claim(feed->producer, length, patience_slice(end), payload);
        progress_show(feed->progress);
    } while (status == MAPRING_FULL && !system_stopped() && !patience_is_over(end));
    return status;
}

static int fail_claim(const struct feed *feed, int32_t status)
{
    if (status == MAPRING_FULL && system_stopped())
        return EXIT_FAILED;
    if (status == MAPRING_FULL)
        return fail_lagging(feed->name, "no room for the next message", feed->patience);
    return fail_status(feed->name, status);
}

static int fail_read(int64_t outcome)
{
    if (outcome == SYSTEM_STOPPED)
        return EXIT_FAILED;
    return fail("cannot read standard input: %s", system_error());
}

static uint64_t frame_length(const unsigned char *head)
{
    return head[0] | (uint64_t)head[1] << 8 | (uint64_t)head[2] << 16 | (uint64_t)head[3] << 24;
}

static enum found find_message(const struct feed *feed, const unsigned char *bytes, size_t count, size_t searched,
                               struct part *part)
{
    uint64_t max = mapring_message_max(feed->capacity);
    uint64_t length;
    part->skip = 0;
    switch (feed->framing) {
    case FRAMING_LINES: {
        const unsigned char *newline = memchr(bytes + searched, '\n', count - searched);
        length = newline == NULL ? count : (uint64_t)(newline - bytes);
        part->total = (size_t)length + 1;
        break;
    }
    case FRAMING_FRAMES:
        if (count < FRAME_HEAD)
            return FOUND_INCOMPLETE;
        length = frame_length(bytes);
        part->skip = FRAME_HEAD;
        part->total = FRAME_HEAD + (size_t)length;
        break;
    default:
        length = feed->block_size;
        part->total = (size_t)length;
    }
    part->length = (size_t)length;
    if (length > max)
        return FOUND_TOO_LONG;
    return part->total <= count ? FOUND_MESSAGE : FOUND_INCOMPLETE;
}

static int32_t publish(const struct feed *feed, const unsigned char *bytes, size_t length)
{
    void *payload;
    int32_t status = claim(feed, length, false, &payload);
    if (status != MAPRING_OK)
        return status;
    memcpy(payload, bytes, length);
    feed->progress->messages++;
    feed->progress->bytes += length;
    return mapring_commit(feed->producer, length, 0, MAPRING_MORE);
}

/* Publishes the complete messages in the buffer, as one run, and leaves the rest in it. */
static int publish_complete(const struct feed *feed, struct input *input)
{
    size_t done = 0;
    size_t searched = input->searched;
    struct part part;
    enum found found;
    progress_before(feed->progress);
    while ((found = find_message(feed, input->bytes + done, input->used - done, searched, &part)) == FOUND_MESSAGE) {
        int32_t status = publish(feed, input->bytes + done + part.skip, part.length);
        if (status != MAPRING_OK)
            return fail_claim(feed, status);
        done += part.total;
        searched = 0;
    }
    mapring_end_run(feed->producer);
    progress_after(feed->progress);
    if (found == FOUND_TOO_LONG)
        return feed_fail_too_long(feed, feed->framing == FRAMING_LINES ? "a line" : "a frame");
    input->used -= done;
    input->searched = input->used;
    memmove(input->bytes, input->bytes + done, input->used);
    return EXIT_DONE;
}

/* What is left at the end of the input. */
static int publish_rest(const struct feed *feed, const struct input *input)
{
    if (input->used == 0)
        return EXIT_DONE;
    if (feed->framing == FRAMING_FRAMES)
        return fail("'%s': the input ends inside a frame, %" PRIu64
                    " bytes after its start; what came before it was published",
                    feed->name, (uint64_t)input->used);
    int32_t status = publish(feed, input->bytes, input->used);
    if (status != MAPRING_OK)
        return fail_claim(feed, status);
    mapring_end_run(feed->producer);
    progress_after(feed->progress);
    return EXIT_DONE;
}

static bool grow(struct input *input)
{
    size_t size = input->size == 0 ? BUFFER_SIZE : input->size * 2;
    unsigned char *bytes = realloc(input->bytes, size);
    if (bytes == NULL)
        return false;
    input->bytes = bytes;
    input->size = size;
    return true;
}

static int feed_through(const struct feed *feed, struct input *input)
{
    for (;;) {
        if (input->used == input->size && !grow(input))
            return fail_status(feed->name, MAPRING_NO_MEMORY);
        int64_t count = system_read(input->bytes + input->used, input->size - input->used);
        if (count < 0)
            return fail_read(count);
        if (count == 0)
            return publish_rest(feed, input);
        input->used += (size_t)count;
        int exit_status = publish_complete(feed, input);
        if (exit_status != EXIT_DONE)
            return exit_status;
    }
}

static int feed_direct(const struct feed *feed)
{
    for (;;) {
        void *payload;
        int32_t status = claim(feed, feed->block_size, true, &payload);
        if (status != MAPRING_OK)
            return fail_claim(feed, status);
        uint64_t filled = 0;
        int64_t count;
        do {
            count = system_read((unsigned char *)payload + filled, (size_t)(feed->block_size - filled));
            if (count < 0)
                return fail_read(count);
            progress_before(feed->progress);
            filled += (uint64_t)count;
        } while (count > 0 && filled < feed->block_size);
        if (filled == 0) {
            mapring_abandon(feed->producer);
            return EXIT_DONE;
        }
        mapring_commit(feed->producer, filled, 0, 0);
        feed->progress->messages++;
        feed->progress->bytes += filled;
        progress_after(feed->progress);
    }
}

int feed_run(const struct feed *feed)
{
    if (feed->framing == FRAMING_RAW && feed->block_size >= DIRECT_MIN)
        return feed_direct(feed);
    struct input input = {0};
    int exit_status = feed_through(feed, &input);
    free(input.bytes);
    return exit_status;
}
