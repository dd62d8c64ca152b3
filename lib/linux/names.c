/*
 * Names from outside: waiting for one to appear, listing those there are, what they belong to, and their end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "../validate.h"
#include "linux.h"

#define AWAIT_MS 100

void platform_segment_await(const char *name, uint64_t deadline_ns)
{
    uint64_t now = platform_clock_ns();
    if (now >= deadline_ns)
        return;
    uint64_t left_ms = (deadline_ns - now) / 1000000u + 1;
    int wait_ms = left_ms < AWAIT_MS ? (int)left_ms : AWAIT_MS;

    /* Whatever of this fails, the wait below is still bounded, and the caller looks again. */
    struct pollfd news = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN};
    bool global;
    name = plain_name(name, &global);
    int folder_fd;
    if (linux_folder_open(global, true, &folder_fd) == MAPRING_OK) {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", folder_fd);
        bool watched = news.fd >= 0 && inotify_add_watch(news.fd, path, IN_CREATE | IN_DELETE) >= 0;
        /* One that came before the watch has been missed by it. */
        if (watched && faccessat(folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            wait_ms = 1;
        else if (!watched && wait_ms > 10)
            wait_ms = 10;
        close(folder_fd);
    }
    if (poll(&news, 1, wait_ms) < 0 && errno != EINTR)
        platform_sleep((uint64_t)wait_ms * 1000000u);
    if (news.fd >= 0)
        close(news.fd);
}

/* Calls `each` with every name in a folder that could be ours. */
static int32_t read_folder(bool global, int32_t (*each)(void *context, int folder_fd, const char *name), void *context)
{
    int folder_fd;
    int32_t status = linux_folder_open(global, false, &folder_fd);
    if (status < 0)
        return status == MAPRING_NOT_FOUND ? MAPRING_OK : status;
    DIR *folder = fdopendir(folder_fd);
    if (folder == NULL) {
        status = linux_status(errno);
        close(folder_fd);
        return status;
    }
    const struct dirent *entry;
    while (status == MAPRING_OK && (entry = readdir(folder)) != NULL)
        if (validate_name(entry->d_name) == MAPRING_OK)
            status = each(context, folder_fd, entry->d_name);
    closedir(folder);
    return status;
}

struct listing {
    bool global;
    int32_t (*each)(void *context, const char *name);
    void *context;
};

static int32_t list_name(void *context, int folder_fd, const char *name)
{
    (void)folder_fd;
    const struct listing *listing = context;
    if (!listing->global)
        return listing->each(listing->context, name);
    char global_name[512];
    snprintf(global_name, sizeof global_name, "Global\\%s", name);
    return listing->each(listing->context, global_name);
}

int32_t platform_segment_list(int32_t (*each)(void *context, const char *name), void *context)
{
    struct listing listing = {.each = each, .context = context};
    int32_t status = read_folder(false, list_name, &listing);
    listing.global = true;
    return status == MAPRING_OK ? read_folder(true, list_name, &listing) : status;
}

int32_t platform_name_kind(const struct platform_target *target)
{
    struct platform_target any_owner = *target;
    any_owner.flags |= MAPRING_OTHER_OWNERS;
    struct platform_segment *segment = linux_segment_new(&any_owner);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    char path[PATH_MAX];
    int32_t status = linux_folder_open(segment->global, false, &segment->folder_fd);
    if (status == MAPRING_OK)
        status = linux_entry_open(segment, PLATFORM_OBSERVE, path);
    if (status == MAPRING_OK)
        status = (int32_t)(segment->header.kind & KIND_MASK);
    platform_segment_close(segment);
    return status;
}

int32_t platform_segment_remove(const struct platform_target *target)
{
    struct platform_segment *segment = linux_segment_new(target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    char path[PATH_MAX];
    int32_t status = linux_folder_open(segment->global, false, &segment->folder_fd);
    if (status == MAPRING_OK)
        status = linux_entry_open(segment, PLATFORM_ATTACH, path);
    if (status == MAPRING_OK && (segment->header.kind & KIND_MASK) != MAPRING_KIND_SEGMENT)
        status = MAPRING_WRONG_KIND;
    if (status == MAPRING_OK) {
        uint32_t flags = segment->header.flags & ~(uint32_t)MAPRING_PERSISTENT;
        if (pwrite(segment->name_fd, &flags, sizeof flags, (off_t)offsetof(struct segment_header, flags)) < 0)
            status = linux_status(errno);
    }
    if (status == MAPRING_OK)
        status = linux_entry_release(segment, false) ? 0 : 1;
    platform_segment_close(segment);
    return status;
}

/* Sweeping. */

struct sweep {
    bool global;
    int32_t count;
};

/* Opening a name clears it away if only the dead held it. What cannot be opened, or is not understood, is left alone.
 */
static int32_t sweep_name(void *context, int folder_fd, const char *name)
{
    struct sweep *sweep = context;
    struct stat file;
    if (fstatat(folder_fd, name, &file, AT_SYMLINK_NOFOLLOW) != 0 || file.st_uid != geteuid())
        return MAPRING_OK;
    char global_name[512];
    snprintf(global_name, sizeof global_name, "%s%s", sweep->global ? "Global\\" : "", name);
    struct platform_target target = {.name = global_name, .flags = MAPRING_READ_ONLY};
    struct platform_segment *segment = linux_segment_new(&target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    char path[PATH_MAX];
    int32_t status = linux_folder_open(segment->global, false, &segment->folder_fd);
    if (status == MAPRING_OK)
        status = linux_entry_open(segment, PLATFORM_ATTACH, path);
    platform_segment_close(segment);
    if (status == MAPRING_NOT_FOUND)
        sweep->count++;
    return status == MAPRING_NO_DESCRIPTORS || status == MAPRING_NO_MEMORY ? status : MAPRING_OK;
}

static int32_t sweep_folder(bool global, int32_t *count)
{
    struct sweep sweep = {.global = global};
    int folder_fd;
    int32_t status = linux_folder_open(global, false, &folder_fd);
    if (status < 0)
        return status == MAPRING_NOT_FOUND ? MAPRING_OK : status;
    int32_t temporaries = linux_temporaries_sweep(folder_fd, NULL);
    close(folder_fd);
    status = temporaries < 0 ? temporaries : read_folder(global, sweep_name, &sweep);
    *count += sweep.count + (temporaries > 0 ? temporaries : 0);
    return status;
}

int32_t platform_sweep(void)
{
    int32_t count = 0;
    int32_t local = sweep_folder(false, &count);
    int32_t global = sweep_folder(true, &count);
    return local < 0 ? local : global < 0 ? global : count;
}
