/*
 * Locks that die with their holder: open-file-description locks, one byte for
 * each number, far behind the end of the file. Each handle has a description
 * of its own, so two handles of one process exclude each other too.
 */
#include <errno.h>
#include <fcntl.h>

#include <mapring/mapring.h>

#include "linux.h"

#define LOCKS_OFFSET ((off_t)1 << 62)

static struct flock lock_of(uint32_t number, short type)
{
    return (struct flock){
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = LOCKS_OFFSET + (off_t)number,
        .l_len = 1,
    };
}

/* A system without locks of this kind calls the wish for one invalid. That they are held is always EAGAIN on Linux:
 * EACCES says that a policy refuses. */
static int32_t status_of_lock(int error)
{
    return error == EINVAL ? MAPRING_UNSUPPORTED : linux_status(error);
}

int32_t platform_lock(struct platform_segment *segment, uint32_t number)
{
    struct flock lock = lock_of(number, F_WRLCK);
    if (fcntl(segment->data_fd, F_OFD_SETLK, &lock) == 0)
        return 1;
    return errno == EAGAIN ? 0 : status_of_lock(errno);
}

int32_t linux_unlock(struct platform_segment *segment, uint32_t number)
{
    struct flock lock = lock_of(number, F_UNLCK);
    return fcntl(segment->data_fd, F_OFD_SETLK, &lock) == 0 ? MAPRING_OK : status_of_lock(errno);
}

void platform_unlock(struct platform_segment *segment, uint32_t number)
{
    linux_unlock(segment, number);
}

int32_t platform_lock_held(struct platform_segment *segment, uint32_t number)
{
    struct flock lock = lock_of(number, F_WRLCK);
    if (fcntl(segment->data_fd, F_OFD_GETLK, &lock) != 0)
        return status_of_lock(errno);
    return lock.l_type != F_UNLCK;
}
