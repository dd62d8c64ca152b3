/*
 * Segments without a name: memory behind a descriptor, which other processes get from its owner.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "../validate.h"
#include "linux.h"

/* Of Linux 6.3, which otherwise complains into its log. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* Nobody can cut off what others have mapped, nor add to these. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int32_t linux_anonymous_create(int *fd)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    *fd = memfd_create("mapring", flags | MFD_NOEXEC_SEAL);
    if (*fd < 0 && errno == EINVAL)
        *fd = memfd_create("mapring", flags);
    if (*fd < 0)
        return linux_status(errno);
    /* It begins with all rights for all, and could be opened through /proc with more rights than were handed over. */
    return fchmod(*fd, 0600) == 0 ? MAPRING_OK : linux_status(errno);
}

int32_t linux_anonymous_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, SEALS) == 0 ? MAPRING_OK : linux_status(errno);
}

/* Its own copy of a descriptor. Where no number is left at all, the system calls the wish for one invalid. */
static int32_t duplicate(int fd, int command, int *copy)
{
    *copy = fcntl(fd, command, 0);
    if (*copy >= 0)
        return MAPRING_OK;
    return errno == EINVAL ? MAPRING_NO_DESCRIPTORS : errno == EBADF ? MAPRING_INVALID_ARGUMENT : linux_status(errno);
}

int32_t platform_segment_export(const struct platform_segment *segment, uint32_t flags, int64_t *descriptor)
{
    int fd;
    int32_t status = MAPRING_OK;
    bool inheritable = (flags & MAPRING_INHERITABLE) != 0;
    if ((flags & MAPRING_READ_ONLY) != 0) {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", segment->data_fd);
        fd = open(path, O_RDONLY | (inheritable ? 0 : O_CLOEXEC));
        if (fd < 0)
            status = errno == ENOENT ? MAPRING_UNSUPPORTED : linux_status(errno); /* without /proc there is no way */
    } else {
        status = duplicate(segment->data_fd, inheritable ? F_DUPFD : F_DUPFD_CLOEXEC, &fd);
    }
    if (status == MAPRING_OK)
        *descriptor = fd;
    return status;
}

static int32_t check(struct platform_segment *segment)
{
    int seals = fcntl(segment->data_fd, F_GET_SEALS);
    struct stat file;
    if (seals < 0 || fstat(segment->data_fd, &file) != 0)
        return MAPRING_NOT_A_RING;
    int mode = fcntl(segment->data_fd, F_GETFL) & O_ACCMODE;
    if (mode == O_WRONLY)
        return MAPRING_PERMISSION;
    if (pread(segment->data_fd, &segment->header, sizeof segment->header, 0) != (ssize_t)sizeof segment->header)
        return MAPRING_NOT_A_RING;
    struct segment_header *header = &segment->header;
    int32_t status = validate_header(header, (uint64_t)file.st_size);
    if (status < 0)
        return status;
    if (header->kind != MAPRING_KIND_SEGMENT || header->name[0] != 0)
        return MAPRING_NOT_A_RING;
    if ((seals & F_SEAL_SHRINK) == 0)
        return MAPRING_UNTRUSTED;
    if (mode == O_RDONLY)
        header->flags |= MAPRING_READ_ONLY;
    return MAPRING_OK;
}

int32_t platform_segment_import(int64_t descriptor, uint32_t flags, struct platform_segment **out)
{
    if (descriptor < 0 || descriptor > INT_MAX)
        return MAPRING_INVALID_ARGUMENT;
    struct platform_target target = {.kind = MAPRING_KIND_SEGMENT, .flags = flags};
    struct platform_segment *segment = linux_segment_new(&target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = duplicate((int)descriptor, F_DUPFD_CLOEXEC, &segment->data_fd);
    if (status == MAPRING_OK)
        status = check(segment);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}
