/*
 * Segments on Linux.
 *
 * A name is a file in the folder of names (folder.c). For a segment in memory that
 * file is the segment; for a segment in a file elsewhere it is a small file that holds the path.
 *
 * A name lives as long as somebody holds it: each handle has a shared flock on
 * the name's file. Who leaves tries for the exclusive lock; who gets it was the
 * last, and unlinks the name. When the last holder was killed, whoever comes
 * next gets the exclusive lock at once, and unlinks what the dead left.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "../layout.h"
#include "../validate.h"
#include "linux.h"

/* The file of a name whose segment lies in a file. Starts as an identity does. */
struct link_entry {
    uint64_t magic;
    uint32_t kind; /* KIND_RING_IN_FILE */
    uint32_t format_version;
    char path[PATH_MAX]; /* ends with a zero */
};

static_assert(offsetof(struct link_entry, kind) == offsetof(struct identity, kind), "kinds are told apart");
static_assert(sizeof(struct link_entry) >= sizeof(struct identity), "holds the start of either");

static struct platform_segment *segment_new(const char *name)
{
    struct platform_segment *segment = malloc(sizeof *segment);
    if (segment == NULL)
        return NULL;
    *segment = (struct platform_segment){.name_fd = -1, .data_fd = -1, .folder_fd = -1, .pid = getpid()};
    if (name != NULL && (segment->name = strdup(name)) == NULL) {
        free(segment);
        return NULL;
    }
    return segment;
}

/* Splits the path of a file into a descriptor of its folder and its own name. */
static int32_t open_parent(const char *path, int *folder_fd, const char **own_name)
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

/* Creation. */

/* More than the machine has: then allocating would not fail, but drive it out of memory. */
static bool exceeds_memory(uint64_t size)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return false;
    return size / info.mem_unit >= (uint64_t)info.totalram + info.totalswap;
}

/* A signal ends an allocation that is under way, so a large one goes in pieces. */
#define ALLOCATION_PIECE ((uint64_t)16 << 20)

static int32_t allocate_extent(int fd, struct platform_extent extent)
{
    while (extent.size > 0) {
        uint64_t piece = extent.size < ALLOCATION_PIECE ? extent.size : ALLOCATION_PIECE;
        int error = posix_fallocate(fd, (off_t)extent.offset, (off_t)piece);
        if (error == EINTR)
            continue;
        if (error != 0)
            return linux_status(error);
        extent.offset += piece;
        extent.size -= piece;
    }
    return MAPRING_OK;
}

/* Gives the extents their space now: a page of a full tmpfs would raise SIGBUS later. */
static int32_t allocate(int fd, uint64_t size, const struct platform_extent *extents, uint32_t count)
{
    if (ftruncate(fd, (off_t)size) != 0)
        return linux_status(errno);
    int32_t status = MAPRING_OK;
    for (uint32_t i = 0; i < count && status == MAPRING_OK; i++)
        status = allocate_extent(fd, extents[i]);
    return status;
}

int32_t platform_segment_create(const char *name, const char *file, uint64_t size,
                                const struct platform_extent *extents, uint32_t count, struct platform_segment **out)
{
    if (file == NULL && exceeds_memory(size))
        return MAPRING_NO_MEMORY;
    struct platform_segment *segment = segment_new(name);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = linux_folder_open(true, &segment->folder_fd);
    if (status == MAPRING_OK && file == NULL) {
        status = linux_file_create(segment->folder_fd, name, &segment->data_fd, &segment->temporary_name);
        segment->name_fd = segment->data_fd;
        if (status == MAPRING_OK && flock(segment->name_fd, LOCK_SH | LOCK_NB) != 0)
            status = linux_status(errno);
    } else if (status == MAPRING_OK) {
        int parent_fd = -1;
        const char *own_name;
        segment->file = strdup(file);
        status = segment->file == NULL ? MAPRING_NO_MEMORY : open_parent(segment->file, &parent_fd, &own_name);
        if (status == MAPRING_OK && faccessat(parent_fd, own_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            status = MAPRING_EXISTS;
        if (status == MAPRING_OK)
            status = linux_file_create(parent_fd, own_name, &segment->data_fd, &segment->temporary_name);
        if (parent_fd >= 0)
            close(parent_fd);
    }
    if (status == MAPRING_OK)
        status = allocate(segment->data_fd, size, extents, count);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

/* Links a name that leads to the file at `path`. */
static int32_t publish_link(struct platform_segment *segment, const char *path)
{
    struct link_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return MAPRING_NO_MEMORY;
    entry->magic = IDENTITY_MAGIC;
    entry->kind = KIND_RING_IN_FILE;
    entry->format_version = MAPRING_FORMAT_VERSION;
    int32_t status = MAPRING_OK;
    char *temporary_name = NULL;
    size_t length = strlen(path);
    if (length >= sizeof entry->path)
        status = MAPRING_INVALID_ARGUMENT;
    if (status == MAPRING_OK) {
        memcpy(entry->path, path, length);
        status = linux_file_create(segment->folder_fd, segment->name, &segment->name_fd, &temporary_name);
    }
    if (status == MAPRING_OK && flock(segment->name_fd, LOCK_SH | LOCK_NB) != 0)
        status = linux_status(errno);
    if (status == MAPRING_OK) {
        ssize_t written = write(segment->name_fd, entry, sizeof *entry);
        if (written != (ssize_t)sizeof *entry)
            status = written < 0 ? linux_status(errno) : MAPRING_NO_SPACE;
    }
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

/* The full path of a file that may not exist yet, in a folder that does. The caller frees it. */
static char *full_path(const char *file)
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

static int32_t link_file(struct platform_segment *segment, const char *path)
{
    int parent_fd = -1;
    const char *own_name;
    int32_t status = open_parent(path, &parent_fd, &own_name);
    if (status < 0)
        return status;
    status = linux_file_link(segment->data_fd, parent_fd, segment->temporary_name, parent_fd, own_name);
    close(parent_fd);
    if (status == MAPRING_OK) {
        free(segment->temporary_name);
        segment->temporary_name = NULL;
    }
    return status;
}

int32_t platform_segment_publish(struct platform_segment *segment)
{
    if (segment->file == NULL) {
        int32_t status = linux_file_link(segment->data_fd, segment->folder_fd, segment->temporary_name,
                                         segment->folder_fd, segment->name);
        if (status == MAPRING_OK) {
            segment->named = true;
            free(segment->temporary_name);
            segment->temporary_name = NULL;
        }
        return status;
    }

    /* The name first: it decides between two who race. While the file is not there yet, the name leads nowhere, which
     * openers take for a ring that does not exist. */
    char *path = full_path(segment->file);
    if (path == NULL)
        return linux_status(errno);
    int32_t status = publish_link(segment, path);
    if (status == MAPRING_OK && !segment->file_linked)
        status = link_file(segment, path);
    free(path);
    return status;
}

/* Opening. */

static int32_t open_regular(int folder_fd, const char *path, enum platform_access access, int extra_flags, int *fd)
{
    /* Looks before it opens: opening a FIFO lets go who waits at its other end, and devices may act on it. A link that
     * is not to be followed is refused by openat(). */
    struct stat status;
    if (fstatat(folder_fd, path, &status, (extra_flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0) != 0)
        return linux_status(errno);
    if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
        return MAPRING_NOT_A_RING;
    int mode = access == PLATFORM_OBSERVE ? O_RDONLY : O_RDWR;
    /* It may have been replaced since: a FIFO must not hold us up, nor a terminal become ours. */
    *fd = openat(folder_fd, path, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | extra_flags);
    if (*fd < 0)
        return linux_status(errno);
    if (fstat(*fd, &status) == 0 && S_ISREG(status.st_mode))
        return MAPRING_OK;
    close(*fd);
    *fd = -1;
    return MAPRING_NOT_A_RING;
}

static bool is_linked(const struct platform_segment *segment)
{
    struct stat by_name, by_fd;
    return fstatat(segment->folder_fd, segment->name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(segment->name_fd, &by_fd) == 0 && by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
}

/* Whether this file of `size` bytes is the segment's name, which may be unlinked once nobody holds it. Anything else
 * may be somebody's: another version's, a copy, what is left of a damaged ring. */
static int32_t check_name(const struct platform_segment *segment, uint64_t size, struct link_entry *start)
{
    memset(start, 0, sizeof *start);
    if (pread(segment->name_fd, start, sizeof *start, 0) < (ssize_t)offsetof(struct link_entry, path) ||
        start->magic != IDENTITY_MAGIC)
        return MAPRING_NOT_A_RING;
    if (start->kind == KIND_RING_IN_FILE && start->format_version != MAPRING_FORMAT_VERSION)
        return MAPRING_WRONG_VERSION;
    if (start->kind == KIND_RING_IN_FILE)
        return memchr(start->path, 0, sizeof start->path) != NULL ? MAPRING_OK : MAPRING_CORRUPT;
    struct identity identity;
    struct geometry geometry;
    memcpy(&identity, start, sizeof identity);
    int32_t status = validate_identity(&identity, size, &geometry);
    if (status < 0)
        return status;
    if (strcmp(identity.name, segment->name) != 0)
        return MAPRING_WRONG_NAME;
    return geometry.backing == BACKING_MEMORY ? MAPRING_OK : MAPRING_NOT_A_RING;
}

/* Opens the name's file. With PLATFORM_ATTACH it joins the holders of the name, or clears away what the dead left. */
static int32_t open_name(struct platform_segment *segment, enum platform_access access, struct link_entry *start)
{
    /* Each further round means that somebody else left, came or cleared away in between. */
    for (int round = 0; round < 1000; round++) {
        int32_t status = open_regular(segment->folder_fd, segment->name, access, O_NOFOLLOW, &segment->name_fd);
        if (status < 0)
            return status;
        struct stat file;
        if (fstat(segment->name_fd, &file) != 0 || file.st_uid != geteuid())
            return MAPRING_UNTRUSTED;
        status = check_name(segment, (uint64_t)file.st_size, start);
        if (status < 0 || access == PLATFORM_OBSERVE)
            return status;

        if (flock(segment->name_fd, LOCK_EX | LOCK_NB) == 0) {
            if (is_linked(segment))
                unlinkat(segment->folder_fd, segment->name, 0);
        } else if (flock(segment->name_fd, LOCK_SH | LOCK_NB) == 0 && is_linked(segment)) {
            segment->named = true;
            return MAPRING_OK;
        }
        close(segment->name_fd);
        segment->name_fd = -1;
        sched_yield();
    }
    return MAPRING_NOT_FOUND;
}

static int32_t open_by_name(struct platform_segment *segment, enum platform_access access)
{
    struct link_entry *start = malloc(sizeof *start);
    if (start == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = linux_folder_open(false, &segment->folder_fd);
    if (status == MAPRING_OK)
        status = open_name(segment, access, start);
    if (status == MAPRING_OK && start->kind != KIND_RING_IN_FILE)
        segment->data_fd = segment->name_fd;
    else if (status == MAPRING_OK)
        status = open_regular(AT_FDCWD, start->path, access, 0, &segment->data_fd);
    free(start);
    return status;
}

static int32_t open_by_file(struct platform_segment *segment, const char *file, enum platform_access access)
{
    int32_t status = open_regular(AT_FDCWD, file, access, 0, &segment->data_fd);
    if (status < 0 || access == PLATFORM_OBSERVE)
        return status;
    segment->file_linked = true;
    segment->file = strdup(file);
    return segment->file == NULL ? MAPRING_NO_MEMORY : linux_folder_open(true, &segment->folder_fd);
}

int32_t platform_segment_open(const char *name, const char *file, enum platform_access access,
                              struct platform_segment **out)
{
    struct platform_segment *segment = segment_new(name);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    int32_t status = file == NULL ? open_by_name(segment, access) : open_by_file(segment, file, access);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

/* Closing. */

static void release_name(struct platform_segment *segment)
{
    /* Asking for the exclusive lock gives up the shared one first, so of all that leave at once one gets it. */
    if (flock(segment->name_fd, LOCK_EX | LOCK_NB) == 0 && is_linked(segment))
        unlinkat(segment->folder_fd, segment->name, 0);
}

static void remove_temporary(struct platform_segment *segment)
{
    int parent_fd = segment->folder_fd;
    const char *own_name;
    if (segment->file != NULL && open_parent(segment->file, &parent_fd, &own_name) < 0)
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
        if (segment->named)
            release_name(segment);
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

/* What a handle tells and maps. */

bool platform_segment_is_ours(const struct platform_segment *segment)
{
    return segment->pid == getpid();
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

int32_t platform_flush(const struct platform_segment *segment, void *address, uint64_t size)
{
    (void)segment;
    return msync(address, (size_t)size, MS_SYNC) == 0 ? MAPRING_OK : linux_status(errno);
}
