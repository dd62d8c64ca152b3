/*
 * Messages on their way to standard output. Long ones are written from where
 * they lie in the ring, short ones copied together first: a piece in a
 * gathering write costs more than a short copy.
 */
#ifndef MAPRING_TOOLS_OUTPUT_H
#define MAPRING_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "system.h"

#define OUTPUT_PIECES 512u
#define OUTPUT_COPIES 65536u

struct output {
    struct system_piece pieces[OUTPUT_PIECES];
    uint32_t count;
    uint32_t copied;
    uint64_t bytes;
    unsigned char copies[OUTPUT_COPIES];
};

/* Adds bytes, which must stay where they are until the flush. At most three times between looks at output_is_due(). */
void output_add(struct output *output, const void *data, uint64_t length);

/* Whether enough has come together to flush. */
bool output_is_due(const struct output *output);

/* Writes everything. Returns 0 or an outcome of system_write(). */
int output_flush(struct output *output);

#endif
