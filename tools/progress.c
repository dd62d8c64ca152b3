#include "progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "system.h"

#define REFRESH_NS 250000000u

/* Columns that the live display occupies now. */
static int shown_columns;

void progress_before(struct progress *progress)
{
    if (progress->first_ns == 0)
        progress->first_ns = progress->last_ns = progress->shown_ns = system_clock_ns();
}

void progress_after(struct progress *progress)
{
    progress->last_ns = system_clock_ns();
    progress_show(progress);
}

void progress_show(struct progress *progress)
{
    if (!progress->live || progress->first_ns == 0)
        return;
    uint64_t now = system_clock_ns();
    uint64_t elapsed = now - progress->shown_ns;
    if (elapsed < REFRESH_NS)
        return;
    double seconds = (double)elapsed / 1e9;
    int columns = fprintf(stderr, "\r%" PRIu64 " messages, %.0f messages/s, %.1f MB/s", progress->messages,
                          (double)(progress->messages - progress->shown_messages) / seconds,
                          (double)(progress->bytes - progress->shown_bytes) / seconds / 1e6);
    if (columns < shown_columns)
        fprintf(stderr, "%*s", shown_columns - columns, "");
    else
        shown_columns = columns;
    fflush(stderr);
    progress->shown_ns = now;
    progress->shown_messages = progress->messages;
    progress->shown_bytes = progress->bytes;
}

void progress_erase(void)
{
    if (shown_columns > 0)
        fprintf(stderr, "\r%*s\r", shown_columns, "");
    shown_columns = 0;
}

void progress_total(const struct progress *progress, const char *verb)
{
    double seconds = (double)(progress->last_ns - progress->first_ns) / 1e9;
    fprintf(stderr, "mapring: %s %" PRIu64 " messages, %" PRIu64 " bytes in %.6f s", verb, progress->messages,
            progress->bytes, seconds);
    if (seconds > 0)
        fprintf(stderr, ": %.0f messages/s, %.3f GB/s", (double)progress->messages / seconds,
                (double)progress->bytes / seconds / 1e9);
    fputc('\n', stderr);
}
