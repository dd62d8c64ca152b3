/*
 * Waiting on a futex by io_uring. The ring runs its completions when it is asked to, in the thread that uses it
 * (IORING_SETUP_DEFER_TASKRUN), and has a registered eventfd: in any other set-up the completion interrupts what the
 * thread is doing, or is never told.
 */
#include "uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include <mapring/status.h>

#define ENTRIES 4

struct linux_uring {
    struct io_uring ring;
    bool is_open;
    bool parked; /* a wait is under way */
};

static int32_t open_ring(struct linux_uring *uring, int event_fd)
{
    /* The flag lets one see without a system call whether a completion is to be run. */
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG};
    int error = -io_uring_queue_init_params(ENTRIES, &uring->ring, &params);
    if (error != 0)
        return error == EMFILE || error == ENFILE ? MAPRING_NO_DESCRIPTORS
               : error == ENOMEM                  ? MAPRING_NO_MEMORY
                                                  : MAPRING_UNSUPPORTED;
    uring->is_open = true;
    uring->parked = false;
    /* A sandbox may allow one of its system calls and refuse the next: so each is tried. */
    if (!linux_uring_has_futex(uring->ring.ring_fd) || io_uring_register_eventfd(&uring->ring, event_fd) != 0 ||
        io_uring_get_events(&uring->ring) != 0)
        return MAPRING_UNSUPPORTED;
    return MAPRING_OK;
}

static void close_ring(struct linux_uring *uring)
{
    if (uring->is_open)
        io_uring_queue_exit(&uring->ring);
    uring->is_open = false;
}

int32_t linux_uring_open(int event_fd, struct linux_uring **out)
{
    struct linux_uring *uring = calloc(1, sizeof *uring);
    if (uring == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = open_ring(uring, event_fd);
    if (status < 0) {
        linux_uring_close(uring);
        return status;
    }
    *out = uring;
    return MAPRING_OK;
}

void linux_uring_close(struct linux_uring *uring)
{
    if (uring == NULL)
        return;
    close_ring(uring);
    free(uring);
}

static int submit(struct linux_uring *uring, const shared32 *word, uint32_t remembered, uint32_t bits)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    if (entry == NULL)
        return -EBUSY;
    linux_uring_fill(entry, word, remembered, bits);
    return io_uring_submit(&uring->ring);
}

int32_t linux_uring_park(struct linux_uring *uring, const shared32 *word, uint32_t remembered, uint32_t bits,
                         int event_fd)
{
    if (uring->parked)
        return MAPRING_OK;
    int result = submit(uring, word, remembered, bits);
    if (result == -EEXIST) {
        /* The ring belongs to the thread that used it first. */
        close_ring(uring);
        int32_t status = open_ring(uring, event_fd);
        if (status < 0)
            return status;
        result = submit(uring, word, remembered, bits);
    }
    uring->parked = result == 1;
    return uring->parked ? MAPRING_OK : MAPRING_UNSUPPORTED;
}

bool linux_uring_reap(struct linux_uring *uring)
{
    struct io_uring_cqe *completion;
    if (uring == NULL || !uring->is_open)
        return false;
    bool reaped = false;
    int result;
    while ((result = io_uring_peek_cqe(&uring->ring, &completion)) == 0) {
        io_uring_cqe_seen(&uring->ring, completion);
        uring->parked = false;
        reaped = true;
    }
    /* Refused: to another thread than the one that used the ring first, or to all by now. Submitting finds out. */
    if (result != -EAGAIN && result != -EINTR)
        uring->parked = false;
    return reaped;
}
