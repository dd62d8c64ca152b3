/*
 * Who a process is, and whether it is gone: a second opinion beside its locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux.h"

/* Reads the start of a small file as a string. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = 0;
    return true;
}

/* Whether a process runs, be it only in a thread other than its first, and when it started: fields 3, 20 and 22 of
 * proc(5). */
static bool read_stat(uint32_t pid, bool *runs, uint64_t *start)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    if (!read_text(path, text, sizeof text))
        return false;
    /* The name before it can hold anything, brackets too. */
    const char *field = strrchr(text, ')');
    if (field == NULL || field[1] == 0 || field[2] == 0)
        return false;
    field += 2;
    char state = *field;
    unsigned long threads = 0;
    for (int number = 3; number < 22; number++) {
        if (number == 20)
            threads = strtoul(field, NULL, 10);
        field = strchr(field, ' ');
        if (field == NULL)
            return false;
        field++;
    }
    *start = strtoull(field, NULL, 10);
    *runs = state != 'X' && (state != 'Z' || threads > 1);
    return true;
}

void platform_boot_id(uint64_t id[2])
{
    char text[64];
    id[0] = id[1] = 0;
    if (!read_text("/proc/sys/kernel/random/boot_id", text, sizeof text))
        return;
    uint32_t digits = 0;
    for (const char *c = text; *c != 0 && digits < 32; c++) {
        int digit = *c >= '0' && *c <= '9' ? *c - '0' : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10 : -1;
        if (digit < 0)
            continue;
        id[digits / 16] = id[digits / 16] << 4 | (uint64_t)digit;
        digits++;
    }
}

/* Whether /proc tells of the name space of process ids that we are in. */
static bool proc_is_ours(void)
{
    char target[16];
    ssize_t length = readlink("/proc/self", target, sizeof target - 1);
    if (length <= 0)
        return false;
    target[length] = 0;
    return strtol(target, NULL, 10) == (long)getpid();
}

/* This boot and this name space of process ids. */
static uint64_t own_place(void)
{
    struct stat name_space;
    uint64_t boot_id[2];
    if (!proc_is_ours())
        return 0;
    platform_boot_id(boot_id);
    if ((boot_id[0] | boot_id[1]) == 0 || stat("/proc/self/ns/pid", &name_space) != 0)
        return 0;
    return boot_id[0] ^ boot_id[1] ^ (uint64_t)name_space.st_ino;
}

void platform_process_self(struct platform_process *self)
{
    *self = (struct platform_process){.pid = (uint32_t)getpid(), .place = own_place()};
    bool runs;
    if (!read_stat(self->pid, &runs, &self->start))
        self->place = 0;
}

uint32_t platform_process_number(void)
{
    return (uint32_t)getpid();
}

bool platform_process_gone(const struct platform_process *process)
{
    if (process->pid == 0 || process->pid > INT32_MAX || process->place == 0 || process->place != own_place())
        return false;
    if (kill((pid_t)process->pid, 0) != 0 && errno == ESRCH)
        return true;
    bool runs;
    uint64_t start;
    return read_stat(process->pid, &runs, &start) && (start != process->start || !runs);
}

int linux_process_open(const struct platform_process *process)
{
    if (process->pid == 0 || process->pid > INT32_MAX || process->place == 0 || process->place != own_place())
        return -1;
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)process->pid, 0);
    bool runs;
    uint64_t start;
    /* Looked at behind it: the number may be another's by now. */
    if (fd >= 0 && read_stat(process->pid, &runs, &start) && start == process->start)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
