/*
 * Who holds the producer up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool.h"

#define NAMED_MAX 8u

int fail_lagging(const char *name, const char *what, struct patience patience)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    uint32_t max = mapring_consumers_max();
    mapring_consumer_info *consumers = calloc(max, sizeof *consumers);
    int32_t count = consumers == NULL ? 0 : mapring_stat(name, NULL, &info, consumers, max);

    char who[NAMED_MAX * 80] = "";
    size_t used = 0;
    uint32_t lagging = 0;
    for (int32_t i = 0; i < count; i++) {
        if (!consumers[i].alive || consumers[i].lag_bytes == 0)
            continue;
        if (lagging < NAMED_MAX)
            used += (size_t)snprintf(who + used, sizeof who - used, "%spid %" PRIu32 " (%" PRIu64 " messages behind)",
                                     lagging == 0 ? "" : ", ", consumers[i].pid, consumers[i].lag_messages);
        lagging++;
    }
    free(consumers);

    char more[32] = "";
    if (lagging > NAMED_MAX)
        snprintf(more, sizeof more, " and %" PRIu32 " more", lagging - NAMED_MAX);
    return fail("'%s': %s within %s; waited for %s%s: stop who hangs, or allow more with --timeout", name, what,
                patience.text, lagging == 0 ? "consumers that are gone by now" : who, more);
}
