#include "output.h"

#include <string.h>

#define ADDS 3u
#define COPY_MAX 512u
#define DUE_BYTES 262144u

void output_add(struct output *output, const void *data, uint64_t length)
{
    if (length == 0)
        return;
    output->bytes += length;
    if (length <= COPY_MAX) {
        unsigned char *copy = output->copies + output->copied;
        memcpy(copy, data, (size_t)length);
        output->copied += (uint32_t)length;
        struct system_piece *last = output->count == 0 ? NULL : &output->pieces[output->count - 1];
        if (last != NULL && (const unsigned char *)last->data + last->length == copy) {
            last->length += (size_t)length;
            return;
        }
        data = copy;
    }
    output->pieces[output->count++] = (struct system_piece){data, (size_t)length};
}

bool output_is_due(const struct output *output)
{
    return output->bytes >= DUE_BYTES || output->count > OUTPUT_PIECES - ADDS ||
           output->copied > OUTPUT_COPIES - ADDS * COPY_MAX;
}

int output_flush(struct output *output)
{
    int outcome = output->count == 0 ? 0 : system_write(output->pieces, output->count);
    output->count = 0;
    output->copied = 0;
    output->bytes = 0;
    return outcome;
}
