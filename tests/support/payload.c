#include "payload.h"

#include <stdlib.h>
#include <string.h>

/* splitmix64. */
uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void payload_fill(void *to, uint64_t length, uint64_t seed)
{
    uint8_t *bytes = to;
    for (uint64_t i = 0; i < length; i += 8) {
        uint64_t word = random_next(&seed);
        memcpy(bytes + i, &word, length - i < 8 ? length - i : 8);
    }
}

bool payload_matches(const void *data, uint64_t length, uint64_t seed)
{
    const uint8_t *bytes = data;
    for (uint64_t i = 0; i < length; i += 8) {
        uint64_t word = random_next(&seed);
        if (memcmp(bytes + i, &word, length - i < 8 ? length - i : 8) != 0)
            return false;
    }
    return true;
}

uint64_t test_length(void)
{
    const char *length = getenv("MAPRING_TEST_LENGTH");
    uint64_t value = length == NULL ? 1 : strtoull(length, NULL, 10);
    return value == 0 ? 1 : value;
}
