/*
 * Events, semaphores and mutexes: those of the system.
 *
 * A mutex of the system belongs to a thread, and only its end abandons it; ours belongs to a handle. So a handle that
 * is closed with its mutex locked says so by an event that goes with the mutex; and a thread that has the mutex by one
 * handle waits for it with another, though the system would let it have it twice.
 */
#include "win32.h"

#include <stdlib.h>
#include <wchar.h>
#include <winternl.h>

#include <mapring/mapring.h>

struct platform_sync {
    HANDLE object;
    HANDLE abandoned; /* of a mutex: who had it last closed its handle; reset by whom that is told */
    uint32_t kind;
    bool locked; /* a mutex, by this handle */
};

/* Opening. */

#define EVENT_RIGHTS (SYNCHRONIZE | READ_CONTROL | EVENT_MODIFY_STATE)
#define SEMAPHORE_RIGHTS (SYNCHRONIZE | READ_CONTROL | SEMAPHORE_MODIFY_STATE)
#define MUTEX_RIGHTS (SYNCHRONIZE | READ_CONTROL | MUTEX_MODIFY_STATE)

static HANDLE open_object(uint32_t kind, const wchar_t *name)
{
    switch (kind) {
    case MAPRING_KIND_EVENT:
        return OpenEventW(EVENT_RIGHTS, FALSE, name);
    case MAPRING_KIND_SEMAPHORE:
        return OpenSemaphoreW(SEMAPHORE_RIGHTS, FALSE, name);
    default:
        return OpenMutexW(MUTEX_RIGHTS, FALSE, name);
    }
}

/* GetLastError() tells whether it was there already. */
static HANDLE create_object(uint32_t kind, const wchar_t *name, const struct platform_sync_start *start,
                            SECURITY_ATTRIBUTES *attributes)
{
    switch (kind) {
    case MAPRING_KIND_EVENT:
        return CreateEventW(attributes, start->maximum != 0, start->count != 0, name);
    case MAPRING_KIND_SEMAPHORE:
        return CreateSemaphoreW(attributes, (LONG)start->count, (LONG)start->maximum, name);
    default:
        return CreateMutexW(attributes, FALSE, name);
    }
}

/* How often an object can be there, and be gone when it is opened. */
#define ROUNDS 100

/* 0 if it created it, 1 if it opened it, or a status. */
static int32_t open_or_create(const struct platform_target *target, uint32_t mode,
                              const struct platform_sync_start *start, const wchar_t *name, HANDLE *object)
{
    struct win32_access access;
    int32_t status = win32_access_of(target->permissions, &access);
    for (int round = 0; round < ROUNDS && status == MAPRING_OK; round++) {
        if (mode != MAPRING_OPEN_EXISTING) {
            *object = create_object(target->kind, name, start, &access.attributes);
            DWORD error = GetLastError();
            if (*object != NULL)
                return error == ERROR_ALREADY_EXISTS;
            /* Creating asks for all rights; who made it may have given us some. */
            if (error != ERROR_ACCESS_DENIED)
                return win32_status(error);
        }
        *object = open_object(target->kind, name);
        if (*object != NULL)
            return 1;
        DWORD error = GetLastError();
        if (error != ERROR_FILE_NOT_FOUND || mode == MAPRING_OPEN_EXISTING)
            return win32_status(error);
    }
    return status < 0 ? status : MAPRING_PERMISSION;
}

/* The event is opened before the mutex, and is new if the mutex is. */
static int32_t open_abandoned(const struct platform_target *target, const wchar_t *name, HANDLE *event)
{
    wchar_t use[WIN32_NAME_SIZE], companion[WIN32_NAME_SIZE];
    _snwprintf(use, WIN32_NAME_SIZE, L"abandoned-%ls", win32_plain_name(name));
    use[WIN32_NAME_SIZE - 1] = 0;
    win32_companion_name(name, use, companion);
    const struct platform_target of_event = {
        .kind = MAPRING_KIND_EVENT,
        .permissions = target->permissions,
    };
    int32_t status =
        open_or_create(&of_event, MAPRING_CREATE_OR_OPEN, &(struct platform_sync_start){0}, companion, event);
    return status < 0 ? status : MAPRING_OK;
}

static int32_t open_sync(const struct platform_target *target, uint32_t mode, const struct platform_sync_start *start,
                         struct platform_sync *sync)
{
    wchar_t name[WIN32_NAME_SIZE];
    int32_t status = win32_object_name(target->name, name);
    if (status == MAPRING_OK && target->kind == MAPRING_KIND_MUTEX)
        status = open_abandoned(target, name, &sync->abandoned);
    if (status < 0)
        return status;
    status = open_or_create(target, mode, start, name, &sync->object);
    if (status == 0 && sync->abandoned != NULL)
        ResetEvent(sync->abandoned);
    if (status == 1 && (target->flags & MAPRING_OTHER_OWNERS) == 0 && !win32_is_own(sync->object))
        return MAPRING_UNTRUSTED;
    return status == 1 && mode == MAPRING_CREATE_NEW ? MAPRING_EXISTS : status;
}

int32_t platform_sync_open(const struct platform_target *target, uint32_t mode, const struct platform_sync_start *start,
                           struct platform_sync **out)
{
    struct platform_sync *sync = calloc(1, sizeof *sync);
    if (sync == NULL)
        return MAPRING_NO_MEMORY;
    sync->kind = target->kind;
    int32_t status = open_sync(target, mode, start, sync);
    if (status < 0)
        platform_sync_close(sync);
    else
        *out = sync;
    return status;
}

void platform_sync_close(struct platform_sync *sync)
{
    if (sync == NULL)
        return;
    if (sync->locked) {
        SetEvent(sync->abandoned);
        ReleaseMutex(sync->object);
    }
    if (sync->abandoned != NULL)
        CloseHandle(sync->abandoned);
    if (sync->object != NULL)
        CloseHandle(sync->object);
    free(sync);
}

bool platform_sync_is_ours(const struct platform_sync *sync)
{
    (void)sync;
    return true;
}

/* Waiting. */

/* Waits for the object as long as there is time: what the system says, or WAIT_TIMEOUT. */
static DWORD wait_until(HANDLE object, uint64_t deadline_ns)
{
    for (;;) {
        DWORD left_ms = win32_milliseconds_until(deadline_ns);
        DWORD result = WaitForSingleObject(object, left_ms);
        /* The system's clock is not ours, and counts no longer than 49 days. */
        if (result != WAIT_TIMEOUT || left_ms == 0)
            return result;
    }
}

struct mutex_state {
    LONG count; /* 1: free, 0: locked once, -1: twice by the same thread */
    BOOLEAN owned_here;
    BOOLEAN abandoned;
};

typedef NTSTATUS(NTAPI *query_mutex_function)(HANDLE, ULONG, struct mutex_state *, ULONG, ULONG *);

/* Whether the thread, which has just got the mutex, had it already. */
static bool had_it(HANDLE mutex)
{
    query_mutex_function query = (query_mutex_function)win32_native_function("NtQueryMutant");
    struct mutex_state state;
    return query != NULL && query(mutex, 0, &state, sizeof state, NULL) >= 0 && state.count < 0;
}

static int32_t lock_mutex(struct platform_sync *sync, DWORD result, uint64_t deadline_ns)
{
    if (had_it(sync->object)) {
        /* By another handle, which nobody else may unlock. */
        ReleaseMutex(sync->object);
        for (uint64_t now = platform_clock_ns(); now < deadline_ns; now = platform_clock_ns())
            platform_sleep(deadline_ns - now);
        return MAPRING_TIMEOUT;
    }
    sync->locked = true;
    bool closed = WaitForSingleObject(sync->abandoned, 0) == WAIT_OBJECT_0;
    return closed || result == WAIT_ABANDONED ? MAPRING_ABANDONED : MAPRING_OK;
}

int32_t platform_sync_wait(struct platform_sync *sync, uint64_t deadline_ns)
{
    if (sync->locked)
        return MAPRING_LOCKED;
    DWORD result = wait_until(sync->object, deadline_ns);
    if (result == WAIT_TIMEOUT)
        return MAPRING_TIMEOUT;
    if (result == WAIT_FAILED)
        return win32_status(GetLastError());
    return sync->kind == MAPRING_KIND_MUTEX ? lock_mutex(sync, result, deadline_ns) : MAPRING_OK;
}

/* Signalling. */

static int32_t release_permits(HANDLE semaphore, uint32_t count)
{
    LONG before;
    if (count <= INT32_MAX && ReleaseSemaphore(semaphore, (LONG)count, &before))
        return before;
    return count > INT32_MAX || GetLastError() == ERROR_TOO_MANY_POSTS ? MAPRING_FULL : win32_status(GetLastError());
}

static int32_t unlock_mutex(struct platform_sync *sync)
{
    if (!sync->locked)
        return MAPRING_NOT_LOCKED;
    if (!ReleaseMutex(sync->object))
        return GetLastError() == ERROR_NOT_OWNER ? MAPRING_NOT_LOCKED : win32_status(GetLastError());
    sync->locked = false;
    return MAPRING_OK;
}

int32_t platform_sync_signal(struct platform_sync *sync, uint32_t count)
{
    switch (sync->kind) {
    case MAPRING_KIND_EVENT:
        return SetEvent(sync->object) ? MAPRING_OK : win32_status(GetLastError());
    case MAPRING_KIND_SEMAPHORE:
        return release_permits(sync->object, count);
    default:
        return unlock_mutex(sync);
    }
}

int32_t platform_sync_reset(struct platform_sync *sync)
{
    return ResetEvent(sync->object) ? MAPRING_OK : win32_status(GetLastError());
}
