/*
 * Locks that die with their holder: a lock is a named object that its holder
 * alone has a handle to, so that the name goes when the holder dies.
 *
 * The object grants no access to anybody. To create it again, or to open it, is then
 * refused as long as it is there: whoever finds a lock held learns it without getting a handle,
 * which would keep the lock of a holder who dies at that moment.
 *
 * Locks are named by the ring's id and not by its name, so that who looks at the file of a
 * ring finds the locks of its holders.
 */
#include "win32.h"

#include <mapring/mapring.h>

/* How often a lock may be refused, and be gone when it is looked at. */
#define ROUNDS 100

int32_t win32_ring_id(struct platform_segment *segment, uint64_t id[2])
{
    if ((segment->lock_id[0] | segment->lock_id[1]) == 0) {
        void *address;
        int32_t status = platform_map(segment, 0, sizeof(struct identity), false, &address);
        if (status < 0)
            return status;
        const struct identity *identity = address;
        segment->lock_id[0] = identity->ring_id[0];
        segment->lock_id[1] = identity->ring_id[1];
        platform_unmap(address, sizeof(struct identity));
        if ((segment->lock_id[0] | segment->lock_id[1]) == 0)
            return MAPRING_CORRUPT;
    }
    id[0] = segment->lock_id[0];
    id[1] = segment->lock_id[1];
    return MAPRING_OK;
}

static int32_t lock_name(struct platform_segment *segment, uint32_t number, wchar_t name[WIN32_NAME_SIZE])
{
    if (number >= PLATFORM_LOCKS)
        return MAPRING_INVALID_ARGUMENT;
    uint64_t id[2];
    int32_t status = win32_ring_id(segment, id);
    if (status == MAPRING_OK)
        win32_ring_name(id, L"lock", number, name);
    return status;
}

/* Whether there is an object of this name: 1, 0 or a status. */
static int32_t exists(const wchar_t *name)
{
    HANDLE lock = OpenEventW(EVENT_MODIFY_STATE, FALSE, name);
    if (lock != NULL) {
        CloseHandle(lock);
        return 1;
    }
    DWORD error = GetLastError();
    if (error == ERROR_ACCESS_DENIED)
        return 1;
    return error == ERROR_FILE_NOT_FOUND ? 0 : win32_status(error);
}

int32_t platform_lock(struct platform_segment *segment, uint32_t number)
{
    wchar_t name[WIN32_NAME_SIZE];
    int32_t status = lock_name(segment, number, name);
    if (status < 0)
        return status;
    if (segment->locks[number] != NULL)
        return 1;

    /* A list of those who have access, with nobody on it. */
    ACL nobody;
    SECURITY_DESCRIPTOR descriptor;
    if (!InitializeAcl(&nobody, sizeof nobody, ACL_REVISION) ||
        !InitializeSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION) ||
        !SetSecurityDescriptorDacl(&descriptor, TRUE, &nobody, FALSE))
        return MAPRING_SYSTEM_ERROR;
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes, .lpSecurityDescriptor = &descriptor};

    for (int round = 0; round < ROUNDS; round++) {
        HANDLE lock = CreateEventW(&attributes, TRUE, FALSE, name);
        DWORD error = GetLastError();
        if (lock != NULL && error != ERROR_ALREADY_EXISTS) {
            segment->locks[number] = lock;
            win32_ring_attached(segment);
            return 1;
        }
        if (lock != NULL) {
            CloseHandle(lock);
            return 0;
        }
        if (error != ERROR_ACCESS_DENIED)
            return win32_status(error);
        /* Refused because it is there, or because we may not create objects at all. */
        status = exists(name);
        if (status != 0)
            return status < 0 ? status : 0;
    }
    return MAPRING_PERMISSION;
}

void platform_unlock(struct platform_segment *segment, uint32_t number)
{
    if (number >= PLATFORM_LOCKS || segment->locks[number] == NULL)
        return;
    CloseHandle(segment->locks[number]);
    segment->locks[number] = NULL;
}

int32_t platform_lock_held(struct platform_segment *segment, uint32_t number)
{
    wchar_t name[WIN32_NAME_SIZE];
    int32_t status = lock_name(segment, number, name);
    if (status < 0)
        return status;
    return segment->locks[number] != NULL ? 0 : exists(name);
}
