/*
 * Statuses and the constants as functions.
 */
#include <stdio.h>
#include <string.h>

#include "rings.h"

TestSuite(statuses, .timeout = 10);

struct expected {
    int32_t status;
    const char *name;
};

#define STATUS(status)                                                                                                 \
    {                                                                                                                  \
        status, #status                                                                                                \
    }

static const struct expected statuses[] = {
    STATUS(MAPRING_OK),
    STATUS(MAPRING_INVALID_ARGUMENT),
    STATUS(MAPRING_INVALID_OPTIONS),
    STATUS(MAPRING_INVALID_NAME),
    STATUS(MAPRING_INVALID_CAPACITY),
    STATUS(MAPRING_MESSAGE_TOO_LARGE),
    STATUS(MAPRING_BUFFER_TOO_SMALL),
    STATUS(MAPRING_CLAIM_OPEN),
    STATUS(MAPRING_NO_CLAIM),
    STATUS(MAPRING_NOT_READ),
    STATUS(MAPRING_UNRELEASED),
    STATUS(MAPRING_INVALID_SIZE),
    STATUS(MAPRING_MISALIGNED),
    STATUS(MAPRING_NOT_MAPPED),
    STATUS(MAPRING_NOT_LOCKED),
    STATUS(MAPRING_LOCKED),
    STATUS(MAPRING_FULL),
    STATUS(MAPRING_TIMEOUT),
    STATUS(MAPRING_STREAM_ENDED),
    STATUS(MAPRING_NO_PRODUCER),
    STATUS(MAPRING_PRODUCER_EXISTS),
    STATUS(MAPRING_NO_SLOT),
    STATUS(MAPRING_BUSY),
    STATUS(MAPRING_ADDRESS_TAKEN),
    STATUS(MAPRING_CANCELLED),
    STATUS(MAPRING_LAPPED),
    STATUS(MAPRING_EVICTED),
    STATUS(MAPRING_DEMOTED),
    STATUS(MAPRING_START_AHEAD),
    STATUS(MAPRING_NAME_IN_USE),
    STATUS(MAPRING_NO_GROUP),
    STATUS(MAPRING_GROUP_DIFFERS),
    STATUS(MAPRING_HANDED_OVER),
    STATUS(MAPRING_NOT_FOUND),
    STATUS(MAPRING_EXISTS),
    STATUS(MAPRING_WRONG_KIND),
    STATUS(MAPRING_NOT_A_RING),
    STATUS(MAPRING_WRONG_VERSION),
    STATUS(MAPRING_WRONG_GEOMETRY),
    STATUS(MAPRING_WRONG_NAME),
    STATUS(MAPRING_TRUNCATED),
    STATUS(MAPRING_CORRUPT),
    STATUS(MAPRING_UNTRUSTED),
    STATUS(MAPRING_FOREIGN),
    STATUS(MAPRING_TOO_SMALL),
    STATUS(MAPRING_PERMISSION),
    STATUS(MAPRING_NO_SPACE),
    STATUS(MAPRING_NO_MEMORY),
    STATUS(MAPRING_NO_DESCRIPTORS),
    STATUS(MAPRING_UNSUPPORTED),
    STATUS(MAPRING_SYSTEM_ERROR),
};
#define STATUS_COUNT (sizeof statuses / sizeof statuses[0])

Test(statuses, each_has_its_name_and_sentence)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        cr_assert_str_eq(mapring_status_name(statuses[i].status), statuses[i].name);
        const char *text = mapring_status_text(statuses[i].status);
        size_t length = strlen(text);
        cr_assert_gt(length, 5, "%s", statuses[i].name);
        cr_assert_eq(text[length - 1], '.', "%s", statuses[i].name);
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(text, mapring_status_text(statuses[j].status));
    }
}

Test(statuses, counts_are_success)
{
    cr_assert_str_eq(mapring_status_name(1), "MAPRING_OK");
    cr_assert_str_eq(mapring_status_name(INT32_MAX), "MAPRING_OK");
    cr_assert_str_eq(mapring_status_text(17), mapring_status_text(MAPRING_OK));
}

Test(statuses, others_are_unknown)
{
    size_t known = 0;
    for (int32_t status = -1000; status <= 0; status++) {
        if (strcmp(mapring_status_name(status), "MAPRING_UNKNOWN") != 0)
            known++;
        else
            cr_assert_gt(strlen(mapring_status_text(status)), 5);
    }
    cr_assert_eq(known, STATUS_COUNT, "the list above is complete");
    cr_assert_str_eq(mapring_status_name(INT32_MIN), "MAPRING_UNKNOWN");
}

Test(statuses, constants_are_functions)
{
    cr_assert_eq(mapring_forever(), MAPRING_FOREVER);
    cr_assert_eq(mapring_name_max(), MAPRING_NAME_MAX);
    cr_assert_eq(mapring_own_name_max(), MAPRING_OWN_NAME_MAX);
    cr_assert_eq(mapring_groups_max(), 16);
    cr_assert_eq(mapring_abi_version(), MAPRING_ABI_VERSION);
    cr_assert_eq(mapring_format_version(), MAPRING_FORMAT_VERSION);
    cr_assert_eq(mapring_capacity_min(), 4096);
    cr_assert_eq(mapring_capacity_max(), (uint64_t)16 << 30);
    cr_assert_eq(mapring_capacity_default() & (mapring_capacity_default() - 1), 0);
    cr_assert_geq(mapring_capacity_default(), mapring_capacity_min());
    cr_assert_leq(mapring_capacity_default(), mapring_capacity_max());
    cr_assert_leq(mapring_consumers_default(), mapring_consumers_max());
    int major, minor, patch;
    char rest;
    cr_assert_eq(sscanf(mapring_version(), "%d.%d.%d%c", &major, &minor, &patch, &rest), 3);
}

Test(statuses, longest_messages)
{
    cr_assert_eq(mapring_message_max(0), 0);
    cr_assert_eq(mapring_message_max(4095), 0);
    cr_assert_eq(mapring_message_max(12288), 0);
    cr_assert_eq(mapring_message_max(UINT64_MAX), 0);
    for (uint64_t capacity = 4096; capacity <= (uint64_t)2 << 30; capacity *= 2)
        cr_assert_eq(mapring_message_max(capacity), capacity / 4);
    cr_assert_eq(mapring_message_max((uint64_t)4 << 30), ((uint64_t)1 << 30) - 8);
    cr_assert_eq(mapring_message_max((uint64_t)16 << 30), ((uint64_t)1 << 30) - 8);
}
