/*
 * One thread at a time in the waits of a handle, and none when it is closed.
 */
#include <mapring/status.h>

#include "wait.h"

int32_t wait_begin(struct sleeper *sleeper)
{
    return compare_and_swap64(&sleeper->busy, 0, 1) ? MAPRING_OK : MAPRING_BUSY;
}

void wait_end(struct sleeper *sleeper)
{
    /* Release: pairs with the acquire load in wait_shut(), after which the handle is freed. */
    store64_release(&sleeper->busy, 0);
}

#define SHUT_PAUSE_NS 20000u

void wait_shut(struct sleeper *sleeper)
{
    /* Pairs with wait_end(). */
    while (load64_acquire(&sleeper->busy) != 0) {
        wait_cancel(sleeper);
        platform_sleep(SHUT_PAUSE_NS);
    }
}
