/*
 * Files that appear in a folder whole or not at all, and the space behind them.
 *
 * They are made without a name where the file system can do that. Elsewhere they have a temporary one, which
 * their maker has locked: it is swept away once he is dead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"

/* Of a long name the temporary one has the start. */
#define MARK LINUX_TEMPORARY_MARK
#define MARK_LENGTH (sizeof MARK - 1)
#define NEAR_NAME_MAX 180
#define RANDOM_DIGITS 16

static bool is_temporary(const char *entry, const char *near_name)
{
    size_t length = strlen(entry);
    if (length < RANDOM_DIGITS + MARK_LENGTH + 2 || entry[0] != '.' ||
        memcmp(entry + length - RANDOM_DIGITS - MARK_LENGTH, MARK, MARK_LENGTH) != 0 ||
        strspn(entry + length - RANDOM_DIGITS, "0123456789abcdef") != RANDOM_DIGITS)
        return false;
    if (near_name == NULL)
        return true;
    size_t near_length = strnlen(near_name, NEAR_NAME_MAX);
    return length == near_length + RANDOM_DIGITS + MARK_LENGTH + 1 && memcmp(entry + 1, near_name, near_length) == 0;
}

/* A FIFO is opened as well: nobody waits for that at the other end of ours. */
static int open_temporary(int folder_fd, const char *entry)
{
    struct stat file;
    int fd;
    if (linux_regular_open(folder_fd, entry, O_RDONLY | O_NOFOLLOW, &fd) == MAPRING_OK)
        return fd;
    if (fstatat(folder_fd, entry, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISFIFO(file.st_mode))
        return -1;
    return openat(folder_fd, entry, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
}

static bool sweep_temporary(int folder_fd, const char *entry)
{
    int fd = open_temporary(folder_fd, entry);
    if (fd < 0)
        return false;
    struct stat file;
    bool swept = fstat(fd, &file) == 0 && file.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
                 linux_entry_is_linked(folder_fd, entry, fd) && unlinkat(folder_fd, entry, 0) == 0;
    close(fd);
    return swept;
}

int32_t linux_temporaries_sweep(int folder_fd, const char *near_name)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        int32_t status = linux_status(errno);
        if (fd >= 0)
            close(fd);
        return status;
    }
    int32_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (is_temporary(entry->d_name, near_name) && sweep_temporary(folder_fd, entry->d_name))
            count++;
    closedir(folder);
    return count;
}

static int32_t create_temporary(int folder_fd, const char *near_name, int *fd, char **temporary_name)
{
    uint64_t random[2];
    int32_t status = platform_random(random);
    if (status < 0)
        return status;
    size_t size = NEAR_NAME_MAX + MARK_LENGTH + RANDOM_DIGITS + 2;
    char *name = malloc(size);
    if (name == NULL)
        return MAPRING_NO_MEMORY;
    snprintf(name, size, ".%.*s" MARK "%016llx", NEAR_NAME_MAX, near_name, (unsigned long long)random[0]);
    *fd = openat(folder_fd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0) {
        status = linux_status(errno);
        free(name);
        return status;
    }
    *temporary_name = name;
    return MAPRING_OK;
}

/* Who sweeps has an exclusive lock, and takes away what is not locked yet: 1 if it is ours now, 0, or a status. */
static int32_t keep(int folder_fd, int fd, const char *temporary_name)
{
    int32_t kept = linux_flock(fd, LOCK_SH);
    return kept == 1 && temporary_name != NULL ? linux_entry_is_linked(folder_fd, temporary_name, fd) : kept;
}

int32_t linux_file_create(int folder_fd, const char *near_name, uint32_t permissions, int *fd, char **temporary_name)
{
    *temporary_name = NULL;
    int32_t status = MAPRING_OK;
    *fd = openat(folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd < 0) {
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
            return linux_status(errno);
        linux_temporaries_sweep(folder_fd, near_name);
        status = create_temporary(folder_fd, near_name, fd, temporary_name);
    }
    int32_t kept = 0;
    for (int round = 0; status == MAPRING_OK && (kept = keep(folder_fd, *fd, *temporary_name)) == 0; round++) {
        close(*fd);
        free(*temporary_name);
        *temporary_name = NULL;
        *fd = -1;
        status = round < 10 ? create_temporary(folder_fd, near_name, fd, temporary_name) : MAPRING_BUSY;
    }
    if (status == MAPRING_OK && kept < 0)
        status = kept;
    /* The umask may have taken from it. */
    if (status == MAPRING_OK && fchmod(*fd, permissions != 0 ? permissions : 0600) != 0)
        status = linux_status(errno);
    if (status < 0 && *fd >= 0) {
        if (*temporary_name != NULL)
            unlinkat(folder_fd, *temporary_name, 0);
        close(*fd);
        free(*temporary_name);
        *temporary_name = NULL;
        *fd = -1;
    }
    return status;
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

/* A signal ends an allocation that is under way, so a large one goes in pieces. */
#define ALLOCATION_PIECE ((uint64_t)16 << 20)

/* Whether so much surely is not there: to find that out by allocating would leave nothing for others meanwhile. */
static bool exceeds_space(int fd, uint64_t size)
{
    struct statvfs system;
    return fstatvfs(fd, &system) == 0 && system.f_blocks > 0 && system.f_frsize > 0 &&
           size / system.f_frsize > system.f_bfree;
}

int32_t linux_allocate(int fd, uint64_t offset, uint64_t size)
{
    if (size > ALLOCATION_PIECE && exceeds_space(fd, size))
        return MAPRING_NO_SPACE;
    while (size > 0) {
        uint64_t piece = size < ALLOCATION_PIECE ? size : ALLOCATION_PIECE;
        int error = posix_fallocate(fd, (off_t)offset, (off_t)piece);
        if (error == EINTR)
            continue;
        if (error != 0)
            return linux_status(error);
        offset += piece;
        size -= piece;
    }
    return MAPRING_OK;
}
