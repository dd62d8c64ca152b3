/*
 * What needs no liburing: an entry of a submission queue, which may be the caller's, and whether the kernel knows the
 * operation.
 */
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mapring/status.h>

#include "futexes.h"
#include "park.h"
#include "uring.h"

#define OPERATIONS 256

void linux_uring_fill(void *entry, const shared32 *word, uint32_t remembered, uint32_t bits)
{
    struct io_uring_sqe *operation = entry;
    memset(operation, 0, sizeof *operation);
    operation->opcode = LINUX_URING_FUTEX_WAIT;
    operation->fd = LINUX_FUTEX_32;
    operation->addr = (uint64_t)(uintptr_t)word;
    operation->addr2 = remembered;
    operation->addr3 = bits;
}

bool linux_uring_has_futex(int ring_fd)
{
    struct io_uring_probe *probe = calloc(1, sizeof *probe + OPERATIONS * sizeof probe->ops[0]);
    bool has = probe != NULL &&
               syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PROBE, probe, OPERATIONS) == 0 &&
               probe->last_op >= LINUX_URING_FUTEX_WAIT &&
               (probe->ops[LINUX_URING_FUTEX_WAIT].flags & IO_URING_OP_SUPPORTED) != 0;
    free(probe);
    return has;
}

bool platform_uring_is_there(void)
{
    struct io_uring_params params = {0};
    int ring_fd = (int)syscall(SYS_io_uring_setup, 1, &params);
    if (ring_fd < 0)
        return false;
    bool has = linux_uring_has_futex(ring_fd);
    close(ring_fd);
    return has;
}

void platform_uring_prepare(const struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                            void *entry)
{
    linux_uring_fill(entry, doorbell, remembered, parking->bit);
}
