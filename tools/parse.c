/*
 * Numbers, sizes and durations on the command line. Nothing is guessed: what
 * is not written exactly as documented is refused.
 */
#include <string.h>

#include "tool.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {{"", 1}, {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}, {NULL, 0}};

static const struct unit count_units[] = {{"", 1}, {NULL, 0}};

static const struct unit duration_units[] = {{"us", 1000},       {"ms", 1000000},      {"s", 1000000000},
                                             {"m", 60000000000}, {"h", 3600000000000}, {NULL, 0}};

static bool parse(const char *text, const struct unit *unit, uint64_t maximum, uint64_t *value)
{
    uint64_t number = 0;
    const char *digit = text;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        uint64_t add = (uint64_t)(*digit - '0');
        if (number > (maximum - add) / 10)
            return false;
        number = number * 10 + add;
    }
    if (digit == text)
        return false;
    while (unit->name != NULL && strcmp(unit->name, digit) != 0)
        unit++;
    if (unit->name == NULL || number > maximum / unit->factor)
        return false;
    *value = number * unit->factor;
    return true;
}

bool parse_count(const char *text, uint64_t *count)
{
    return parse(text, count_units, UINT64_MAX, count);
}

bool parse_size(const char *text, uint64_t *bytes)
{
    return parse(text, size_units, UINT64_MAX, bytes);
}

/* Decimal, or hexadecimal behind 0x. */
static bool parse_word(const char *text, uint32_t *word)
{
    bool hexadecimal = text[0] == '0' && text[1] == 'x';
    const char *digit = hexadecimal ? text + 2 : text;
    uint64_t value = 0;
    if (*digit == 0)
        return false;
    for (; *digit != 0; digit++) {
        static const char digits[] = "0123456789abcdef";
        const char *found = strchr(digits, *digit | 0x20);
        uint64_t base = hexadecimal ? 16 : 10;
        uint64_t add = found == NULL ? base : (uint64_t)(found - digits);
        if (add >= base || value * base + add > UINT32_MAX)
            return false;
        value = value * base + add;
    }
    *word = (uint32_t)value;
    return true;
}

bool parse_tag(const char *text, uint32_t *mask, uint32_t *value)
{
    const char *slash = strchr(text, '/');
    *mask = UINT32_MAX;
    if (slash == NULL)
        return parse_word(text, value);
    char first[16];
    size_t length = (size_t)(slash - text);
    if (length >= sizeof first)
        return false;
    memcpy(first, text, length);
    first[length] = 0;
    return parse_word(first, mask) && parse_word(slash + 1, value) && (*value & ~*mask) == 0;
}

bool parse_duration(const char *text, int64_t *nanoseconds)
{
    uint64_t value;
    if (!parse(text, duration_units, (uint64_t)INT64_MAX, &value))
        return false;
    *nanoseconds = (int64_t)value;
    return true;
}
