/*
 * Segments on Linux: making them, opening them by their names, giving them up. Who holds a name is entry.c; files that
 * are segments are file.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "../validate.h"
#include "linux.h"

struct platform_segment *linux_segment_new(const struct platform_target *target)
{
    struct platform_segment *segment = malloc(sizeof *segment);
    if (segment == NULL)
        return NULL;
    *segment = (struct platform_segment){
        .name_fd = -1,
        .data_fd = -1,
        .folder_fd = -1,
        .pid = getpid(),
        .kind = target->kind,
        .flags = target->flags,
        .permissions = target->permissions,
    };
    if (target->name != NULL && (segment->name = strdup(plain_name(target->name, &segment->global))) == NULL) {
        free(segment);
        return NULL;
    }
    return segment;
}

/* Creation. */

/* More than the machine has: then allocating would not fail, but drive it out of memory. */
static bool exceeds_memory(uint64_t size)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return false;
    return size / info.mem_unit >= (uint64_t)info.totalram + info.totalswap;
}

static int32_t create_in_memory(struct platform_segment *segment)
{
    if (segment->name == NULL)
        return linux_anonymous_create(&segment->data_fd);
    int32_t status = linux_folder_open(segment->global, true, &segment->folder_fd);
    if (status == MAPRING_OK)
        status = linux_file_create(segment->folder_fd, segment->name, segment->permissions, &segment->data_fd,
                                   &segment->temporary_name);
    segment->name_fd = segment->data_fd;
    return status;
}

int32_t platform_segment_create(const struct platform_target *target, uint64_t size,
                                const struct platform_extent *extents, uint32_t count, struct platform_segment **out)
{
    if (target->file == NULL && exceeds_memory(size))
        return MAPRING_NO_MEMORY;
    struct platform_segment *segment = linux_segment_new(target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = target->file == NULL ? create_in_memory(segment) : linux_data_create(segment, target->file);
    if (status == MAPRING_OK && ftruncate(segment->data_fd, (off_t)size) != 0)
        status = linux_status(errno);
    for (uint32_t i = 0; i < count && status == MAPRING_OK; i++)
        status = linux_allocate(segment->data_fd, extents[i].offset, extents[i].size);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

static int32_t write_header(int fd, const void *header, size_t size)
{
    ssize_t written = pwrite(fd, header, size, 0);
    if (written < 0)
        return linux_status(errno);
    return written == (ssize_t)size ? MAPRING_OK : MAPRING_NO_SPACE;
}

/* Links a name that leads to the file at `path`. */
static int32_t publish_link(struct platform_segment *segment, const char *path)
{
    size_t length = strlen(path);
    struct link_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = length < sizeof entry->path ? MAPRING_OK : MAPRING_INVALID_ARGUMENT;
    char *temporary_name = NULL;
    if (status == MAPRING_OK) {
        segment->header.segment_size = sizeof *entry;
        entry->header = segment->header;
        memcpy(entry->path, path, length);
        status = linux_file_create(segment->folder_fd, segment->name, segment->permissions, &segment->name_fd,
                                   &temporary_name);
    }
    if (status == MAPRING_OK)
        status = write_header(segment->name_fd, entry, sizeof *entry);
    if (status == MAPRING_OK)
        status =
            linux_file_link(segment->name_fd, segment->folder_fd, temporary_name, segment->folder_fd, segment->name);
    if (status < 0 && temporary_name != NULL)
        unlinkat(segment->folder_fd, temporary_name, 0);
    if (status < 0 && segment->name_fd >= 0) {
        close(segment->name_fd);
        segment->name_fd = -1;
    }
    segment->named = status == MAPRING_OK;
    free(temporary_name);
    free(entry);
    return status;
}

/* What the name of a ring in a file says; the ring itself says the rest. */
static void describe_ring(struct platform_segment *segment)
{
    struct segment_header *header = &segment->header;
    *header = (struct segment_header){
        .magic = {IDENTITY_MAGIC},
        .kind = MAPRING_KIND_RING | KIND_IN_FILE,
        .format_version = MAPRING_FORMAT_VERSION,
        .created_ns = platform_time_ns(),
    };
    linux_stored_name(segment, header->name);
}

static int32_t publish_in_file(struct platform_segment *segment)
{
    /* The name first: it decides between two who race. While the file is not there yet, the name leads nowhere, which
     * openers take for a ring that does not exist. */
    char *path = linux_full_path(segment->file);
    if (path == NULL)
        return linux_status(errno);
    int32_t status = publish_link(segment, path);
    if (status == MAPRING_OK && !segment->file_linked)
        status = linux_data_link(segment, path);
    free(path);
    if (status == MAPRING_OK && segment->kind != MAPRING_KIND_RING)
        status = linux_data_share(segment);
    segment->was_grown = segment->was_grown && status < 0;
    segment->failed = status < 0;
    return status;
}

int32_t platform_segment_publish(struct platform_segment *segment, const struct segment_header *header)
{
    if (header != NULL)
        segment->header = *header;
    else if (segment->file != NULL)
        describe_ring(segment);
    struct stat file;
    if (segment->file != NULL) {
        if (fstat(segment->data_fd, &file) != 0)
            return linux_status(errno);
        segment->header.file = (uint64_t)file.st_ino;
        return publish_in_file(segment);
    }
    int32_t status = header == NULL ? MAPRING_OK : write_header(segment->data_fd, header, sizeof *header);
    if (status == MAPRING_OK && segment->name == NULL)
        return linux_anonymous_seal(segment->data_fd);
    if (status == MAPRING_OK)
        status = linux_file_link(segment->data_fd, segment->folder_fd, segment->temporary_name, segment->folder_fd,
                                 segment->name);
    if (status == MAPRING_OK) {
        segment->named = true;
        free(segment->temporary_name);
        segment->temporary_name = NULL;
    }
    return status;
}

/* Opening. */

/* The name is ours to hold, but what it leads to is not there: it goes, even if it was to persist, once nobody has it.
 */
static int32_t drop_dead_link(struct platform_segment *segment, int32_t status)
{
    if (segment->named && linux_entry_release(segment, true))
        return MAPRING_NOT_FOUND;
    return status;
}

static int32_t open_by_name(struct platform_segment *segment, enum platform_access access)
{
    char path[PATH_MAX];
    int32_t status = linux_folder_open(segment->global, false, &segment->folder_fd);
    if (status == MAPRING_OK)
        status = linux_entry_open(segment, access, path);
    if (status < 0)
        return status;
    if ((segment->header.kind & KIND_MASK) != segment->kind)
        return MAPRING_WRONG_KIND;
    if ((segment->header.kind & KIND_IN_FILE) == 0) {
        segment->data_fd = segment->name_fd;
        return MAPRING_OK;
    }
    bool replaced = false;
    status = linux_data_open_linked(segment, path, access, &replaced);
    return status == MAPRING_NOT_FOUND || replaced ? drop_dead_link(segment, status) : status;
}

static int32_t open_by_file(struct platform_segment *segment, const char *file, enum platform_access access)
{
    int flags = access == PLATFORM_OBSERVE ? O_RDONLY : O_RDWR;
    int32_t status = linux_regular_open(AT_FDCWD, file, flags, &segment->data_fd);
    if (status < 0 || access == PLATFORM_OBSERVE)
        return status;
    status = linux_data_share(segment);
    if (status < 0)
        return status;
    segment->file_linked = true;
    segment->file = strdup(file);
    return segment->file == NULL ? MAPRING_NO_MEMORY : linux_folder_open(segment->global, true, &segment->folder_fd);
}

int32_t platform_segment_open(const struct platform_target *target, enum platform_access access,
                              struct platform_segment **out)
{
    struct platform_segment *segment = linux_segment_new(target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = target->file == NULL ? open_by_name(segment, access) : open_by_file(segment, target->file, access);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

/* Closing. */

static void remove_temporary(struct platform_segment *segment)
{
    int parent_fd = segment->folder_fd;
    const char *own_name;
    if (segment->file != NULL && linux_parent_open(segment->file, &parent_fd, &own_name) < 0)
        return;
    unlinkat(parent_fd, segment->temporary_name, 0);
    if (parent_fd != segment->folder_fd)
        close(parent_fd);
}

void platform_segment_close(struct platform_segment *segment)
{
    if (segment == NULL)
        return;
    if (platform_segment_is_ours(segment)) {
        /* If this fails the file stays larger than it was, with zeros at its end. */
        if (segment->was_grown && ftruncate(segment->data_fd, (off_t)segment->file_size) != 0)
            segment->failed = true;
        if (segment->named)
            linux_entry_release(segment, segment->failed);
        if (segment->temporary_name != NULL)
            remove_temporary(segment);
    }
    if (segment->data_fd >= 0)
        close(segment->data_fd);
    if (segment->name_fd >= 0 && segment->name_fd != segment->data_fd)
        close(segment->name_fd);
    if (segment->folder_fd >= 0)
        close(segment->folder_fd);
    free(segment->temporary_name);
    free(segment->file);
    free(segment->name);
    free(segment);
}

bool platform_segment_is_ours(const struct platform_segment *segment)
{
    return segment->pid == getpid();
}

const struct segment_header *platform_segment_header(const struct platform_segment *segment)
{
    return &segment->header;
}

uint64_t platform_segment_size(const struct platform_segment *segment)
{
    struct stat status;
    return fstat(segment->data_fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

uint64_t platform_segment_allocated(const struct platform_segment *segment)
{
    struct stat status;
    return fstat(segment->data_fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}
