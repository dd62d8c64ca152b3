/*
 * Names and who holds them.
 *
 * A name is a file in a folder of names (folder.c). For what is in memory that
 * file is the thing itself; for what lies in a file elsewhere it says so, and holds the path.
 *
 * A name lives as long as somebody holds it: each handle has a shared flock on
 * the name's file. Who leaves tries for the exclusive lock; who gets it was the
 * last, and unlinks the name. When the last holder was killed, whoever comes
 * next gets the exclusive lock at once, and unlinks what the dead left. A persistent one is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "../validate.h"
#include "linux.h"

bool linux_entry_is_linked(int folder_fd, const char *name, int fd)
{
    struct stat by_name, by_fd;
    return fstatat(folder_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &by_fd) == 0 &&
           by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
}

static bool is_linked(const struct platform_segment *segment)
{
    return linux_entry_is_linked(segment->folder_fd, segment->name, segment->name_fd);
}

void linux_stored_name(const struct platform_segment *segment, char stored[256])
{
    snprintf(stored, 256, "%s%s", segment->global ? "Global\\" : "", segment->name);
}

static bool is_own_name(const char *stored, const struct platform_segment *segment)
{
    char own[256];
    linux_stored_name(segment, own);
    return strcmp(stored, own) == 0;
}

/* Whether this file of `size` bytes is a name of that name, which may be unlinked once nobody holds it. Anything else
 * may be somebody's: another version's, a copy, what is left of a damaged ring. */
static int32_t check_entry(struct platform_segment *segment, uint64_t size, char path[PATH_MAX])
{
    struct segment_header *header = &segment->header;
    memset(header, 0, sizeof *header);
    ssize_t got = pread(segment->name_fd, header, sizeof *header, 0);
    if (got < (ssize_t)sizeof *header || header->magic.word != IDENTITY_MAGIC)
        return MAPRING_NOT_A_RING;
    int32_t status;
    const char *stored_name;
    struct identity identity;
    if (header->kind == MAPRING_KIND_RING) {
        struct geometry geometry;
        memcpy(&identity, header, sizeof identity);
        status = validate_identity(&identity, size, &geometry);
        if (status == MAPRING_OK && geometry.backing != BACKING_MEMORY)
            status = MAPRING_NOT_A_RING;
        stored_name = identity.name;
    } else {
        status = validate_header(header, size);
        stored_name = header->name;
    }
    if (status < 0)
        return status;
    if (!is_own_name(stored_name, segment))
        return MAPRING_WRONG_NAME;
    if ((header->kind & KIND_IN_FILE) == 0)
        return MAPRING_OK;
    got = pread(segment->name_fd, path, PATH_MAX, (off_t)offsetof(struct link_entry, path));
    bool whole = got > 0 && memchr(path, 0, (size_t)got) != NULL && path[0] == '/';
    return whole ? MAPRING_OK : MAPRING_CORRUPT;
}

static bool is_persistent(const struct platform_segment *segment)
{
    if (segment->header.kind == MAPRING_KIND_RING || segment->name_fd < 0)
        return false;
    uint32_t flags = 0;
    return pread(segment->name_fd, &flags, sizeof flags, (off_t)offsetof(struct segment_header, flags)) ==
               (ssize_t)sizeof flags &&
           (flags & MAPRING_PERSISTENT) != 0;
}

/* Joins the holders of a name that was opened: 1 if that could be done, 0 if it is gone, or a status. */
static int32_t join(struct platform_segment *segment)
{
    int32_t locked = linux_flock(segment->name_fd, LOCK_EX);
    if (locked == 1 && !is_persistent(segment)) {
        /* Of another user, in a folder for all: he alone can remove it. */
        if (is_linked(segment) && unlinkat(segment->folder_fd, segment->name, 0) != 0 && errno != ENOENT)
            return MAPRING_PERMISSION;
        return 0;
    }
    if (locked >= 0)
        locked = linux_flock(segment->name_fd, LOCK_SH);
    segment->named = locked == 1 && is_linked(segment);
    return locked < 0 ? locked : segment->named;
}

int32_t linux_entry_open(struct platform_segment *segment, enum platform_access access, char path[PATH_MAX])
{
    bool reads_only = access == PLATFORM_OBSERVE || (segment->flags & MAPRING_READ_ONLY) != 0;
    /* Each further round means that somebody else left, came or cleared away in between. */
    for (int round = 0; round < 1000; round++) {
        int32_t status = linux_regular_open(segment->folder_fd, segment->name,
                                            (reads_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW, &segment->name_fd);
        if (status < 0)
            return status;
        struct stat file;
        if (fstat(segment->name_fd, &file) != 0 ||
            (file.st_uid != geteuid() && (segment->flags & MAPRING_OTHER_OWNERS) == 0))
            return MAPRING_UNTRUSTED;
        status = check_entry(segment, (uint64_t)file.st_size, path);
        if (status < 0 || access == PLATFORM_OBSERVE)
            return status;
        status = join(segment);
        if (status != 0)
            return status < 0 ? status : MAPRING_OK;
        close(segment->name_fd);
        segment->name_fd = -1;
        sched_yield();
    }
    return MAPRING_NOT_FOUND;
}

bool linux_entry_release(struct platform_segment *segment, bool always)
{
    segment->named = false;
    /* Asking for the exclusive lock gives up the shared one first, so of all that leave at once one gets it. */
    if (linux_flock(segment->name_fd, LOCK_EX) != 1)
        return false;
    if (is_persistent(segment) && !always)
        return false;
    if (is_linked(segment))
        unlinkat(segment->folder_fd, segment->name, 0);
    return true;
}
