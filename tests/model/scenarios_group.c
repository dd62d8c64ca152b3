#include "scenarios.h"

#include <stddef.h>

const struct model_program group_scenarios[] = {
    {.name = NULL},
};
