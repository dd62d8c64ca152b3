#include "roudi.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"

#define PATIENCE_NS 10000000000u
#define LOOK_MS 100

static pid_t keeper;
static int held = -1; /* the keeper's work is over when nobody holds it any more */
static int output = -1;
static char said[4096];

void roudi_user(char *name, size_t room, pid_t conductor, unsigned member)
{
    snprintf(name, room, "mapring-bench-%d-%u", (int)conductor, member);
}

static void unlink_channel(const char *name)
{
    char path[96];
    snprintf(path, sizeof path, "/tmp/%s", name);
    unlink(path);
    snprintf(path, sizeof path, "/tmp/%s.lock", name);
    unlink(path);
}

/* What stays of a daemon that was killed, and of those who used it. If its lock is held there is another, and the files
 * are that one's. */
static void sweep(pid_t conductor)
{
    char name[64];
    for (unsigned i = 0; i < ROUDI_USERS; i++) {
        roudi_user(name, sizeof name, conductor, i);
        unlink_channel(name);
    }
    int lock = open("/tmp/iox-unique-roudi.lock", O_RDWR | O_CLOEXEC);
    if (lock < 0)
        return;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        const struct group *group = getgrgid(getegid()); /* names the segment with the chunks, which comes second */
        if (shm_unlink("iceoryx_mgmt") == 0 && group != NULL)
            shm_unlink(group->gr_name);
        unlink_channel("roudi");
        unlink_channel("iox-unique-roudi");
    }
    close(lock);
}

/* Monitoring off: it would have its users report to it all the time. */
static void become_daemon(int words, uint64_t message_bytes, uint64_t chunks) __attribute__((noreturn));
static void become_daemon(int words, uint64_t message_bytes, uint64_t chunks)
{
    char path[32];
    int config = memfd_create("mapring-bench-roudi", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", config);
    dprintf(config, "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = %llu\ncount = %llu\n",
            (unsigned long long)message_bytes, (unsigned long long)chunks);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    dup2(words, STDOUT_FILENO);
    dup2(words, STDERR_FILENO);
    execlp("iox-roudi", "iox-roudi", "-m", "off", "-l", "fatal", "-c", path, (char *)NULL);
    dprintf(STDOUT_FILENO, "%s\n", strerror(errno));
    _exit(1);
}

/*
 * A process between the conductor and the daemon, so that nothing stays however the conductor ends. It kills the
 * daemon: one that is asked to end sends signals to users that it believes alive, and stumbles over those that were
 * killed.
 */
static void keep(int link, int words, uint64_t message_bytes, uint64_t chunks) __attribute__((noreturn));
static void keep(int link, int words, uint64_t message_bytes, uint64_t chunks)
{
    pid_t conductor = getppid();
    /* Not what a terminal sends to all: the conductor decides how to end. */
    setsid();
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    pid_t self = getpid(), roudi = fork();
    if (roudi == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == self)
            become_daemon(words, message_bytes, chunks);
        _exit(1);
    }
    /* Ends of other crews' links, held open, would hide that the conductor closed them. */
    dup2(link, STDERR_FILENO + 1);
    close_range(STDERR_FILENO + 2, ~0u, 0);
    char none;
    while (read(STDERR_FILENO + 1, &none, 1) < 0 && errno == EINTR)
        continue;
    if (roudi > 0) {
        kill(roudi, SIGKILL);
        waitpid(roudi, NULL, 0);
    }
    sweep(conductor);
    _exit(0);
}

static const char *why_not(void)
{
    static char reason[160];
    if (strstr(said, "Could not acquire lock") != NULL)
        return "another iox-roudi runs";
    size_t length = strlen(said);
    while (length > 0 && said[length - 1] == '\n')
        said[--length] = 0;
    const char *line = strrchr(said, '\n');
    snprintf(reason, sizeof reason, "iox-roudi does not start: %.120s", line == NULL ? said : line + 1);
    return reason;
}

static const char *await_ready(void)
{
    size_t length = 0;
    uint64_t deadline = now_ns() + PATIENCE_NS;
    while (now_ns() < deadline && !run_interrupted()) {
        struct pollfd words = {.fd = output, .events = POLLIN};
        if (poll(&words, 1, LOOK_MS) <= 0)
            continue;
        if (length == sizeof said - 1)
            length = 0;
        ssize_t got = read(output, said + length, sizeof said - 1 - length);
        if (got <= 0)
            return why_not();
        length += (size_t)got;
        said[length] = 0;
        if (strstr(said, "ready for clients") != NULL)
            return NULL;
    }
    return "iox-roudi is not ready after 10 s";
}

const char *roudi_start(uint64_t message_bytes, uint64_t chunks)
{
    int link[2], words[2];
    if (pipe2(link, O_CLOEXEC) != 0)
        return "no pipe to its daemon";
    if (pipe2(words, O_CLOEXEC) != 0) {
        close(link[0]);
        close(link[1]);
        return "no pipe to its daemon";
    }
    fflush(NULL);
    said[0] = 0;
    keeper = fork();
    if (keeper == 0) {
        close(link[1]);
        keep(link[0], words[1], message_bytes, chunks);
    }
    close(link[0]);
    close(words[1]);
    held = link[1];
    output = words[0];
    const char *reason = keeper < 0 ? "cannot start a process for its daemon" : await_ready();
    if (reason != NULL)
        roudi_end();
    return reason;
}

void roudi_end(void)
{
    close(held);
    close(output);
    while (keeper > 0 && waitpid(keeper, NULL, 0) < 0 && errno == EINTR)
        continue;
}
