/*
 * Private memory of the threads. Executions are broken off anywhere, so all of it goes at once when the next begins.
 */
#include <string.h>

#include "core.h"

#define HEAP_SIZE ((uint64_t)1 << 20)

static _Alignas(64) uint8_t heap[HEAP_SIZE];
static uint64_t used;

void heap_reset(void)
{
    used = 0;
}

void *model_allocate(uint64_t count, uint64_t size)
{
    uint64_t bytes = (count * size + 63) & ~(uint64_t)63;
    if (bytes > HEAP_SIZE - used)
        model_fail("more private memory than the model has");
    void *memory = heap + used;
    used += bytes;
    memset(memory, 0, bytes);
    return memory;
}
