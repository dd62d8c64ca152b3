/*
 * The folders that names live in, and opening what is found in a folder.
 *
 * By default /dev/shm/mapring-UID, which belongs to the user alone, and /dev/shm/mapring-global for all. The
 * environment variables MAPRING_DIR and MAPRING_GLOBAL_DIR name others, for containers whose
 * /dev/shm is small.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"

int32_t linux_status(int error)
{
    switch (error) {
    case ENOENT:
        return MAPRING_NOT_FOUND;
    case EEXIST:
        return MAPRING_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
        return MAPRING_PERMISSION;
    case ELOOP:
        return MAPRING_UNTRUSTED;
    case EISDIR:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
        return MAPRING_NOT_A_RING;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return MAPRING_NO_SPACE;
    case ENOMEM:
        return MAPRING_NO_MEMORY;
    case EMFILE:
    case ENFILE:
        return MAPRING_NO_DESCRIPTORS;
    case ENAMETOOLONG:
        return MAPRING_INVALID_NAME;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOLCK: /* of locks: a file system that is elsewhere, as a rule */
        return MAPRING_UNSUPPORTED;
    default:
        return MAPRING_SYSTEM_ERROR;
    }
}

int32_t linux_flock(int fd, int operation)
{
    if (flock(fd, operation | LOCK_NB) == 0)
        return 1;
    return errno == EWOULDBLOCK ? 0 : linux_status(errno);
}

/* The path of the folder, and whether its name was given to us. */
static bool folder_path(bool global, char path[PATH_MAX])
{
    const char *given = secure_getenv(global ? "MAPRING_GLOBAL_DIR" : "MAPRING_DIR");
    if (given != NULL && given[0] != 0) {
        snprintf(path, PATH_MAX, "%s", given);
        return true;
    }
    if (global)
        snprintf(path, PATH_MAX, "/dev/shm/mapring-global");
    else
        snprintf(path, PATH_MAX, "/dev/shm/mapring-%lu", (unsigned long)geteuid());
    return false;
}

/* Others who may write into the folder could plant and replace what we find there, unless it is sticky: then they can
 * only plant, and we look whose a name is. */
static bool is_trusted(const struct stat *folder, bool global)
{
    bool others_write = (folder->st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (!global)
        return folder->st_uid == geteuid() && !others_write;
    return (folder->st_uid == geteuid() || folder->st_uid == 0) && (!others_write || (folder->st_mode & S_ISVTX) != 0);
}

/* One folder for all that belonged to some user would let him do as he likes with the names of others, so only root
 * makes it where it is by default. */
static int32_t make_folder(const char *path, bool global, bool given, bool *made)
{
    *made = false;
    if (global && !given && geteuid() != 0)
        return MAPRING_OK;
    *made = mkdir(path, 0700) == 0;
    if (*made || errno == EEXIST)
        return MAPRING_OK;
    return errno == ENOENT || errno == ENOTDIR ? MAPRING_UNSUPPORTED : linux_status(errno);
}

int32_t linux_folder_open(bool global, bool create, int *folder_fd)
{
    char path[PATH_MAX];
    bool given = folder_path(global, path);
    bool made = false;
    int32_t status = create ? make_folder(path, global, given, &made) : MAPRING_OK;
    if (status < 0)
        return status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOTDIR || errno == ELOOP)
            return MAPRING_UNTRUSTED; /* a link or a file in the place of the folder */
        return create && errno == ENOENT ? MAPRING_UNSUPPORTED : linux_status(errno);
    }
    struct stat folder;
    if (fstat(fd, &folder) != 0 || !is_trusted(&folder, global)) {
        close(fd);
        return MAPRING_UNTRUSTED;
    }
    /* Only now that it is known to be ours; and again if who made it died here. */
    bool open_to_all = (folder.st_mode & 07777) == 01777;
    if (global && create && folder.st_uid == geteuid() && !open_to_all && (made || !given) && fchmod(fd, 01777) != 0) {
        status = linux_status(errno);
        close(fd);
        return status;
    }
    *folder_fd = fd;
    return MAPRING_OK;
}

int32_t linux_parent_open(const char *path, int *folder_fd, const char **own_name)
{
    const char *slash = strrchr(path, '/');
    *own_name = slash == NULL ? path : slash + 1;
    if (**own_name == 0)
        return MAPRING_NOT_A_RING; /* a folder */
    char *folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL)
        return MAPRING_NO_MEMORY;
    *folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    free(folder);
    return *folder_fd < 0 ? linux_status(error) : MAPRING_OK;
}

int32_t linux_regular_open(int folder_fd, const char *path, int flags, int *fd)
{
    /* Looks before it opens: opening a FIFO lets go who waits at its other end, and devices may act on it. A link that
     * is not to be followed is refused by openat(). */
    struct stat status;
    if (fstatat(folder_fd, path, &status, (flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0) != 0)
        return linux_status(errno);
    if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
        return MAPRING_NOT_A_RING;
    /* It may have been replaced since: a FIFO must not hold us up, nor a terminal become ours. */
    *fd = openat(folder_fd, path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return linux_status(errno);
    if (fstat(*fd, &status) == 0 && S_ISREG(status.st_mode))
        return MAPRING_OK;
    close(*fd);
    *fd = -1;
    return MAPRING_NOT_A_RING;
}
