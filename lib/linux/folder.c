/*
 * The folder that names live in, and files that appear in a folder whole or not at all.
 *
 * By default /dev/shm/mapring-UID, which belongs to the user alone. The
 * environment variable MAPRING_DIR names another one, for containers whose
 * /dev/shm is small.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
        return MAPRING_UNSUPPORTED;
    default:
        return MAPRING_SYSTEM_ERROR;
    }
}

int32_t linux_folder_open(bool create, int *folder_fd)
{
    char path[64];
    const char *folder = secure_getenv("MAPRING_DIR");
    if (folder == NULL || folder[0] == 0) {
        snprintf(path, sizeof path, "/dev/shm/mapring-%lu", (unsigned long)geteuid());
        folder = path;
    }
    if (create && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return errno == ENOENT || errno == ENOTDIR ? MAPRING_UNSUPPORTED : linux_status(errno);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOTDIR || errno == ELOOP)
            return MAPRING_UNTRUSTED; /* a link or a file in the place of the folder */
        return linux_status(errno);
    }

    /* Others who may write into the folder could plant and replace what we find there. */
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        close(fd);
        return MAPRING_UNTRUSTED;
    }
    *folder_fd = fd;
    return MAPRING_OK;
}

int32_t linux_file_create(int folder_fd, const char *near_name, int *fd, char **temporary_name)
{
    *temporary_name = NULL;
    *fd = openat(folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return MAPRING_OK;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return linux_status(errno);

    uint64_t random[2];
    int32_t status = platform_random(random);
    if (status < 0)
        return status;
    size_t size = strlen(near_name) + 32;
    char *name = malloc(size);
    if (name == NULL)
        return MAPRING_NO_MEMORY;
    snprintf(name, size, ".%.180s.%016llx", near_name, (unsigned long long)random[0]);
    *fd = openat(folder_fd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0) {
        status = linux_status(errno);
        free(name);
        return status;
    }
    *temporary_name = name;
    return MAPRING_OK;
}

int32_t linux_file_link(int fd, int from_folder_fd, const char *temporary_name, int to_folder_fd, const char *name)
{
    int result;
    if (temporary_name != NULL) {
        result = linkat(from_folder_fd, temporary_name, to_folder_fd, name, 0);
        if (result == 0)
            unlinkat(from_folder_fd, temporary_name, 0);
    } else {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        result = linkat(AT_FDCWD, path, to_folder_fd, name, AT_SYMLINK_FOLLOW);
        /* Without /proc there is a way that needs a capability. */
        if (result != 0 && errno == ENOENT)
            result = linkat(fd, "", to_folder_fd, name, AT_EMPTY_PATH);
    }
    return result == 0 ? MAPRING_OK : linux_status(errno);
}
