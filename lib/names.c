/*
 * What names belong to, and clearing away those of the dead.
 */
#include <mapring/mapring.h>

#include "foreign.h"
#include "platform.h"
#include "validate.h"

int32_t mapring_kind(const char *name)
{
    int32_t status = validate_name(name);
    if (status < 0)
        return status;
    struct platform_target target = {.name = name};
    return foreign(platform_name_kind(&target));
}

int32_t mapring_sweep(void)
{
    return platform_sweep();
}
