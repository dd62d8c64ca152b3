/*
 * Waiting for a name to appear, and listing the names there are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
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
    int folder_fd;
    if (linux_folder_open(true, &folder_fd) == MAPRING_OK) {
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
    poll(&news, 1, wait_ms);
    if (news.fd >= 0)
        close(news.fd);
}

int32_t platform_segment_list(int32_t (*each)(void *context, const char *name), void *context)
{
    int folder_fd;
    int32_t status = linux_folder_open(false, &folder_fd);
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
            status = each(context, entry->d_name);
    closedir(folder);
    return status;
}
