/*
 * Views: parts of segments in the memory of this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"

/* Of Linux 5.14 and 6.1; older headers lack them, older kernels refuse them. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

int32_t platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable,
                     void **address)
{
    int rights = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *view = mmap(NULL, (size_t)size, rights, MAP_SHARED, segment->data_fd, (off_t)offset);
    if (view == MAP_FAILED)
        return errno == EINVAL ? MAPRING_TRUNCATED : linux_status(errno);
    madvise(view, (size_t)size, MADV_DONTFORK);
    *address = view;
    return MAPRING_OK;
}

void platform_unmap(void *address, uint64_t size)
{
    munmap(address, (size_t)size);
}

/* At an address that is as far into a large page as the offset is, which large pages need. */
static void *map_for_large_pages(const struct platform_segment *segment, uint64_t offset, uint64_t size, int rights)
{
    uint64_t reserved = size + 2 * LARGE_PAGE_SIZE;
    uint8_t *start = mmap(NULL, (size_t)reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return MAP_FAILED;
    uint64_t skipped = (offset - (uint64_t)(uintptr_t)start) % LARGE_PAGE_SIZE;
    /* In the place of what is reserved, and of nothing else. */
    void *view = mmap(start + skipped, (size_t)size, rights, MAP_SHARED | MAP_FIXED, segment->data_fd, (off_t)offset);
    if (view == MAP_FAILED) {
        int error = errno;
        munmap(start, (size_t)reserved);
        errno = error;
        return MAP_FAILED;
    }
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t end = skipped + (size + page - 1) / page * page;
    if (skipped > 0)
        munmap(start, (size_t)skipped);
    if (end < reserved)
        munmap(start + end, (size_t)(reserved - end));
    return view;
}

static int32_t map_somewhere(const struct platform_segment *segment, uint64_t offset, uint64_t size, int rights,
                             void *wanted, void **address)
{
    bool large = (segment->header.flags & MAPRING_LARGE_PAGES) != 0 && size >= LARGE_PAGE_SIZE;
    void *view;
    if (wanted != NULL)
        view = mmap(wanted, (size_t)size, rights, MAP_SHARED | MAP_FIXED_NOREPLACE, segment->data_fd, (off_t)offset);
    else if (large)
        view = map_for_large_pages(segment, offset, size, rights);
    else
        view = mmap(NULL, (size_t)size, rights, MAP_SHARED, segment->data_fd, (off_t)offset);
    if (view == MAP_FAILED) {
        /* Also an address that no process has, or that only the system uses. */
        bool refused = errno == EEXIST || errno == EINVAL || errno == EPERM || errno == ENOMEM;
        return wanted != NULL && refused ? MAPRING_ADDRESS_TAKEN : linux_status(errno);
    }
    /* A kernel that does not know the flag takes the address for a wish. */
    if (wanted != NULL && view != wanted) {
        munmap(view, (size_t)size);
        return MAPRING_ADDRESS_TAKEN;
    }
    madvise(view, (size_t)size, MADV_DONTFORK);
    if (large) {
        madvise(view, (size_t)size, MADV_HUGEPAGE);
        madvise(view, (size_t)size, MADV_COLLAPSE);
    }
    *address = view;
    return MAPRING_OK;
}

/* A page that cannot be had is an error here, and would be a signal later. */
static int32_t prefault(void *view, uint64_t size, bool writable)
{
    if (madvise(view, (size_t)size, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0)
        return MAPRING_OK;
    switch (errno) {
    case EINVAL: /* a kernel that does not know it: it reads ahead, and says nothing */
        madvise(view, (size_t)size, MADV_WILLNEED);
        return MAPRING_OK;
    case EFAULT: /* where an access would be SIGBUS */
        return MAPRING_NO_SPACE;
    default:
        return linux_status(errno);
    }
}

static int32_t lock_pages(void *view, uint64_t size)
{
    if (mlock(view, (size_t)size) == 0)
        return MAPRING_OK;
    return errno == EPERM ? MAPRING_PERMISSION : MAPRING_NO_MEMORY;
}

int32_t platform_map_view(const struct platform_segment *segment, uint64_t offset, uint64_t size, uint32_t flags,
                          void *wanted, void **address)
{
    if ((uintptr_t)wanted % (uintptr_t)sysconf(_SC_PAGESIZE) != 0)
        return MAPRING_MISALIGNED;
    if (platform_segment_size(segment) < offset + size)
        return MAPRING_TRUNCATED;
    bool writable = (flags & MAPRING_READ_ONLY) == 0;
    void *view = NULL;
    int32_t status = map_somewhere(segment, offset, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, wanted, &view);
    if (status < 0)
        return status;
    if ((flags & MAPRING_PREFAULT) != 0)
        status = prefault(view, size, writable);
    if (status == MAPRING_OK && (flags & MAPRING_LOCK_PAGES) != 0)
        status = lock_pages(view, size);
    if (status < 0) {
        platform_unmap(view, size);
        return status;
    }
    *address = view;
    return MAPRING_OK;
}

/* The lines of smaps of one mapping: its range, then what is in it. */
uint64_t platform_large_pages(const void *address, uint64_t size)
{
    FILE *maps = size < LARGE_PAGE_SIZE ? NULL : fopen("/proc/self/smaps", "re");
    if (maps == NULL)
        return 0;
    uint64_t first = (uint64_t)(uintptr_t)address, large = 0;
    bool inside = false;
    char line[512];
    while (fgets(line, sizeof line, maps) != NULL) {
        uint64_t start, end, kib;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
            inside = start >= first && start < first + size;
        else if (inside && (sscanf(line, "ShmemPmdMapped: %" SCNu64 " kB", &kib) == 1 ||
                            sscanf(line, "FilePmdMapped: %" SCNu64 " kB", &kib) == 1))
            large += kib * 1024;
    }
    fclose(maps);
    return large;
}

int32_t platform_flush(const struct platform_segment *segment, void *address, uint64_t size)
{
    (void)segment;
    return msync(address, (size_t)size, MS_SYNC) == 0 ? MAPRING_OK : linux_status(errno);
}

static int write_out(const struct platform_segment *segment, const void *address, uint64_t size, bool wait)
{
    /* MS_ASYNC does nothing on Linux. This starts to write all of the file. */
    if (!wait)
        return sync_file_range(segment->data_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    if (address == NULL)
        return fsync(segment->data_fd);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)address / page * page;
    return msync((void *)start, (size_t)(size + ((uintptr_t)address - start)), MS_SYNC);
}

int32_t platform_flush_view(const struct platform_segment *segment, const void *address, uint64_t size, bool wait)
{
    while (write_out(segment, address, size, wait) != 0)
        if (errno != EINTR)
            return linux_status(errno);
    return MAPRING_OK;
}
