/*
 * What every call returns.
 *
 * A call returns an int32_t: zero or a positive count is success, a negative
 * value is one of the statuses below. Nothing is kept in errno or in
 * thread-local state. The values are part of the ABI and never change meaning.
 */
#ifndef MAPRING_STATUS_H
#define MAPRING_STATUS_H

#include <stdint.h>

#include "export.h"

MAPRING_BEGIN

enum {
    MAPRING_OK = 0,

    /* The call itself is wrong. */
    MAPRING_INVALID_ARGUMENT = -1,
    MAPRING_INVALID_OPTIONS = -2,
    MAPRING_INVALID_NAME = -3,
    MAPRING_INVALID_CAPACITY = -4,
    MAPRING_MESSAGE_TOO_LARGE = -5,
    MAPRING_BUFFER_TOO_SMALL = -6,
    MAPRING_CLAIM_OPEN = -7,
    MAPRING_NO_CLAIM = -8,
    MAPRING_NOT_READ = -9,
    MAPRING_UNRELEASED = -10,
    MAPRING_INVALID_SIZE = -11,
    MAPRING_MISALIGNED = -12,
    MAPRING_NOT_MAPPED = -13,
    MAPRING_NOT_LOCKED = -14,
    MAPRING_LOCKED = -15,

    /* The state of the ring, or of what is shared. */
    MAPRING_FULL = -20,
    MAPRING_TIMEOUT = -21,
    MAPRING_STREAM_ENDED = -22,
    MAPRING_NO_PRODUCER = -23,
    MAPRING_PRODUCER_EXISTS = -24,
    MAPRING_NO_SLOT = -25,
    MAPRING_LAPPED = -26,
    MAPRING_EVICTED = -27,
    MAPRING_DEMOTED = -28,
    MAPRING_START_AHEAD = -29,
    MAPRING_NAME_IN_USE = -30,
    MAPRING_NO_GROUP = -31,
    MAPRING_GROUP_DIFFERS = -32,
    MAPRING_HANDED_OVER = -33,
    MAPRING_BUSY = -34,
    MAPRING_ADDRESS_TAKEN = -35,
    MAPRING_CANCELLED = -36,

    /* The name, the file and what was found there. */
    MAPRING_NOT_FOUND = -40,
    MAPRING_EXISTS = -41,
    MAPRING_WRONG_KIND = -42,
    MAPRING_NOT_A_RING = -43,
    MAPRING_WRONG_VERSION = -44,
    MAPRING_WRONG_GEOMETRY = -45,
    MAPRING_WRONG_NAME = -46,
    MAPRING_TRUNCATED = -47,
    MAPRING_CORRUPT = -48,
    MAPRING_UNTRUSTED = -49,
    MAPRING_FOREIGN = -50,
    MAPRING_TOO_SMALL = -51,

    /* What the system refused. */
    MAPRING_PERMISSION = -60,
    MAPRING_NO_SPACE = -61,
    MAPRING_NO_MEMORY = -62,
    MAPRING_NO_DESCRIPTORS = -63,
    MAPRING_UNSUPPORTED = -64,
    MAPRING_SYSTEM_ERROR = -65
};

/*
 * The name of a status ("MAPRING_NOT_FOUND") and a sentence that says what
 * happened and what to do ("No ring of that name exists; ..."). Zero and every
 * positive value count as MAPRING_OK; a value that is no status gives
 * "MAPRING_UNKNOWN". Static strings in UTF-8, never NULL.
 *
 * Any thread, any time; does not block.
 */
MAPRING_API const char *mapring_status_name(int32_t status);
MAPRING_API const char *mapring_status_text(int32_t status);

MAPRING_END

#endif
