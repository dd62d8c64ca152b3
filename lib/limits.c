/*
 * The constants of the interface as functions.
 */
#include <mapring/mapring.h>

#include "layout.h"
#include "record.h"
#include "validate.h"

const char *mapring_version(void)
{
    return MAPRING_VERSION;
}

int32_t mapring_abi_version(void)
{
    return MAPRING_ABI_VERSION;
}

int32_t mapring_format_version(void)
{
    return MAPRING_FORMAT_VERSION;
}

int64_t mapring_forever(void)
{
    return MAPRING_FOREVER;
}

uint32_t mapring_name_max(void)
{
    return MAPRING_NAME_MAX;
}

uint32_t mapring_own_name_max(void)
{
    return MAPRING_OWN_NAME_MAX;
}

uint64_t mapring_capacity_min(void)
{
    return CAPACITY_MIN;
}

uint64_t mapring_capacity_max(void)
{
    return CAPACITY_MAX;
}

uint64_t mapring_capacity_default(void)
{
    return CAPACITY_DEFAULT;
}

uint32_t mapring_consumers_max(void)
{
    return SLOTS_MAX;
}

uint32_t mapring_consumers_default(void)
{
    return SLOTS_DEFAULT;
}

uint32_t mapring_groups_max(void)
{
    return GROUPS_MAX;
}

uint64_t mapring_message_max(uint64_t capacity)
{
    return validate_capacity(capacity) == MAPRING_OK ? message_length_max(capacity) : 0;
}
