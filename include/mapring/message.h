/*
 * Messages and the limits of a ring.
 */
#ifndef MAPRING_MESSAGE_H
#define MAPRING_MESSAGE_H

#include <stdint.h>

#include "export.h"

MAPRING_BEGIN

/*
 * One message, as it is handed in and out. The struct never changes size.
 *
 * `data` points to `length` bytes and is 8-byte aligned where the library
 * provides it. `tag` is 32 bits of the producer's own choosing, carried with
 * the message. `sequence` counts messages from the ring's first on, starting at 0; it and `flags` are set on
 * reading and ignored on publishing.
 */
typedef struct mapring_message {
    const void *data;
    uint64_t length; /* bytes */
    uint64_t sequence;
    uint32_t tag;
    uint32_t flags; /* MAPRING_REDELIVERED or 0 */
} mapring_message;

/* Flags of a message that was read. */
enum {
    /* Another member of the group had it, and died or left before releasing it: it may have acted on it. */
    MAPRING_REDELIVERED = 1
};

/* Time limits are in nanoseconds, counted from the call on, by a clock that runs on while the date is set. 0 means: do
 * not wait. Negative is MAPRING_INVALID_ARGUMENT. */
#define MAPRING_FOREVER INT64_MAX

/* Bytes in a name, without the terminating zero: of a ring; of a consumer or a group. */
#define MAPRING_NAME_MAX 200
#define MAPRING_OWN_NAME_MAX 63

/*
 * The figures that callers need, for those who cannot read the macros:
 * MAPRING_FOREVER, MAPRING_NAME_MAX, MAPRING_OWN_NAME_MAX; the smallest (4 KiB), largest (16 GiB)
 * and default capacity of a ring in bytes; the largest and default number of
 * consumer slots; the number of groups that a ring can have (16); the longest message that a ring of this capacity
 * takes, which is a quarter of the capacity, and at most 1 GiB - 8 (0 for a capacity that no ring can have).
 *
 * Any thread, any time; do not block.
 */
MAPRING_API int64_t mapring_forever(void);
MAPRING_API uint32_t mapring_name_max(void);
MAPRING_API uint32_t mapring_own_name_max(void);
MAPRING_API uint64_t mapring_capacity_min(void);
MAPRING_API uint64_t mapring_capacity_max(void);
MAPRING_API uint64_t mapring_capacity_default(void);
MAPRING_API uint32_t mapring_consumers_max(void);
MAPRING_API uint32_t mapring_consumers_default(void);
MAPRING_API uint32_t mapring_groups_max(void);
MAPRING_API uint64_t mapring_message_max(uint64_t capacity);

MAPRING_END

#endif
