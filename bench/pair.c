#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "bare.h"

enum side { DRIVER, PARTNER };

/* Each word on a block of its own. */
struct line64 {
    shared64 word;
    uint8_t unused[120];
};

struct meeting {
    struct line64 stop;
    struct line64 failed;
    struct line64 phase[2]; /* how often each side came to pair_meet() */
    struct line64 done_ns;
    struct line64 waited_ns; /* by the partner, for its processor, during the last job */
};

/* What travels through the pipe. */
struct order {
    void (*call)(void); /* NULL: the job */
    struct job job;
};

static struct meeting *meeting;
static enum side side;
static uint64_t phase;
static int orders;
static int schedstat = -1;
static pid_t partner;

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("mapring-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    pair_report_failure();
    if (side == PARTNER)
        _exit(1);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const char *distance_name(enum distance distance)
{
    static const char *const names[DISTANCE_COUNT] = {"none", "same core", "near", "far"};
    return names[distance];
}

bool stopping(void)
{
    return load64_relaxed(&meeting->stop.word) != 0;
}

bool pair_failed(void)
{
    return meeting != NULL && load64_relaxed(&meeting->failed.word) != 0;
}

void pair_report_failure(void)
{
    if (meeting != NULL) {
        store64_relaxed(&meeting->failed.word, 1);
        store64_relaxed(&meeting->stop.word, 1);
    }
}

void *pair_memory(uint64_t size)
{
    void *memory = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("no memory for %llu bytes of shared buffers", (unsigned long long)size);
    return memory;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fail("cannot pin to processor %d: %s; choose others with --cpus", cpu, strerror(errno));
}

/* How long this process was ready to run and had no processor. 0 where the kernel does not count it. */
static uint64_t waited_ns(void)
{
    char text[128];
    ssize_t length = schedstat < 0 ? 0 : pread(schedstat, text, sizeof text - 1, 0);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *waited;
    strtoull(text, &waited, 10);
    return strtoull(waited, NULL, 10);
}

static void settle(int cpu)
{
    pin(cpu);
    /* Where that is allowed, other processes disturb less. */
    setpriority(PRIO_PROCESS, 0, -20);
    schedstat = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
}

static void on_signal(int signal)
{
    /* A partner that died takes its half of every protocol with it. */
    if (signal == SIGCHLD)
        store64_relaxed(&meeting->failed.word, 1);
    store64_relaxed(&meeting->stop.word, 1);
}

void pair_meet(void)
{
    phase++;
    /* Pairs with the acquire of the other side below: what came before is seen after. */
    store64_release(&meeting->phase[side].word, phase);
    while (load64_acquire(&meeting->phase[!side].word) < phase && !stopping())
        spin_pause();
}

void pair_done(uint64_t ns)
{
    store64_release(&meeting->done_ns.word, ns); /* with pair_await_done() */
}

uint64_t pair_await_done(void)
{
    uint64_t ns;
    while ((ns = load64_acquire(&meeting->done_ns.word)) == 0 && !stopping()) /* with pair_done() */
        spin_pause();
    return ns;
}

static void take_part(const struct job *job)
{
    pair_meet();
    bare_probe_partner();
    uint64_t waited = waited_ns();
    pair_meet();
    job->partner(job);
    store64_relaxed(&meeting->waited_ns.word, waited_ns() - waited); /* ordered by the meeting */
    pair_meet();
    bare_probe_partner();
}

/* The partner's life: orders, until the driver closes the pipe. */
static void serve(int from_driver)
{
    struct order order;
    while (read(from_driver, &order, sizeof order) == (ssize_t)sizeof order) {
        if (order.call == NULL) {
            take_part(&order.job);
        } else {
            order.call();
            pair_meet();
        }
    }
}

static bool send_order(const struct order *order)
{
    if (write(orders, order, sizeof *order) == (ssize_t)sizeof *order)
        return true;
    pair_report_failure();
    return false;
}

static void become_partner(const struct options *options, pid_t driver, int from_driver)
{
    side = PARTNER;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != driver)
        _exit(1);
    /* Ctrl-C reaches the whole process group; the driver decides how to end. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    settle(options->cpus[PARTNER]);
    serve(from_driver);
    _exit(pair_failed() ? 1 : 0);
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void pair_start(const struct options *options)
{
    meeting = pair_memory(sizeof *meeting);
    watch_signals();
    if (!options->alone) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            fail("cannot make a pipe: %s", strerror(errno));
        pid_t driver = getpid();
        partner = fork();
        if (partner < 0)
            fail("cannot start the partner process: %s", strerror(errno));
        if (partner == 0) {
            close(ends[1]);
            become_partner(options, driver, ends[0]);
        }
        close(ends[0]);
        orders = ends[1];
    }
    settle(options->cpus[DRIVER]);
}

void pair_call(void (*function)(void))
{
    if (partner > 0 && send_order(&(struct order){.call = function}))
        pair_meet();
}

void pair_stop(void)
{
    if (partner <= 0)
        return;
    signal(SIGCHLD, SIG_DFL);
    close(orders);
    int status;
    if (waitpid(partner, &status, 0) == partner && status != 0)
        pair_report_failure();
    partner = 0;
}

static enum distance distance_of(double round_trip_ns)
{
    if (round_trip_ns < SAME_CORE_BELOW_NS)
        return DISTANCE_SAME_CORE;
    return round_trip_ns < FAR_FROM_NS ? DISTANCE_NEAR : DISTANCE_FAR;
}

static bool similar(double one_ns, double other_ns)
{
    return one_ns <= other_ns * SAME_PLACE && other_ns <= one_ns * SAME_PLACE;
}

bool same_place(const struct reading *one, const struct reading *other)
{
    return one->distance == other->distance && similar(one->round_trip_ns, other->round_trip_ns);
}

static enum outcome judge(double ns, uint64_t elapsed, uint64_t waited)
{
    if (stopping() || ns <= 0)
        return OUTCOME_STOPPED;
    return waited > elapsed / 50 ? OUTCOME_DISTURBED : OUTCOME_GOOD;
}

static struct reading measure_alone(const struct job *job)
{
    uint64_t waited = waited_ns(), begin = now_ns();
    struct reading reading = {.ns = job->driver(job)};
    reading.outcome = judge(reading.ns, now_ns() - begin, waited_ns() - waited);
    return reading;
}

static struct reading measure_together(const struct job *job)
{
    struct reading reading = {.outcome = OUTCOME_STOPPED};
    store64_relaxed(&meeting->done_ns.word, 0); /* ordered by the meeting */
    if (!send_order(&(struct order){.job = *job}))
        return reading;
    pair_meet();
    double before = bare_probe_driver();
    uint64_t waited = waited_ns();
    pair_meet();
    uint64_t begin = now_ns();
    reading.ns = job->driver(job);
    pair_meet();
    uint64_t elapsed = now_ns() - begin;
    waited = waited_ns() - waited + load64_relaxed(&meeting->waited_ns.word);
    double after = bare_probe_driver();
    reading.round_trip_ns = (before + after) / 2;
    reading.distance = distance_of(reading.round_trip_ns);
    reading.outcome = judge(reading.ns, elapsed, waited);
    if (reading.outcome == OUTCOME_GOOD && !similar(before, after))
        reading.outcome = OUTCOME_MOVED;
    return reading;
}

struct reading pair_measure(const struct job *job)
{
    if (stopping())
        return (struct reading){.outcome = OUTCOME_STOPPED};
    return job->partner == NULL ? measure_alone(job) : measure_together(job);
}
