#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board.h"

/* A crew that is silent for longer hangs. */
#define PATIENCE_MS 20000
#define FAREWELL_MS 5000
#define SIGNAL_LOOK_MS 100

/* More than there are at once. */
#define CREWS_MAX 256u

static const struct options *options;
static struct crew *running[CREWS_MAX];
static unsigned started;
static bool failed;
static volatile sig_atomic_t interrupted;
static char unpinned[128];

const char *distance_name(enum distance distance)
{
    static const char *const names[DISTANCE_COUNT] = {"none", "same core", "near", "far"};
    return names[distance];
}

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
    store64_relaxed(&board->stop.word, 1);
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void *shared_memory(uint64_t size)
{
    void *memory = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("no memory for %llu bytes of shared buffers", (unsigned long long)size);
    return memory;
}

void shared_memory_free(void *memory, uint64_t size)
{
    munmap(memory, (size_t)size);
}

/* Whether this process may pin, tried out on the processors that will be used. */
static void try_pinning(void)
{
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0)
        fail("cannot tell which processors are allowed: %s", strerror(errno));
    for (unsigned i = 0; i < options->cpu_count && unpinned[0] == 0; i++) {
        CPU_ZERO(&one);
        CPU_SET((size_t)options->cpus[i], &one);
        if (sched_setaffinity(0, sizeof one, &one) == 0)
            continue;
        if (options->cpus_chosen)
            fail("cannot pin to processor %d: %s; choose others with --cpus", options->cpus[i], strerror(errno));
        snprintf(unpinned, sizeof unpinned, "processor %d: %s", options->cpus[i], strerror(errno));
    }
    sched_setaffinity(0, sizeof before, &before);
}

void crews_prepare(const struct options *asked)
{
    options = asked;
    board = shared_memory(sizeof *board);
    try_pinning();
    watch_signals();
}

bool run_interrupted(void)
{
    return interrupted != 0;
}

bool run_failed(void)
{
    return failed;
}

const char *run_unpinned(void)
{
    return unpinned[0] == 0 ? NULL : unpinned;
}

const struct histogram *crew_recorded(void)
{
    return &board->histogram;
}

bool crew_is_crowded(const struct crew *crew)
{
    return crew->members > options->cpu_count;
}

static void give_up(struct crew *crew, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void give_up(struct crew *crew, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!crew->failed && !run_interrupted())
        vsnprintf(crew->reason, sizeof crew->reason, format, arguments);
    va_end(arguments);
    crew->failed = true;
    store64_relaxed(&board->stop.word, 1); /* the others are not to wait for it */
}

static void describe_death(struct crew *crew, unsigned member)
{
    int status;
    if (crew->threads)
        member = 0;
    if (crew->pids[member] <= 0 || waitpid(crew->pids[member], &status, 0) != crew->pids[member])
        return;
    crew->pids[member] = 0;
    if (WIFSIGNALED(status))
        give_up(crew, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        give_up(crew, "ended with status %d", WEXITSTATUS(status));
}

/* Takes what the member says. False when it failed. */
static bool hear(struct crew *crew, unsigned member, struct answer *answer)
{
    if (recv(crew->links[member], answer, sizeof *answer, MSG_DONTWAIT) != (ssize_t)sizeof *answer) {
        describe_death(crew, member);
        give_up(crew, "ended without a word");
        return false;
    }
    if (answer->kind == ANSWER_FAULT) {
        fprintf(stderr, "mapring-bench: %s\n", answer->text);
        failed = true;
    }
    if (answer->kind == ANSWER_FAULT || answer->kind == ANSWER_UNABLE) {
        give_up(crew, "%s", answer->text);
        return false;
    }
    return true;
}

/* Waits for one answer of each of the first members. False when one of the crew failed, or all are silent. */
static bool hear_all(struct crew *crew, unsigned workers, struct answer *answers)
{
    struct pollfd links[MEMBERS_MAX];
    bool heard[MEMBERS_MAX] = {false};
    unsigned missing = workers;
    int waited_ms = 0;
    for (unsigned i = 0; i < crew->members; i++)
        links[i] = (struct pollfd){.fd = crew->links[i], .events = POLLIN};
    while (missing > 0) {
        if (crew->foreign && run_interrupted())
            return false;
        int ready = poll(links, crew->members, SIGNAL_LOOK_MS);
        if (ready <= 0 && (waited_ms += SIGNAL_LOOK_MS) > (run_interrupted() ? FAREWELL_MS : PATIENCE_MS)) {
            give_up(crew, "no answer in %d s", PATIENCE_MS / 1000);
            return false;
        }
        for (unsigned i = 0; i < crew->members && ready > 0; i++) {
            if (links[i].revents == 0)
                continue;
            /* One that has answered is listened to all the same: others may wait in vain for one that died. */
            if (!hear(crew, i, &answers[i]))
                return false;
            missing -= !heard[i];
            heard[i] = true;
        }
    }
    return true;
}

/* Where that is allowed, other processes disturb less. The kernel may share processors out among sessions first, and
 * only then among their processes: so the members of a process have a session, and that comes first as well. */
static void come_first(void)
{
    setsid();
    setpriority(PRIO_PROCESS, 0, -20);
    int group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (group < 0)
        return;
    ssize_t ignored = write(group, "-20", 3);
    (void)ignored;
    close(group);
}

static void become_member(struct crew *crew, struct membership *memberships, unsigned first, unsigned count,
                          pid_t conductor) __attribute__((noreturn));
static void become_member(struct crew *crew, struct membership *memberships, unsigned first, unsigned count,
                          pid_t conductor)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != conductor)
        _exit(1);
    come_first();
    /* The conductor decides how to end. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    /* An end that is not this member's own, held open, would hide the death of its owner. */
    for (unsigned i = 0; i < crew->members; i++) {
        close(crew->links[i]);
        if (i < first || i >= first + count)
            close(memberships[i].link);
    }
    if (count > 1)
        members_live(memberships, count);
    else
        member_live(&memberships[first]);
    _exit(0);
}

static bool make_links(struct crew *crew, struct membership *memberships)
{
    for (unsigned i = 0; i < crew->members; i++)
        crew->links[i] = -1;
    for (unsigned i = 0; i < crew->members; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
            give_up(crew, "no socket for a member: %s", strerror(errno));
            for (unsigned made = 0; made < i; made++)
                close(memberships[made].link);
            return false;
        }
        crew->links[i] = ends[0];
        memberships[i] = (struct membership){
            .crew = crew,
            .member = i,
            .link = ends[1],
            .cpu = unpinned[0] == 0 ? options->cpus[i % options->cpu_count] : -1,
            .crowded = crew_is_crowded(crew),
            .sleeps = crew->sleeps || crew_is_crowded(crew),
        };
    }
    return true;
}

static bool start_processes(struct crew *crew)
{
    struct membership memberships[MEMBERS_MAX];
    pid_t conductor = getpid();
    if (!make_links(crew, memberships))
        return false;
    unsigned step = crew->threads ? crew->members : 1;
    bool good = true;
    fflush(NULL);
    for (unsigned first = 0; first < crew->members && good; first += step) {
        pid_t pid = fork();
        if (pid == 0)
            become_member(crew, memberships, first, step, conductor);
        good = pid > 0;
        crew->pids[first] = pid > 0 ? pid : 0;
    }
    if (!good)
        give_up(crew, "cannot start a process: %s", strerror(errno));
    for (unsigned i = 0; i < crew->members; i++)
        close(memberships[i].link);
    return good;
}

bool crew_start(struct crew *crew)
{
    if (crew->running || crew->failed)
        return crew->running && !crew->failed;
    crew->number = started++;
    memset(crew->pids, 0, sizeof crew->pids);
    const char *reason = crew->prepare == NULL ? NULL : crew->prepare(crew);
    if (reason != NULL) {
        give_up(crew, "%s", reason);
        store64_relaxed(&board->stop.word, run_interrupted());
        return false;
    }
    crew->running = true;
    for (unsigned i = 0; i < CREWS_MAX; i++)
        if (running[i] == NULL) {
            running[i] = crew;
            break;
        }
    struct answer answers[MEMBERS_MAX];
    bool good = start_processes(crew) && hear_all(crew, crew->members, answers);
    if (!good)
        crew_end(crew);
    return good;
}

static void await_end(struct crew *crew, unsigned member, uint64_t deadline_ns)
{
    while (crew->pids[member] > 0) {
        pid_t pid = waitpid(crew->pids[member], NULL, WNOHANG);
        if (pid != 0)
            break;
        if (now_ns() > deadline_ns)
            kill(crew->pids[member], SIGKILL);
        /* Its end of the link closes with it, or a little earlier. */
        poll(&(struct pollfd){.fd = -1}, 1, 1);
    }
    crew->pids[member] = 0;
}

void crew_end(struct crew *crew)
{
    if (!crew->running)
        return;
    crew->running = false;
    for (unsigned i = 0; i < crew->members; i++)
        if (crew->links[i] >= 0)
            close(crew->links[i]);
    bool at_once = crew->foreign && (run_interrupted() || crew->failed);
    uint64_t deadline = at_once ? 0 : now_ns() + FAREWELL_MS * 1000000ull;
    for (unsigned i = 0; i < crew->members; i++)
        await_end(crew, i, deadline);
    if (crew->clear != NULL)
        crew->clear(crew);
    /* The next crew begins with a clean board. */
    memset(&board->arrived, 0, sizeof board->arrived);
    store64_relaxed(&board->stop.word, run_interrupted());
    for (unsigned i = 0; i < CREWS_MAX; i++)
        if (running[i] == crew)
            running[i] = NULL;
}

void crews_end_all(void)
{
    for (unsigned i = 0; i < CREWS_MAX; i++)
        if (running[i] != NULL)
            crew_end(running[i]);
}

static enum distance distance_of(double round_trip_ns)
{
    if (round_trip_ns <= 0)
        return DISTANCE_NONE;
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

static void clear_board(void)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        store64_relaxed(&board->done_ns[i].word, 0);
        for (unsigned word = 0; word < CREW_WORDS; word++)
            store64_relaxed(&board->words[i].words[word], 0);
    }
    store64_relaxed(&board->lost.word, 0);
    histogram_clear(&board->histogram);
}

static enum outcome judge(const struct crew *crew, const struct job *job, const struct answer *driver,
                          uint64_t waited_ns)
{
    if (run_interrupted() || driver->ns <= 0)
        return OUTCOME_STOPPED;
    /* Where members outnumber processors, they wait for each other. */
    if (!crew_is_crowded(crew) && !job->waits && waited_ns > driver->elapsed_ns / 50)
        return OUTCOME_DISTURBED;
    if (driver->trip_before > 0 && !similar(driver->trip_before, driver->trip_after))
        return OUTCOME_MOVED;
    return OUTCOME_GOOD;
}

struct reading crew_measure(struct crew *crew, const struct job *job)
{
    struct reading reading = {.outcome = OUTCOME_STOPPED};
    if (run_interrupted() || failed)
        return reading;
    reading.outcome = OUTCOME_FAILED;
    if (!crew_start(crew))
        return reading;
    clear_board();
    unsigned workers = job->partner == NULL ? 1 : crew->members;
    struct order order = {.job = *job};
    struct answer answers[MEMBERS_MAX];
    for (unsigned i = 0; i < workers; i++)
        if (send(crew->links[i], &order, sizeof order, MSG_NOSIGNAL) != (ssize_t)sizeof order)
            describe_death(crew, i);
    if (!crew->failed)
        hear_all(crew, workers, answers);
    if (crew->failed) {
        crew_end(crew);
        return reading;
    }
    uint64_t waited_ns = 0;
    for (unsigned i = 0; i < workers; i++)
        waited_ns += answers[i].waited_ns;
    const struct answer *driver = &answers[0];
    reading.ns = driver->ns;
    reading.lost = (double)load64_relaxed(&board->lost.word) / (double)job->count;
    reading.round_trip_ns = (driver->trip_before + driver->trip_after) / 2;
    reading.distance = distance_of(reading.round_trip_ns);
    reading.outcome = judge(crew, job, driver, waited_ns);
    return reading;
}
