/*
 * What a handle keeps to sleep and to wake others (park.c, descriptor.c).
 */
#ifndef MAPRING_LIB_LINUX_PARK_H
#define MAPRING_LIB_LINUX_PARK_H

#include <stdint.h>

#include "../platform.h"

/* The way to another's descriptor, kept open so that waking needs no descriptor more; for some, which those who say
 * that they have one cannot increase. */
#define LINUX_LINKS_MAX 64u

struct linux_link {
    uint64_t address; /* 0: none */
    int fd;           /* -1: it could not be opened */
};

struct platform_parking {
    uint32_t bit; /* of a futex there are 32: some sleepers share one */
    uint32_t link_count;
    struct linux_link links[]; /* of sleeper n: n % link_count */
};

#endif
