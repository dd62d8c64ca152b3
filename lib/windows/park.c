/*
 * Parking on named events: one for each sleeper, reset when it wakes. (The
 * address waits of Windows do not cross processes.) Who sleeps makes its own when it opens the ring; who wakes opens
 * those of others when it first needs them.
 *
 * An event that is set while its sleeper is awake stays set: the next sleep is then a short one.
 */
#include "win32.h"

#include <stdlib.h>

#include <mapring/mapring.h>

struct platform_parking {
    uint64_t ring_id[2];
    uint32_t self;
    HANDLE events[SLOTS_MAX + 1];
};

int32_t platform_parking_open(const uint64_t ring_id[2], uint32_t self, uint32_t last, struct platform_parking **out)
{
    (void)last;
    if (self > SLOTS_MAX)
        return MAPRING_INVALID_ARGUMENT;
    struct platform_parking *parking = calloc(1, sizeof *parking);
    if (parking == NULL)
        return MAPRING_NO_MEMORY;
    parking->ring_id[0] = ring_id[0];
    parking->ring_id[1] = ring_id[1];
    parking->self = self;
    wchar_t name[WIN32_NAME_SIZE];
    win32_ring_name(ring_id, L"wake", self, name);
    /* There is one already if somebody still has it from who was this sleeper before. */
    parking->events[self] = CreateEventW(NULL, FALSE, FALSE, name);
    if (parking->events[self] == NULL) {
        int32_t status = win32_status(GetLastError());
        free(parking);
        return status;
    }
    *out = parking;
    return MAPRING_OK;
}

void platform_parking_close(struct platform_parking *parking)
{
    if (parking == NULL)
        return;
    for (uint32_t i = 0; i <= SLOTS_MAX; i++)
        if (parking->events[i] != NULL)
            CloseHandle(parking->events[i]);
    free(parking);
}

void platform_park(struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                   uint64_t deadline_ns)
{
    /* A waker changes the doorbell, then sets the event: one of the two is seen. */
    if (load32_acquire(doorbell) != remembered)
        return;
    WaitForSingleObject(parking->events[parking->self], win32_milliseconds_until(deadline_ns));
}

void platform_wake(struct platform_parking *parking, const shared32 *doorbell, uint64_t sleepers, uint32_t first,
                   uint32_t last)
{
    (void)doorbell;
    for (uint32_t i = first; i <= last && i <= SLOTS_MAX; i++) {
        if ((sleepers & sleeper_bit(i)) == 0)
            continue;
        if (parking->events[i] == NULL) {
            wchar_t name[WIN32_NAME_SIZE];
            win32_ring_name(parking->ring_id, L"wake", i, name);
            parking->events[i] = OpenEventW(EVENT_MODIFY_STATE, FALSE, name);
        }
        if (parking->events[i] != NULL)
            SetEvent(parking->events[i]);
    }
}
