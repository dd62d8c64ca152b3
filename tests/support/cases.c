#include "cases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "payload.h"

#define SKIPPED 77

void fail(const char *file, int line, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    flockfile(stderr);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(values);
    _exit(1);
}

void skip(const char *reason)
{
    fprintf(stderr, "skipped: %s\n", reason);
    _exit(SKIPPED);
}

void check_status(const char *file, int line, const char *call, int32_t status, int32_t expected)
{
    if (status != expected)
        fail(file, line, "%s gave %s (%d) instead of %s (%d)", call, mapring_status_name(status), (int)status,
             mapring_status_name(expected), (int)expected);
}

/* Processes. */

static pid_t fork_bound(void)
{
    fflush(NULL);
    pid_t parent = getpid();
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before it was watched */
    return 0;
}

pid_t spawn(void (*run)(void *argument), void *argument)
{
    pid_t child = fork_bound();
    if (child > 0)
        return child;
    run(argument);
    _exit(0);
}

static int wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) != child)
        CHECK(errno == EINTR, "waitpid: %s", strerror(errno));
    return status;
}

void join(pid_t child)
{
    int status = wait_for(child);
    CHECK(!WIFSIGNALED(status), "a child ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) == SKIPPED)
        _exit(SKIPPED); /* it said why */
    CHECK(WEXITSTATUS(status) == 0, "a child failed");
}

void join_killed(pid_t child, int signal)
{
    int status = wait_for(child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signal, "a child ended with wait status %x instead of signal %d",
          (unsigned)status, signal);
}

void kill_child(pid_t child)
{
    kill(child, SIGKILL);
    join_killed(child, SIGKILL);
}

void stop_child(pid_t child)
{
    int status;
    kill(child, SIGSTOP);
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status), "a child does not stop");
}

/* What processes share. */

void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    return memory;
}

struct gate gate_new(void)
{
    struct gate gate;
    CHECK(pipe2(gate.fds, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    return gate;
}

void gate_open(struct gate gate)
{
    while (write(gate.fds[1], "", 1) != 1)
        CHECK(errno == EINTR, "write: %s", strerror(errno));
}

void gate_pass(struct gate gate)
{
    char byte;
    while (read(gate.fds[0], &byte, 1) != 1)
        CHECK(errno == EINTR, "read: %s", strerror(errno));
}

void gate_close(struct gate gate)
{
    close(gate.fds[0]);
    close(gate.fds[1]);
}

/* Time. */

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

void spin_ns(int64_t duration)
{
    int64_t end = now_ns() + duration;
    while (now_ns() < end)
        ;
}

void sleep_random(uint64_t *random, uint64_t max_ns)
{
    struct timespec pause = {.tv_nsec = (long)(random_next(random) % (max_ns + 1))};
    nanosleep(&pause, NULL);
}

/* What is left. */

static int count_entries(const char *path)
{
    DIR *folder = opendir(path);
    CHECK(folder != NULL, "%s: %s", path, strerror(errno));
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return count;
}

int count_descriptors(void)
{
    return count_entries("/proc/self/fd") - 1; /* the folder's own */
}

int count_names(void)
{
    return count_entries(getenv("MAPRING_DIR"));
}

int count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL, "/proc/self/maps: %s", strerror(errno));
    int count = 0;
    char line[4096 + 128];
    while (fgets(line, sizeof line, maps) != NULL) {
        char rights[8] = "";
        sscanf(line, "%*s %7s", rights);
        count += rights[3] == 's';
    }
    fclose(maps);
    return count;
}

int count_global_names(void)
{
    const char *path = getenv("MAPRING_GLOBAL_DIR");
    return access(path, F_OK) == 0 ? count_entries(path) : 0;
}

static void file_beside(const char *folder, char path[96])
{
    snprintf(path, 96, "%s.file", folder);
}

const char *case_file(void)
{
    static char path[96];
    file_beside(getenv("MAPRING_DIR"), path);
    return path;
}

/* Running. */

static void make_folder(char path[64])
{
    snprintf(path, 64, "%s/mapring-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(path) != NULL, "%s: %s", path, strerror(errno));
    setenv("MAPRING_DIR", path, 1);
    char global_path[96];
    snprintf(global_path, sizeof global_path, "%s.global", path);
    setenv("MAPRING_GLOBAL_DIR", global_path, 1);
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder != NULL)
        closedir(folder);
    CHECK(rmdir(path) == 0, "%s: %s", path, strerror(errno));
}

static const char *run_case(const struct test_case *test, unsigned limit_s)
{
    char path[64];
    make_folder(path);
    pid_t child = fork_bound();
    if (child == 0) {
        /* Some children are meant to crash. */
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        alarm(limit_s * (unsigned)test_length());
        test->run();
        fflush(NULL);
        _exit(0);
    }
    int status = wait_for(child);
    const char *result = "FAILED";
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "%s: %s\n", test->name, strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == SKIPPED) {
        result = "skipped";
    } else if (WEXITSTATUS(status) == 0) {
        result = "ok";
        if (count_names() + count_global_names() > 0) {
            fprintf(stderr, "%s: names are left in a folder of names\n", test->name);
            result = "FAILED";
        }
    }
    remove_folder(path);
    const char *global_path = getenv("MAPRING_GLOBAL_DIR");
    if (access(global_path, F_OK) == 0)
        remove_folder(global_path);
    char file[96];
    file_beside(path, file);
    if (unlink(file) == 0 && result[0] == 'o') {
        fprintf(stderr, "%s: its file is left\n", test->name);
        result = "FAILED";
    }
    return result;
}

int run_cases(int argc, char **argv, const struct test_case *cases, size_t count, unsigned limit_s)
{
    int passed = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        bool wanted = argc < 2;
        for (int j = 1; j < argc; j++)
            wanted = wanted || strcmp(argv[j], cases[i].name) == 0;
        if (!wanted)
            continue;
        int64_t start = now_ns();
        const char *result = run_case(&cases[i], limit_s);
        printf("%-8s %5.1f s  %s\n", result, (double)(now_ns() - start) / 1e9, cases[i].name);
        passed += result[0] == 'o';
        failed += result[0] == 'F';
    }
    printf("%d passed, %d failed\n", passed, failed);
    if (failed > 0)
        return 1;
    return passed > 0 ? 0 : SKIPPED;
}

/* The beginning of a file that the kernel writes, opened once; false if there is none. */
static bool read_again(const char *path, int *file, char text[256])
{
    if (*file < 0)
        *file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = *file < 0 ? 0 : pread(*file, text, 255, 0);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

int64_t stolen_from_machine(void)
{
    static int file = -1;
    char text[256];
    long long ticks = 0;
    if (!read_again("/proc/stat", &file, text))
        return 0;
    /* user, nice, system, idle, iowait, irq, softirq, steal; of all processors together */
    if (sscanf(text, "cpu %*d %*d %*d %*d %*d %*d %*d %lld", &ticks) != 1)
        return 0;
    return ticks * (SECOND / sysconf(_SC_CLK_TCK));
}

int64_t waited_for_processor(void)
{
    static int file = -1;
    char text[256];
    char *waited;
    if (!read_again("/proc/self/schedstat", &file, text))
        return 0;
    strtoull(text, &waited, 10);
    return strtoll(waited, NULL, 10);
}
