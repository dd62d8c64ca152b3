/*
 * How much went through, and how fast.
 */
#ifndef MAPRING_TOOLS_PROGRESS_H
#define MAPRING_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    uint64_t messages;
    uint64_t bytes;
    uint64_t first_ns; /* just before the first message; 0: none yet */
    uint64_t last_ns;
    bool live; /* show it while it runs */
    uint64_t shown_ns;
    uint64_t shown_messages;
    uint64_t shown_bytes;
};

/* To be called before a batch of messages, and after it; the counters are the caller's to add to. */
void progress_before(struct progress *progress);
void progress_after(struct progress *progress);

/* Refreshes the live display, if it is on and due. */
void progress_show(struct progress *progress);

/* Takes the live display off the terminal, before something else is printed. */
void progress_erase(void);

/* Prints the totals to standard error: "mapring: <verb> ... messages, ...". */
void progress_total(const struct progress *progress, const char *verb);

#endif
