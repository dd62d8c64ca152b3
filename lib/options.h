/*
 * Checks that the option structs share.
 */
#ifndef MAPRING_LIB_OPTIONS_H
#define MAPRING_LIB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

static inline bool all_zero(const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        if (byte[i] != 0)
            return false;
    return true;
}

#endif
