/*
 * Files elsewhere that are segments or hold rings.
 *
 * Who uses one has a flock on it: shared by all holders of its name, exclusive for who is about to give it one. So
 * nobody else gets it under another name, but only this library and those who look at the lock care.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"

char *linux_full_path(const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *own_name = slash == NULL ? file : slash + 1;
    char *folder = slash == NULL ? strdup(".") : strndup(file, slash == file ? 1 : (size_t)(slash - file));
    char *folder_path = folder == NULL ? NULL : realpath(folder, NULL);
    free(folder);
    if (folder_path == NULL)
        return NULL;
    size_t folder_length = strlen(folder_path);
    size_t own_length = strlen(own_name);
    char *path = realloc(folder_path, folder_length + own_length + 2);
    if (path == NULL) {
        free(folder_path);
        return NULL;
    }
    path[folder_length] = '/';
    memcpy(path + folder_length + 1, own_name, own_length + 1);
    return path;
}

int32_t linux_data_create(struct platform_segment *segment, const char *file)
{
    int32_t status = linux_folder_open(segment->global, true, &segment->folder_fd);
    if (status < 0)
        return status;
    segment->file = strdup(file);
    if (segment->file == NULL)
        return MAPRING_NO_MEMORY;
    int parent_fd = -1;
    const char *own_name;
    status = linux_parent_open(segment->file, &parent_fd, &own_name);
    if (status == MAPRING_OK && faccessat(parent_fd, own_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        status = MAPRING_EXISTS;
    if (status == MAPRING_OK)
        status =
            linux_file_create(parent_fd, own_name, segment->permissions, &segment->data_fd, &segment->temporary_name);
    if (parent_fd >= 0)
        close(parent_fd);
    return status;
}

int32_t linux_data_link(struct platform_segment *segment, const char *path)
{
    int parent_fd = -1;
    const char *own_name;
    int32_t status = linux_parent_open(path, &parent_fd, &own_name);
    if (status < 0)
        return status;
    status = linux_file_link(segment->data_fd, parent_fd, segment->temporary_name, parent_fd, own_name);
    /* So that what is flushed later is found after a power cut. Where a folder cannot be flushed it is as good as
     * before.
     */
    if (status == MAPRING_OK)
        fsync(parent_fd);
    close(parent_fd);
    if (status == MAPRING_OK) {
        free(segment->temporary_name);
        segment->temporary_name = NULL;
    }
    return status;
}

/* Segments whose bytes are a file's. */

static int32_t grow(struct platform_segment *segment, uint64_t size)
{
    struct stat file;
    if (fstat(segment->data_fd, &file) != 0)
        return linux_status(errno);
    uint64_t now = (uint64_t)file.st_size;
    if (size == 0)
        return now == 0 ? MAPRING_INVALID_SIZE : MAPRING_OK;
    if (size <= now)
        return MAPRING_OK;
    if ((segment->flags & MAPRING_GROW_FILE) == 0)
        return MAPRING_TOO_SMALL;
    segment->was_grown = true;
    segment->file_size = now;
    return linux_allocate(segment->data_fd, now, size - now);
}

/* MAPRING_BUSY: somebody has it locked in the other way. */
static int32_t lock_data(const struct platform_segment *segment, int operation)
{
    int32_t locked = linux_flock(segment->data_fd, operation);
    return locked < 0 ? locked : locked == 1 ? MAPRING_OK : MAPRING_BUSY;
}

static int32_t open_alone(struct platform_segment *segment, const char *path, uint64_t size)
{
    int32_t status = linux_folder_open(segment->global, true, &segment->folder_fd);
    int flags = (segment->flags & MAPRING_READ_ONLY) != 0 ? O_RDONLY : O_RDWR;
    if (status == MAPRING_OK)
        status = linux_regular_open(AT_FDCWD, path, flags, &segment->data_fd);
    if (status < 0)
        return status;
    status = lock_data(segment, LOCK_EX);
    if (status < 0)
        return status;
    /* From here on nobody of us changes it, but one may have, before. */
    struct stat by_path, by_fd;
    if (stat(path, &by_path) != 0 || fstat(segment->data_fd, &by_fd) != 0 || by_path.st_ino != by_fd.st_ino ||
        by_path.st_dev != by_fd.st_dev)
        return MAPRING_BUSY;
    segment->file_linked = true;
    segment->file = strdup(path);
    return segment->file == NULL ? MAPRING_NO_MEMORY : grow(segment, size);
}

int32_t platform_segment_open_file(const struct platform_target *target, uint64_t size, struct platform_segment **out)
{
    struct platform_segment *segment = linux_segment_new(target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = open_alone(segment, target->file, size);
    if (status == MAPRING_NOT_FOUND && size != 0 && (target->flags & MAPRING_READ_ONLY) == 0 && segment->data_fd < 0) {
        platform_segment_close(segment);
        const struct platform_extent whole = {0, size};
        return platform_segment_create(target, size, &whole, 1, out);
    }
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

int32_t linux_data_share(struct platform_segment *segment)
{
    return lock_data(segment, LOCK_SH);
}

int32_t linux_data_open_linked(struct platform_segment *segment, const char *path, enum platform_access access,
                               bool *replaced)
{
    bool reads_only = access == PLATFORM_OBSERVE || (segment->flags & MAPRING_READ_ONLY) != 0 ||
                      (segment->header.flags & MAPRING_READ_ONLY) != 0;
    int32_t status = linux_regular_open(AT_FDCWD, path, reads_only ? O_RDONLY : O_RDWR, &segment->data_fd);
    if (status < 0)
        return status;
    struct stat name, file;
    if (fstat(segment->name_fd, &name) != 0 || fstat(segment->data_fd, &file) != 0)
        return linux_status(errno);
    /* A name of somebody else's could lead us to a file that is ours, or that we may use and he may not. */
    if (name.st_uid != geteuid() && name.st_uid != 0 && file.st_uid != name.st_uid)
        return MAPRING_UNTRUSTED;
    if (access == PLATFORM_OBSERVE)
        return MAPRING_OK;
    status = lock_data(segment, LOCK_SH);
    if (status < 0 || segment->kind == MAPRING_KIND_RING)
        return status;
    *replaced = (uint64_t)file.st_ino != segment->header.file;
    if (*replaced)
        return MAPRING_CORRUPT;
    return (uint64_t)file.st_size < segment->header.size ? MAPRING_TRUNCATED : MAPRING_OK;
}

int32_t platform_segment_is_in_file(const struct platform_segment *segment, const char *path)
{
    struct stat by_path, by_fd;
    if ((segment->header.kind & KIND_IN_FILE) == 0)
        return 0;
    if (stat(path, &by_path) != 0)
        return errno == ENOENT ? 0 : linux_status(errno);
    if (fstat(segment->data_fd, &by_fd) != 0)
        return linux_status(errno);
    return by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev;
}
