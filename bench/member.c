#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "board.h"

#define STOP_LOOK_NS 100000000

struct board *board;

/* Of this member; a thread is a member of its own. */
static _Thread_local const struct membership *self;
static _Thread_local int schedstat = -1;

static void send_answer(const struct answer *answer)
{
    if (send(self->link, answer, sizeof *answer, MSG_NOSIGNAL) != (ssize_t)sizeof *answer)
        _exit(1);
}

static void leave(enum answer_kind kind, const char *format, va_list arguments) __attribute__((noreturn));
static void leave(enum answer_kind kind, const char *format, va_list arguments)
{
    if (self != NULL) {
        struct answer answer = {.kind = kind};
        vsnprintf(answer.text, sizeof answer.text, format, arguments);
        send_answer(&answer);
        _exit(1);
    }
    fputs("mapring-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    leave(ANSWER_FAULT, format, arguments);
}

void unable(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    leave(ANSWER_UNABLE, format, arguments);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool stopping(void)
{
    return load64_relaxed(&board->stop.word) != 0;
}

unsigned crew_member(void)
{
    return self->member;
}

unsigned crew_members(void)
{
    return self->crew->members;
}

shared64 *crew_words(unsigned member)
{
    return board->words[member].words;
}

void crew_lost(uint64_t count)
{
    store64_relaxed(&board->lost.word, count); /* ordered by the answer to the conductor */
}

struct histogram *crew_histogram(void)
{
    return &board->histogram;
}

/* Sleeps where members outnumber processors: who spins there keeps others from what he waits for. */
static void await_meeting(uint32_t seen)
{
    const struct timespec limit = {.tv_nsec = STOP_LOOK_NS};
    while (load32_acquire(&board->meetings.word) == seen && !stopping()) { /* with the last to arrive */
        if (self->sleeps)
            syscall(SYS_futex, &board->meetings.word, FUTEX_WAIT, seen, &limit, NULL, 0);
        else
            spin_pause();
    }
}

void crew_meet(void)
{
    uint32_t members = self->crew->members;
    uint32_t seen = load32_acquire(&board->meetings.word);
    /* Acquire and release, as the next: what came before the meeting, with any member, is seen after it. */
    if (fetch_add32(&board->arrived.word, 1) + 1 < members) {
        await_meeting(seen);
        return;
    }
    fetch_add32(&board->arrived.word, (uint32_t)-members);
    fetch_add32(&board->meetings.word, 1);
    if (self->sleeps)
        syscall(SYS_futex, &board->meetings.word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void crew_done(uint64_t ns)
{
    store64_relaxed(&board->done_ns[self->member].word, ns); /* ordered by the meeting */
    crew_meet();
}

uint64_t crew_await_done(void)
{
    uint64_t latest = 0;
    crew_meet();
    for (unsigned i = 1; i < self->crew->members; i++) {
        uint64_t ns = load64_relaxed(&board->done_ns[i].word);
        latest = ns > latest ? ns : latest;
    }
    return latest;
}

/* How long this thread was ready to run and had no processor. 0 where the kernel does not count it. */
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

static void settle(void)
{
    if (self->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)self->cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0)
            fail("cannot pin to processor %d: %s; choose others with --cpus", self->cpu, strerror(errno));
    }
    schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

/* The first two of the crew measure how far apart they are, the others wait. */
static double probe(void)
{
    double trip = 0;
    crew_meet();
    if (self->crowded)
        return 0;
    if (self->member == 0)
        trip = bare_probe_driver();
    else if (self->member == 1)
        bare_probe_partner();
    crew_meet();
    return trip;
}

static struct answer work_alone(const struct job *job)
{
    struct answer answer = {.kind = ANSWER_DONE};
    uint64_t waited = waited_ns(), begin = now_ns();
    answer.ns = job->driver(job);
    answer.elapsed_ns = now_ns() - begin;
    answer.waited_ns = waited_ns() - waited;
    return answer;
}

static struct answer work_together(const struct job *job)
{
    struct answer answer = {.kind = ANSWER_DONE};
    answer.trip_before = probe();
    uint64_t waited = waited_ns();
    crew_meet();
    uint64_t begin = now_ns();
    if (self->member == 0)
        answer.ns = job->driver(job);
    else
        job->partner(job);
    answer.elapsed_ns = now_ns() - begin;
    answer.waited_ns = waited_ns() - waited;
    crew_meet();
    answer.trip_after = probe();
    return answer;
}

static void serve(void)
{
    struct order order;
    while (recv(self->link, &order, sizeof order, 0) == (ssize_t)sizeof order) {
        struct answer answer = order.job.partner == NULL ? work_alone(&order.job) : work_together(&order.job);
        send_answer(&answer);
    }
}

void member_live(const struct membership *membership)
{
    const struct crew *crew = membership->crew;
    self = membership;
    settle();
    if (crew->open != NULL)
        crew->open(crew, membership->member);
    send_answer(&(struct answer){.kind = ANSWER_READY});
    serve();
    if (crew->close != NULL)
        crew->close(crew, membership->member);
    close(schedstat);
}

static void *thread_live(void *membership)
{
    member_live(membership);
    return NULL;
}

void members_live(const struct membership *memberships, unsigned count)
{
    pthread_t threads[MEMBERS_MAX];
    for (unsigned i = 1; i < count; i++)
        if (pthread_create(&threads[i], NULL, thread_live, (void *)(uintptr_t)&memberships[i]) != 0)
            fail("cannot start a thread");
    member_live(&memberships[0]);
    for (unsigned i = 1; i < count; i++)
        pthread_join(threads[i], NULL);
}
