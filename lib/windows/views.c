/*
 * Views: mapping parts of a segment, and bringing its file up to date.
 */
#include "win32.h"

#include <psapi.h>
#include <string.h>

#include <mapring/mapring.h>

/* Mapping. */

/* Of a new Windows; older ones do it by themselves. */
#define LARGE_VIEW 0x20000000u

static bool reaches_beyond(const struct platform_segment *segment, uint64_t offset, uint64_t size)
{
    return size == 0 || offset > segment->size || size > segment->size - offset;
}

static void *map(const struct platform_segment *segment, uint64_t offset, uint64_t size, DWORD rights, void *wanted)
{
    /* How much of its last page a file fills is not known here, and asking for more is refused: 0 takes what there is.
     */
    bool takes_last_page = segment->size - (offset + size) < WIN32_PAGE;
    return MapViewOfFileEx(segment->mapping, rights, (DWORD)(offset >> 32), (DWORD)offset,
                           takes_last_page ? 0 : (SIZE_T)size, wanted);
}

int32_t platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable,
                     void **address)
{
    if (reaches_beyond(segment, offset, size))
        return MAPRING_TRUNCATED;
    void *view = map(segment, offset, size, writable ? FILE_MAP_WRITE : FILE_MAP_READ, NULL);
    if (view == NULL)
        return win32_status(GetLastError());
    *address = view;
    return MAPRING_OK;
}

void platform_unmap(void *address, uint64_t size)
{
    (void)size;
    UnmapViewOfFile(address);
}

/* In large pages if the section has any and the view consists of whole ones. */
static void *map_large(const struct platform_segment *segment, uint64_t offset, uint64_t size, DWORD rights,
                       void *wanted)
{
    uint64_t large = GetLargePageMinimum();
    if ((segment->header.flags & MAPRING_LARGE_PAGES) == 0 || large == 0 || offset % large != 0 ||
        (uintptr_t)wanted % large != 0)
        return NULL;
    uint64_t rounded = (size + large - 1) / large * large;
    return reaches_beyond(segment, offset, rounded) ? NULL : map(segment, offset, rounded, rights | LARGE_VIEW, wanted);
}

/* Reads a byte of each page, by a call that fails where a load would raise an exception. */
static bool read_pages(const uint8_t *view, uint64_t size)
{
    /* Many pages in one request to the disk, if the system knows how. */
    WIN32_MEMORY_RANGE_ENTRY range = {(void *)(uintptr_t)view, (SIZE_T)size};
    PrefetchVirtualMemory(GetCurrentProcess(), 1, &range, 0);
    for (uint64_t offset = 0; offset < size; offset += WIN32_PAGE) {
        uint8_t byte;
        if (!ReadProcessMemory(GetCurrentProcess(), view + offset, &byte, 1, NULL))
            return false;
    }
    return true;
}

/* A process may lock as much as its least working set, less a little: that grows by what is locked. */
static int32_t lock_pages(void *view, uint64_t size)
{
    if (VirtualLock(view, (SIZE_T)size))
        return MAPRING_OK;
    SIZE_T least, most;
    if (GetLastError() != ERROR_WORKING_SET_QUOTA || !GetProcessWorkingSetSize(GetCurrentProcess(), &least, &most))
        return win32_status(GetLastError());
    SIZE_T more = (SIZE_T)size + WIN32_PAGE;
    if (!SetProcessWorkingSetSize(GetCurrentProcess(), least + more, most + more) || !VirtualLock(view, (SIZE_T)size))
        return GetLastError() == ERROR_PRIVILEGE_NOT_HELD ? MAPRING_PERMISSION : MAPRING_NO_MEMORY;
    return MAPRING_OK;
}

int32_t platform_map_view(const struct platform_segment *segment, uint64_t offset, uint64_t size, uint32_t flags,
                          void *wanted, void **address)
{
    if (reaches_beyond(segment, offset, size))
        return MAPRING_TRUNCATED;
    if ((uintptr_t)wanted % REGION_ALIGNMENT != 0)
        return MAPRING_MISALIGNED;
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    uintptr_t limit = (uintptr_t)system.lpMaximumApplicationAddress;
    if (wanted != NULL && ((uintptr_t)wanted > limit || size > limit - (uintptr_t)wanted))
        return MAPRING_ADDRESS_TAKEN;
    DWORD rights = (flags & MAPRING_READ_ONLY) != 0 ? FILE_MAP_READ : FILE_MAP_WRITE;
    void *view = map_large(segment, offset, size, rights, wanted);
    if (view == NULL)
        view = map(segment, offset, size, rights, wanted);
    if (view == NULL) {
        DWORD error = GetLastError();
        return error == ERROR_INVALID_ADDRESS ? MAPRING_ADDRESS_TAKEN : win32_status(error);
    }
    int32_t status = MAPRING_OK;
    if ((flags & MAPRING_PREFAULT) != 0 && !read_pages(view, size))
        status = MAPRING_TRUNCATED;
    if (status == MAPRING_OK && (flags & MAPRING_LOCK_PAGES) != 0)
        status = lock_pages(view, size);
    if (status < 0) {
        UnmapViewOfFile(view);
        return status;
    }
    *address = view;
    return MAPRING_OK;
}

#define PAGES_AT_ONCE 256

uint64_t platform_large_pages(const void *address, uint64_t size)
{
    uint64_t pages = (size + WIN32_PAGE - 1) / WIN32_PAGE;
    uint64_t large = 0;
    for (uint64_t first = 0; first < pages; first += PAGES_AT_ONCE) {
        PSAPI_WORKING_SET_EX_INFORMATION told[PAGES_AT_ONCE];
        uint64_t count = pages - first < PAGES_AT_ONCE ? pages - first : PAGES_AT_ONCE;
        for (uint64_t i = 0; i < count; i++)
            told[i].VirtualAddress = (uint8_t *)(uintptr_t)address + (first + i) * WIN32_PAGE;
        if (!QueryWorkingSetEx(GetCurrentProcess(), told, (DWORD)(count * sizeof told[0])))
            return 0;
        for (uint64_t i = 0; i < count; i++)
            large += told[i].VirtualAttributes.Valid && told[i].VirtualAttributes.LargePage;
    }
    return large * WIN32_PAGE;
}

/* Flushing. */

static bool is_in_file(const void *address)
{
    wchar_t path[MAX_PATH];
    return GetMappedFileNameW(GetCurrentProcess(), (void *)(uintptr_t)address, path, MAX_PATH) != 0 ||
           GetLastError() == ERROR_INSUFFICIENT_BUFFER;
}

int32_t platform_flush_view(const struct platform_segment *segment, const void *address, uint64_t size, bool wait)
{
    if (address != NULL && !FlushViewOfFile(address, (SIZE_T)size))
        return win32_status(GetLastError());
    if (!wait)
        return MAPRING_OK;
    /* A handle of the file could not be had: see files.c. */
    if (segment->file == NULL)
        return MAPRING_PERMISSION;
    return FlushFileBuffers(segment->file) ? MAPRING_OK : win32_status(GetLastError());
}

int32_t platform_flush(const struct platform_segment *segment, void *address, uint64_t size)
{
    return platform_flush_view(segment, address, size, segment->file != NULL || is_in_file(address));
}
