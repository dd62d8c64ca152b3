/*
 * Descriptors that other processes make ready: an epoll descriptor, which is ready when one of these is.
 *
 *   an eventfd     written by this process; and by the kernel when a doorbell is rung, if that is how it was opened
 *   FIFOs          one in each folder of names that it can be reached from, read here and written by others
 *   a timer        the time of an alarm, from the first one on
 *   a pidfd        the end of a process
 *
 * A FIFO in the folder where the ring's own name lies is reached by everybody who reaches the ring, from other
 * containers too, which sockets without a name are not. (An eventfd handed over a socket could hold up who writes to
 * it: its flags belong to all who have it.) It has a temporary name, which is swept away when its owner was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"
#include "park.h"
#include "uring.h"

/* What an event of epoll is about: one of these, or a descriptor of the caller's by its tag. */
enum source { SOURCE_EVENT, SOURCE_FIFO, SOURCE_TIMER, SOURCE_PROCESS, SOURCE_OTHER };

#define SOURCE_SHIFT 32 /* below it: the tag, or the FIFO's number */
#define EVENTS 32

struct fifo {
    uint64_t address;
    int fd;
    int folder_fd;
    dev_t device; /* of the folder */
    ino_t folder;
};

struct platform_descriptor {
    int epoll_fd;
    int event_fd;
    int timer_fd;   /* -1: there was no alarm yet */
    int process_fd; /* -1: none is watched */
    struct platform_process watched;
    pid_t pid; /* of the process that it belongs to */
    struct linux_uring *uring;
    struct fifo *fifos;
    uint32_t fifo_count;
};

static int32_t add_source(const struct platform_descriptor *descriptor, int fd, uint32_t events, enum source source,
                          uint32_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)source << SOURCE_SHIFT | tag};
    return epoll_ctl(descriptor->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? MAPRING_OK : linux_status(errno);
}

int32_t platform_descriptor_open(bool futex, struct platform_descriptor **out)
{
    struct platform_descriptor *descriptor = calloc(1, sizeof *descriptor);
    if (descriptor == NULL)
        return MAPRING_NO_MEMORY;
    descriptor->process_fd = descriptor->timer_fd = -1;
    descriptor->pid = getpid();
    descriptor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    descriptor->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool opened = descriptor->epoll_fd >= 0 && descriptor->event_fd >= 0;
    int32_t status = opened ? MAPRING_OK : linux_status(errno);
    if (status == MAPRING_OK)
        status = add_source(descriptor, descriptor->event_fd, EPOLLIN, SOURCE_EVENT, 0);
    if (status == MAPRING_OK && futex)
        status = linux_uring_open(descriptor->event_fd, &descriptor->uring);
    if (status < 0) {
        platform_descriptor_close(descriptor);
        return status;
    }
    *out = descriptor;
    return MAPRING_OK;
}

static void fifo_name(uint64_t address, char name[64])
{
    snprintf(name, 64, "." LINUX_FIFO_NAME LINUX_TEMPORARY_MARK "%016llx", (unsigned long long)address);
}

static void close_fifo(const struct platform_descriptor *descriptor, const struct fifo *fifo)
{
    char name[64];
    fifo_name(fifo->address, name);
    if (descriptor->pid == getpid())
        unlinkat(fifo->folder_fd, name, 0);
    close(fifo->fd);
    close(fifo->folder_fd);
}

void platform_descriptor_close(struct platform_descriptor *descriptor)
{
    if (descriptor == NULL)
        return;
    linux_uring_close(descriptor->uring);
    for (uint32_t i = 0; i < descriptor->fifo_count; i++)
        close_fifo(descriptor, &descriptor->fifos[i]);
    free(descriptor->fifos);
    const int fds[] = {descriptor->process_fd, descriptor->timer_fd, descriptor->event_fd, descriptor->epoll_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(descriptor);
}

int64_t platform_descriptor_number(const struct platform_descriptor *descriptor)
{
    return descriptor->epoll_fd;
}

/* Addresses. */

/* As in creation.c: whoever sweeps has an exclusive lock, and takes away what is not locked yet. */
static int32_t keep_fifo(const struct fifo *fifo, const char *name)
{
    int32_t kept = linux_flock(fifo->fd, LOCK_SH);
    return kept == 1 ? linux_entry_is_linked(fifo->folder_fd, name, fifo->fd) : kept;
}

/* Who may write to the ring may use the FIFO, and nobody else, whatever our umask: who reads it takes wakeups away. */
static int32_t make_fifo(struct fifo *fifo, mode_t permissions)
{
    uint64_t random[2];
    int32_t status = platform_random(random);
    if (status < 0)
        return status;
    char name[64];
    fifo->address = random[0] | 1;
    fifo_name(fifo->address, name);
    if (mkfifoat(fifo->folder_fd, name, 0600) != 0)
        return linux_status(errno);
    /* Also to be written by us, so that it is never at its end. */
    fifo->fd = openat(fifo->folder_fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fifo->fd >= 0) {
        int32_t kept = keep_fifo(fifo, name);
        if (kept == 1 && fchmod(fifo->fd, permissions) == 0)
            return MAPRING_OK;
        status = kept == 1 ? linux_status(errno) : kept == 0 ? MAPRING_BUSY : kept;
    } else {
        status = errno == ENOENT ? MAPRING_BUSY : linux_status(errno);
    }
    if (fifo->fd >= 0)
        close(fifo->fd);
    unlinkat(fifo->folder_fd, name, 0);
    return status;
}

#define ROUNDS 10

static int32_t open_fifo(struct platform_descriptor *descriptor, const struct platform_segment *segment,
                         const struct stat *folder, struct fifo *fifo)
{
    struct stat file;
    *fifo = (struct fifo){.device = folder->st_dev, .folder = folder->st_ino};
    if (fstat(segment->data_fd, &file) != 0)
        return linux_status(errno);
    fifo->folder_fd = openat(segment->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fifo->folder_fd < 0)
        return linux_status(errno);
    /* Those of the killed. */
    linux_temporaries_sweep(fifo->folder_fd, LINUX_FIFO_NAME);
    int32_t status = MAPRING_BUSY;
    for (int round = 0; status == MAPRING_BUSY && round < ROUNDS; round++)
        status = make_fifo(fifo, 0600 | (file.st_mode & 0222) | (file.st_mode & 0222) << 1);
    if (status < 0) {
        close(fifo->folder_fd);
        return status;
    }
    status = add_source(descriptor, fifo->fd, EPOLLIN, SOURCE_FIFO, descriptor->fifo_count);
    if (status < 0)
        close_fifo(descriptor, fifo);
    return status;
}

int32_t platform_descriptor_address(struct platform_descriptor *descriptor, const struct platform_segment *segment,
                                    uint64_t *address)
{
    struct stat folder;
    if (fstat(segment->folder_fd, &folder) != 0)
        return linux_status(errno);
    for (uint32_t i = 0; i < descriptor->fifo_count; i++) {
        const struct fifo *fifo = &descriptor->fifos[i];
        if (fifo->device == folder.st_dev && fifo->folder == folder.st_ino) {
            *address = fifo->address;
            return MAPRING_OK;
        }
    }
    struct fifo *fifos = realloc(descriptor->fifos, (descriptor->fifo_count + 1) * sizeof *fifos);
    if (fifos == NULL)
        return MAPRING_NO_MEMORY;
    descriptor->fifos = fifos;
    struct fifo *fifo = &fifos[descriptor->fifo_count];
    int32_t status = open_fifo(descriptor, segment, &folder, fifo);
    if (status < 0)
        return status;
    descriptor->fifo_count++;
    *address = fifo->address;
    return MAPRING_OK;
}

/* Opens what another process made; and made it what it should be, or it is not touched. To be read as well, so that it
 * has a reader for as long as we write to it: else a signal would end us. */
static int open_link(int folder_fd, uint64_t address)
{
    char name[64];
    struct stat file;
    fifo_name(address, name);
    if (fstatat(folder_fd, name, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISFIFO(file.st_mode))
        return -1;
    int fd = openat(folder_fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &file) != 0 || !S_ISFIFO(file.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

void platform_descriptor_ring(struct platform_parking *parking, const struct platform_segment *segment, uint32_t number,
                              uint64_t address)
{
    struct linux_link *link = &parking->links[number % parking->link_count];
    if (link->address != address || link->fd < 0) {
        if (link->fd >= 0)
            close(link->fd);
        link->address = address;
        link->fd = open_link(segment->folder_fd, address);
    }
    /* If it is full it is ready. */
    const char ring = 1;
    if (link->fd >= 0 && write(link->fd, &ring, sizeof ring) < 0)
        return;
}

/* Making it ready. */

void platform_descriptor_set(struct platform_descriptor *descriptor)
{
    const uint64_t one = 1;
    int saved_errno = errno;
    /* If the count is at its end it is ready. */
    if (write(descriptor->event_fd, &one, sizeof one) < 0)
        errno = saved_errno;
}

int32_t platform_descriptor_park(struct platform_descriptor *descriptor, const struct platform_parking *parking,
                                 const shared32 *doorbell, uint32_t remembered)
{
    if (descriptor->uring == NULL)
        return MAPRING_OK;
    int32_t status = linux_uring_park(descriptor->uring, doorbell, remembered, parking->bit, descriptor->event_fd);
    if (status < 0) {
        linux_uring_close(descriptor->uring);
        descriptor->uring = NULL;
    }
    return status;
}

/* Who waits in the library needs none. */
static int32_t open_timer(struct platform_descriptor *descriptor)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return linux_status(errno);
    int32_t status = add_source(descriptor, fd, EPOLLIN, SOURCE_TIMER, 0);
    if (status < 0)
        close(fd);
    else
        descriptor->timer_fd = fd;
    return status;
}

int32_t platform_descriptor_alarm(struct platform_descriptor *descriptor, uint64_t at_ns)
{
    int32_t status = descriptor->timer_fd < 0 ? open_timer(descriptor) : MAPRING_OK;
    if (status < 0)
        return status;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / 1000000000u), .tv_nsec = (long)(at_ns % 1000000000u)}};
    return timerfd_settime(descriptor->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0 ? MAPRING_OK
                                                                                      : linux_status(errno);
}

static void watch_nobody(struct platform_descriptor *descriptor)
{
    if (descriptor->process_fd >= 0)
        close(descriptor->process_fd);
    descriptor->process_fd = -1;
    descriptor->watched = (struct platform_process){0};
}

bool platform_descriptor_watch(struct platform_descriptor *descriptor, const struct platform_process *process)
{
    if (process == NULL) {
        watch_nobody(descriptor);
        return true;
    }
    const struct platform_process *watched = &descriptor->watched;
    if (process->pid == watched->pid && process->place == watched->place && process->start == watched->start)
        return descriptor->process_fd >= 0;
    watch_nobody(descriptor);
    descriptor->watched = *process;
    int fd = linux_process_open(process);
    if (fd >= 0 && add_source(descriptor, fd, EPOLLIN, SOURCE_PROCESS, 0) < 0) {
        close(fd);
        fd = -1;
    }
    descriptor->process_fd = fd;
    return fd >= 0;
}

/* Clearing. */

static enum source source_of(const struct epoll_event *event)
{
    return (enum source)(event->data.u64 >> SOURCE_SHIFT);
}

/* What others wrote, all of it: who writes faster than this is read stays ready. */
#define FIFO_READS 64

static bool clear_fifo(int fd)
{
    char rings[4096];
    ssize_t got = read(fd, rings, sizeof rings);
    bool rung = got > 0;
    for (int i = 1; i < FIFO_READS && got == (ssize_t)sizeof rings; i++)
        got = read(fd, rings, sizeof rings);
    return rung;
}

static void clear_source(struct platform_descriptor *descriptor, enum source source, uint32_t tag,
                         struct platform_causes *causes)
{
    uint64_t count;
    switch (source) {
    case SOURCE_EVENT:
        /* Read before each look, so that what comes behind the last one shows. */
        do
            causes->rung = read(descriptor->event_fd, &count, sizeof count) > 0 || causes->rung;
        while (linux_uring_reap(descriptor->uring));
        break;
    case SOURCE_FIFO:
        causes->rung = clear_fifo(descriptor->fifos[tag].fd) || causes->rung;
        break;
    case SOURCE_TIMER:
        causes->alarmed = read(descriptor->timer_fd, &count, sizeof count) > 0 || causes->alarmed;
        break;
    case SOURCE_PROCESS:
        causes->bereft = true;
        break;
    case SOURCE_OTHER:
        break;
    }
}

/* For a sandbox that lets nobody ask which of them are ready. */
static void clear_every_source(struct platform_descriptor *descriptor, struct platform_causes *causes)
{
    struct pollfd process = {.fd = descriptor->process_fd, .events = POLLIN};
    clear_source(descriptor, SOURCE_EVENT, 0, causes);
    for (uint32_t i = 0; i < descriptor->fifo_count; i++)
        clear_source(descriptor, SOURCE_FIFO, i, causes);
    clear_source(descriptor, SOURCE_TIMER, 0, causes);
    if (poll(&process, 1, 0) == 1)
        clear_source(descriptor, SOURCE_PROCESS, 0, causes);
}

struct platform_causes platform_descriptor_clear(struct platform_descriptor *descriptor)
{
    struct platform_causes causes = {0};
    struct epoll_event events[EVENTS];
    int count = epoll_wait(descriptor->epoll_fd, events, EVENTS, 0);
    for (int i = 0; i < count; i++)
        clear_source(descriptor, source_of(&events[i]), (uint32_t)events[i].data.u64, &causes);
    if (count < 0)
        clear_every_source(descriptor, &causes);
    return causes;
}

/* Others. */

int32_t platform_descriptor_add(struct platform_descriptor *descriptor, int64_t other, uint32_t events, uint32_t tag)
{
    uint32_t wanted = ((events & MAPRING_EVENT_READABLE) != 0 ? (uint32_t)EPOLLIN : 0) |
                      ((events & MAPRING_EVENT_WRITABLE) != 0 ? (uint32_t)EPOLLOUT : 0);
    if (other < 0 || other > INT32_MAX)
        return MAPRING_INVALID_ARGUMENT;
    struct epoll_event event = {.events = wanted, .data.u64 = (uint64_t)SOURCE_OTHER << SOURCE_SHIFT | tag};
    if (epoll_ctl(descriptor->epoll_fd, EPOLL_CTL_ADD, (int)other, &event) == 0)
        return MAPRING_OK;
    switch (errno) {
    case EPERM: /* a plain file, which is always ready */
        return MAPRING_UNSUPPORTED;
    case EBADF:
    case EEXIST:
    case ELOOP:
    case EINVAL:
        return MAPRING_INVALID_ARGUMENT;
    default:
        return linux_status(errno);
    }
}

void platform_descriptor_remove(struct platform_descriptor *descriptor, int64_t other)
{
    epoll_ctl(descriptor->epoll_fd, EPOLL_CTL_DEL, (int)other, NULL);
}

static uint32_t events_of(uint32_t happened)
{
    return ((happened & (EPOLLIN | EPOLLHUP | EPOLLRDHUP)) != 0 ? (uint32_t)MAPRING_EVENT_READABLE : 0) |
           ((happened & EPOLLOUT) != 0 ? (uint32_t)MAPRING_EVENT_WRITABLE : 0) |
           ((happened & (EPOLLERR | EPOLLHUP)) != 0 ? (uint32_t)MAPRING_EVENT_ERROR : 0);
}

/* Whole milliseconds, rounded up, so that nobody wakes too early and looks again. */
static int milliseconds_until(uint64_t deadline_ns)
{
    uint64_t now = platform_clock_ns();
    uint64_t left = deadline_ns > now ? (deadline_ns - now + 999999) / 1000000 : 0;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

int32_t platform_descriptor_wait(struct platform_descriptor *descriptor, uint64_t deadline_ns,
                                 struct platform_ready *ready, uint32_t max)
{
    struct epoll_event events[EVENTS];
    struct platform_causes causes = {0};
    int wanted = max < EVENTS ? (int)max : EVENTS;
    int count = epoll_wait(descriptor->epoll_fd, events, wanted, milliseconds_until(deadline_ns));
    if (count < 0 && errno != EINTR)
        return linux_status(errno);
    int32_t others = 0;
    for (int i = 0; i < count; i++) {
        uint32_t tag = (uint32_t)events[i].data.u64;
        if (source_of(&events[i]) == SOURCE_OTHER)
            ready[others++] = (struct platform_ready){tag, events_of(events[i].events)};
        else
            clear_source(descriptor, source_of(&events[i]), tag, &causes);
    }
    return others;
}
