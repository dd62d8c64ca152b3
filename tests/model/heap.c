/*
 * Private memory of the threads. Executions are broken off anywhere, so all of it goes at once when the next begins.
 */
#include <string.h>

#include "core.h"

static uint64_t used;

void heap_reset(void)
{
    used = 0;
}

void *model_allocate(uint64_t count, uint64_t size)
{
    uint64_t bytes = (count * size + 63) & ~(uint64_t)63;
    if (bytes > MODEL_HEAP_SIZE - used)
        model_fail("more private memory than the model has");
    void *memory = model_shared(MODEL_HEAP_OFFSET + used);
    used += bytes;
    memset(memory, 0, bytes);
    return memory;
}
