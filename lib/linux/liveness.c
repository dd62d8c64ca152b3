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

/* A system without locks of this kind calls the wish for one invalid. */
static int32_t status_of_lock(int error)
{
    return error == EINVAL ? MAPRING_UNSUPPORTED : linux_status(error);
}

/* How often a lock may be given up between a try and a look at it. */
#define TRIES 5

int32_t platform_lock(struct platform_segment *segment, uint32_t number)
{
    for (int tries = 1;; tries++) {
        struct flock lock = lock_of(number, F_WRLCK);
        if (fcntl(segment->data_fd, F_OFD_SETLK, &lock) == 0)
            return 1;
        int error = errno;
        if (error == EAGAIN)
            return 0;
        /* EACCES says that a policy refuses. POSIX allows it for a lock that is held as well, and a file system may
         * answer so; Linux itself does not. */
        if (error == EACCES && platform_lock_held(segment, number) == 1)
            return 0;
        if (error != EACCES || tries == TRIES)
            return status_of_lock(error);
    }
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
