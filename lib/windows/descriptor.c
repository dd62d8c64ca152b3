/*
 * Descriptors that other processes make ready: a named waitable timer that stays signalled until it is set again. (An
 * event would need a thread that sets it at the time of an alarm.) It is all in one:
 *
 *   to ring      whoever may, by its name, which is made of the address, sets it to a time that has passed
 *   an alarm     it is set to a time that comes
 *   to clear     it is set to a time that never comes
 *
 * So clearing, and an alarm too, take back a ringing that comes shortly before. Nothing is lost by that:
 *
 *   - Before anybody rings he has stored the reason, be it a message, an end or a cancellation, and has lowered the
 *     sleeper's bit, or there is none. The timer is locked by the system while it is set: who takes a ringing back
 *     sees from then on what was stored before it.
 *   - After the last call here that can take something back, who sleeps looks: a consumer with a descriptor whether
 *     there is something to read or its bit was lowered (prepare() in descriptor.c), and then sets the timer itself; a
 *     wait set at all its members, after it has raised their bits again.
 *   - What is rung after that look stays until the next clearing.
 *
 * The same clock does not run in the timer and here: it may be signalled up to a tick early.
 *
 * A timer is made as the ring's events are (park.c): other users may not set it, and who reads their rings is woken by
 * the alarm alone. It cannot watch a process: so there always is an alarm, every 0.1 s.
 */
#include "win32.h"

#include <stdlib.h>

#include <mapring/mapring.h>

/* The tick of the system's clock is 15.6 ms at most. */
#define TICK_NS 16000000u

/* In units of 100 ns, negative: from now on. 3,600 years. */
#define NEVER (-((int64_t)1 << 60))

struct platform_descriptor {
    HANDLE timer;
    uint64_t address;
    uint64_t alarm_ns; /* what it was last set to by its owner; UINT64_MAX: none */
    /* The caller's, in one order. */
    HANDLE *others;
    uint32_t *tags;
    uint32_t other_count;
    uint32_t first; /* is looked at, or slept on, first next time */
};

static void name_timer(uint64_t address, wchar_t name[WIN32_NAME_SIZE])
{
    const uint64_t id[2] = {0, address};
    win32_ring_name(id, L"ready", 0, name);
}

static void set_timer(HANDLE timer, int64_t due)
{
    LARGE_INTEGER when = {.QuadPart = due};
    SetWaitableTimer(timer, &when, 0, NULL, NULL, FALSE);
}

static int32_t make_timer(struct platform_descriptor *descriptor)
{
    uint64_t random[2];
    wchar_t name[WIN32_NAME_SIZE];
    int32_t status = platform_random(random);
    if (status < 0)
        return status;
    descriptor->address = random[0] | 1;
    name_timer(descriptor->address, name);
    descriptor->timer = CreateWaitableTimerW(NULL, TRUE, name);
    if (descriptor->timer == NULL)
        return win32_status(GetLastError());
    /* Nobody has chosen the same number but on purpose. */
    return GetLastError() == ERROR_ALREADY_EXISTS ? MAPRING_SYSTEM_ERROR : MAPRING_OK;
}

int32_t platform_descriptor_open(bool futex, struct platform_descriptor **out)
{
    if (futex)
        return MAPRING_UNSUPPORTED;
    struct platform_descriptor *descriptor = calloc(1, sizeof *descriptor);
    if (descriptor == NULL)
        return MAPRING_NO_MEMORY;
    descriptor->alarm_ns = UINT64_MAX;
    int32_t status = make_timer(descriptor);
    if (status < 0) {
        platform_descriptor_close(descriptor);
        return status;
    }
    *out = descriptor;
    return MAPRING_OK;
}

void platform_descriptor_close(struct platform_descriptor *descriptor)
{
    if (descriptor == NULL)
        return;
    if (descriptor->timer != NULL)
        CloseHandle(descriptor->timer);
    free(descriptor->others);
    free(descriptor->tags);
    free(descriptor);
}

int64_t platform_descriptor_number(const struct platform_descriptor *descriptor)
{
    return (int64_t)(intptr_t)descriptor->timer;
}

int32_t platform_descriptor_address(struct platform_descriptor *descriptor, const struct platform_segment *segment,
                                    uint64_t *address)
{
    (void)segment;
    *address = descriptor->address;
    return MAPRING_OK;
}

void platform_descriptor_ring(struct platform_parking *parking, const struct platform_segment *segment, uint32_t number,
                              uint64_t address)
{
    (void)parking;
    (void)segment;
    (void)number;
    wchar_t name[WIN32_NAME_SIZE];
    name_timer(address, name);
    HANDLE timer = OpenWaitableTimerW(TIMER_MODIFY_STATE, FALSE, name);
    if (timer == NULL)
        return;
    set_timer(timer, 0);
    CloseHandle(timer);
}

void platform_descriptor_set(struct platform_descriptor *descriptor)
{
    set_timer(descriptor->timer, 0);
}

int32_t platform_descriptor_park(struct platform_descriptor *descriptor, const struct platform_parking *parking,
                                 const shared32 *doorbell, uint32_t remembered)
{
    (void)descriptor;
    (void)parking;
    (void)doorbell;
    (void)remembered;
    return MAPRING_OK;
}

int32_t platform_descriptor_alarm(struct platform_descriptor *descriptor, uint64_t at_ns)
{
    if (at_ns == descriptor->alarm_ns)
        return MAPRING_OK;
    uint64_t now = platform_clock_ns();
    uint64_t left = at_ns > now ? (at_ns - now) / 100 : 0;
    set_timer(descriptor->timer, -(int64_t)left);
    descriptor->alarm_ns = at_ns;
    return MAPRING_OK;
}

bool platform_descriptor_watch(struct platform_descriptor *descriptor, const struct platform_process *process)
{
    (void)descriptor;
    return process == NULL;
}

struct platform_causes platform_descriptor_clear(struct platform_descriptor *descriptor)
{
    if (WaitForSingleObject(descriptor->timer, 0) != WAIT_OBJECT_0)
        return (struct platform_causes){0};
    /* Whether somebody rang as well cannot be seen. */
    struct platform_causes causes = {
        .rung = true,
        .alarmed = descriptor->alarm_ns != UINT64_MAX && platform_clock_ns() + TICK_NS >= descriptor->alarm_ns,
    };
    set_timer(descriptor->timer, NEVER);
    descriptor->alarm_ns = UINT64_MAX;
    return causes;
}

/* Others. */

int32_t platform_descriptor_add(struct platform_descriptor *descriptor, int64_t other, uint32_t events, uint32_t tag)
{
    /* The negative ones stand for this process and the like, one of them for a failure as well. */
    HANDLE handle = (HANDLE)(intptr_t)other;
    if (events != MAPRING_EVENT_READABLE || other <= 0 || WaitForSingleObject(handle, 0) == WAIT_FAILED)
        return MAPRING_INVALID_ARGUMENT;
    size_t room = (size_t)descriptor->other_count + 1;
    HANDLE *others = realloc(descriptor->others, room * sizeof *others);
    if (others == NULL)
        return MAPRING_NO_MEMORY;
    descriptor->others = others;
    uint32_t *tags = realloc(descriptor->tags, room * sizeof *tags);
    if (tags == NULL)
        return MAPRING_NO_MEMORY;
    descriptor->tags = tags;
    others[descriptor->other_count] = handle;
    tags[descriptor->other_count++] = tag;
    return MAPRING_OK;
}

void platform_descriptor_remove(struct platform_descriptor *descriptor, int64_t other)
{
    for (uint32_t i = 0; i < descriptor->other_count; i++) {
        if (descriptor->others[i] != (HANDLE)(intptr_t)other)
            continue;
        uint32_t last = --descriptor->other_count;
        descriptor->others[i] = descriptor->others[last];
        descriptor->tags[i] = descriptor->tags[last];
        return;
    }
}

/* A call of the system for each 64, since mostly nothing has happened. */
static bool others_are_quiet(const struct platform_descriptor *descriptor)
{
    for (uint32_t i = 0; i < descriptor->other_count; i += MAXIMUM_WAIT_OBJECTS) {
        uint32_t left = descriptor->other_count - i;
        DWORD count = left < MAXIMUM_WAIT_OBJECTS ? left : MAXIMUM_WAIT_OBJECTS;
        if (WaitForMultipleObjects(count, descriptor->others + i, FALSE, 0) != WAIT_TIMEOUT)
            return false;
    }
    return true;
}

static uint32_t look_at_others(struct platform_descriptor *descriptor, struct platform_ready *ready, uint32_t max)
{
    if (others_are_quiet(descriptor))
        return 0;
    uint32_t found = 0;
    uint32_t start = descriptor->first;
    for (uint32_t i = 0; i < descriptor->other_count && found < max; i++) {
        uint32_t place = (start + i) % descriptor->other_count;
        DWORD result = WaitForSingleObject(descriptor->others[place], 0);
        if (result == WAIT_TIMEOUT)
            continue;
        /* It fails for one that the caller has closed. */
        uint32_t events = result == WAIT_FAILED ? MAPRING_EVENT_ERROR : MAPRING_EVENT_READABLE;
        ready[found++] = (struct platform_ready){descriptor->tags[place], events};
        descriptor->first = place + 1;
    }
    return found;
}

/*
 * The system waits for 64 at most, of which the timer is always one. Where there are more, one group after the other
 * is slept on for a moment, after which all are looked at. So those in other groups are seen up to SLICE_MS, which the
 * system rounds up to its tick, later; rings and cancelling, which come by the timer, at once. (To wait for all of them
 * at the same time would take threads.)
 */
#define SLICE_MS 10u

static void sleep_on_some(struct platform_descriptor *descriptor, uint64_t deadline_ns)
{
    HANDLE handles[MAXIMUM_WAIT_OBJECTS] = {descriptor->timer};
    DWORD count = 1;
    uint32_t others = descriptor->other_count;
    for (; count < MAXIMUM_WAIT_OBJECTS && count <= others; count++)
        handles[count] = descriptor->others[(descriptor->first + count - 1) % others];
    DWORD left_ms = win32_milliseconds_until(deadline_ns);
    if (count <= others) {
        descriptor->first = (descriptor->first + count - 1) % others;
        left_ms = left_ms < SLICE_MS ? left_ms : SLICE_MS;
    }
    WaitForMultipleObjects(count, handles, FALSE, left_ms);
}

int32_t platform_descriptor_wait(struct platform_descriptor *descriptor, uint64_t deadline_ns,
                                 struct platform_ready *ready, uint32_t max)
{
    for (;;) {
        bool rung = platform_descriptor_clear(descriptor).rung;
        uint32_t found = look_at_others(descriptor, ready, max);
        if (rung || found > 0 || platform_clock_ns() >= deadline_ns)
            return (int32_t)found;
        sleep_on_some(descriptor, deadline_ns);
    }
}

/* Only a descriptor waits for several. */
bool platform_park_any(const struct platform_doorbell *doorbells, uint32_t count, uint64_t deadline_ns)
{
    (void)doorbells;
    (void)count;
    (void)deadline_ns;
    return false;
}

void platform_unpark(const shared32 *word)
{
    (void)word;
}

bool platform_uring_is_there(void)
{
    return false;
}

void platform_uring_prepare(const struct platform_parking *parking, const shared32 *doorbell, uint32_t remembered,
                            void *entry)
{
    (void)parking;
    (void)doorbell;
    (void)remembered;
    (void)entry;
}
