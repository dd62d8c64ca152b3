/*
 * Statuses of calls that are not about rings.
 */
#ifndef MAPRING_LIB_FOREIGN_H
#define MAPRING_LIB_FOREIGN_H

#include <stdint.h>

#include <mapring/status.h>

/* What is no ring is nothing of ours to those who looked for something else. */
static inline int32_t foreign(int32_t status)
{
    return status == MAPRING_NOT_A_RING ? MAPRING_FOREIGN : status;
}

#endif
