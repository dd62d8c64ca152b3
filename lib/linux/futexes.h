/*
 * What newer kernels know of futexes, for building with the headers of older ones.
 */
#ifndef MAPRING_LIB_LINUX_FUTEXES_H
#define MAPRING_LIB_LINUX_FUTEXES_H

#include <linux/futex.h>
#include <stdint.h>

/* futex_waitv(2), since Linux 5.16. */
#define LINUX_SYS_FUTEX_WAITV 449

struct linux_futex_waitv {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

#define LINUX_FUTEX_32 2u /* a word of 32 bits, shared with other processes */

/* An operation of io_uring since Linux 6.7: the address in `addr`, the value in `addr2`, the bits in `addr3`, the
 * flags above in `fd`. */
#define LINUX_URING_FUTEX_WAIT 51

#endif
