/*
 * Clocks, fences across processes, random words, the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <mapring/mapring.h>

#include "linux.h"

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t platform_clock_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t platform_time_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

bool platform_heavy_fence_register(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

bool platform_heavy_fence(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0)
        return true;
    fence_full();
    return false;
}

void platform_sleep(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    /* Who looks again and again between two sleeps takes a whole processor where none is to be had: so another way is
     * tried. */
    if (nanosleep(&time, NULL) != 0 && errno != EINTR && ppoll(NULL, 0, &time, NULL) < 0 && errno != EINTR)
        sched_yield();
}

/* What getrandom() gives, as a file. */
static int32_t read_random(uint64_t words[2])
{
    struct stat file;
    int fd = open("/dev/urandom", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? MAPRING_NO_DESCRIPTORS : MAPRING_UNSUPPORTED;
    bool got = fstat(fd, &file) == 0 && S_ISCHR(file.st_mode) && read(fd, words, 16) == 16;
    close(fd);
    return got ? MAPRING_OK : MAPRING_UNSUPPORTED;
}

int32_t platform_random(uint64_t words[2])
{
    for (;;) {
        ssize_t got = getrandom(words, 16, 0);
        if (got == 16)
            return MAPRING_OK;
        if (got < 0 && errno != EINTR)
            return read_random(words);
    }
}
