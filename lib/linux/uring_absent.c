/*
 * For a library that was built without liburing.
 */
#include "uring.h"

#include <mapring/status.h>

int32_t linux_uring_open(int event_fd, struct linux_uring **out)
{
    (void)event_fd;
    (void)out;
    return MAPRING_UNSUPPORTED;
}

void linux_uring_close(struct linux_uring *uring)
{
    (void)uring;
}

int32_t linux_uring_park(struct linux_uring *uring, const shared32 *word, uint32_t remembered, uint32_t bits,
                         int event_fd)
{
    (void)uring;
    (void)word;
    (void)remembered;
    (void)bits;
    (void)event_fd;
    return MAPRING_UNSUPPORTED;
}

bool linux_uring_reap(struct linux_uring *uring)
{
    (void)uring;
    return false;
}
