#define _GNU_SOURCE 1

#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;
static int null_input = -1;
static int null_output = -1;

void system_start(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* A stream that came closed would give its number to a segment. So it gets one that refuses to be used. */
    for (int stream = SYSTEM_INPUT; stream <= SYSTEM_ERRORS; stream++)
        if (fcntl(stream, F_GETFD) < 0)
            (void)!open("/dev/null", stream == SYSTEM_INPUT ? O_WRONLY : O_RDONLY);
}

/*
 * The signal may come just before a read or write that then waits for ever. So
 * the streams are exchanged for ones that do not wait; what goes into
 * them is of no use to anyone, since the process is to end.
 */
static void on_stop(int number)
{
    int saved = errno;
    stop_signal = number;
    dup2(null_input, SYSTEM_INPUT);
    dup2(null_output, SYSTEM_OUTPUT);
    errno = saved;
}

void system_catch_stop(void)
{
    signal(SIGPIPE, SIG_IGN);
    null_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    null_output = open("/dev/null", O_WRONLY | O_CLOEXEC);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction old;
        if (sigaction(numbers[i], NULL, &old) != 0 || old.sa_handler == SIG_IGN)
            continue; /* as nohup and background jobs of a shell want it */
        struct sigaction action = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};
        sigemptyset(&action.sa_mask);
        sigaction(numbers[i], &action, NULL);
    }
}

bool system_stopped(void)
{
    return stop_signal != 0;
}

int system_finish(int status)
{
    if (stop_signal != 0) {
        signal(stop_signal, SIG_DFL);
        raise(stop_signal);
    }
    return status;
}

static void await(int stream, short events)
{
    struct pollfd descriptor = {.fd = stream, .events = events};
    poll(&descriptor, 1, -1);
}

/* Whether a call that failed is to be made again: a signal that means nothing came, or the stream does not block. */
static bool is_repeated(int stream, short events)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        await(stream, events);
    else if (errno != EINTR)
        return false;
    return true;
}

int64_t system_read(void *buffer, size_t size)
{
    for (;;) {
        ssize_t count = read(SYSTEM_INPUT, buffer, size);
        if (stop_signal != 0)
            return SYSTEM_STOPPED;
        if (count >= 0)
            return count;
        if (!is_repeated(SYSTEM_INPUT, POLLIN))
            return SYSTEM_FAILED;
    }
}

void system_await_input(void)
{
    await(SYSTEM_INPUT, POLLIN);
}

#define VECTORS 512

static int write_vectors(struct iovec *vectors, int count)
{
    while (count > 0) {
        ssize_t written = writev(SYSTEM_OUTPUT, vectors, count);
        if (stop_signal != 0)
            return SYSTEM_STOPPED;
        if (written < 0) {
            if (is_repeated(SYSTEM_OUTPUT, POLLOUT))
                continue;
            return errno == EPIPE ? SYSTEM_CLOSED : SYSTEM_FAILED;
        }
        size_t left = (size_t)written;
        while (count > 0 && left >= vectors->iov_len) {
            left -= vectors->iov_len;
            vectors++;
            count--;
        }
        if (left > 0) {
            vectors->iov_base = (char *)vectors->iov_base + left;
            vectors->iov_len -= left;
        }
    }
    return 0;
}

int system_write(const struct system_piece *pieces, uint32_t count)
{
    struct iovec vectors[VECTORS];
    int outcome = 0;
    for (uint32_t done = 0; done < count && outcome == 0;) {
        int used = 0;
        for (; used < VECTORS && done < count; done++, used++)
            vectors[used] = (struct iovec){(void *)(uintptr_t)pieces[done].data, pieces[done].length};
        outcome = write_vectors(vectors, used);
    }
    return outcome;
}

bool system_output_closed(void)
{
    /* POLLERR: the pipe has no readers. A regular file never says it. */
    struct pollfd descriptor = {.fd = SYSTEM_OUTPUT};
    return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & (POLLERR | POLLHUP)) != 0;
}

const char *system_error(void)
{
    return strerror(errno);
}

bool system_is_terminal(enum system_stream stream)
{
    return isatty((int)stream) == 1;
}

uint64_t system_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool system_is_path(const char *argument)
{
    return strchr(argument, '/') != NULL;
}

bool system_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
