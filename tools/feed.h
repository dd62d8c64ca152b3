/*
 * Standard input, cut into messages.
 */
#ifndef MAPRING_TOOLS_FEED_H
#define MAPRING_TOOLS_FEED_H

#include "progress.h"
#include "tool.h"

enum framing {
    FRAMING_LINES, /* a newline ends each message and is not part of it */
    FRAMING_RAW,   /* blocks of one size; on reading, nothing between messages */
    FRAMING_FRAMES /* a length, 4 bytes little-endian, before each message */
};

struct feed {
    const char *name;
    mapring_producer *producer;
    uint64_t capacity;
    enum framing framing;
    uint64_t block_size; /* FRAMING_RAW */
    struct patience patience;
    struct progress *progress;
};

/*
 * Publishes standard input to its end. Whatever is complete in what one read
 * returned is published before the next read. Returns EXIT_DONE, or EXIT_FAILED after saying why, or
 * without a word when the process is to stop.
 */
int feed_run(const struct feed *feed);

/* Says that a message is longer than the ring takes. Returns EXIT_FAILED. */
int feed_fail_too_long(const struct feed *feed, const char *what);

#endif
