#include "payload.h"

#include <stdlib.h>

#include "bench.h"

/* Enough sources to keep the number away from the copy, few enough to stay in the first cache. */
#define PAYLOAD_WARM_BYTES 8192u

/* Copies whose source and destination agree in the lower 12 bits of their addresses would be slow for that alone. */
#define STAGGER 1088u

static _Thread_local uint64_t *storage;

void payload_prepare(struct payload *payload, uint64_t size)
{
    uint64_t count = 1;
    if (storage == NULL && (storage = aligned_alloc(4096, PAYLOAD_MAX + 4096)) == NULL)
        fail("no memory for messages");
    while (count < PAYLOAD_SOURCES && 2 * count * size <= PAYLOAD_WARM_BYTES)
        count *= 2;
    payload->words = size / 8;
    payload->mask = count - 1;
    payload->sources = storage + STAGGER / 8;
    for (uint64_t source = 0; source < count; source++)
        payload_compose(payload, payload->sources + source * payload->words, source);
}
