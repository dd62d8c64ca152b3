#include "asleep.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "rings.h"

/* A sleeper looks at stopping() this often. */
#define LOOK_MS 100

struct place {
    shared64 rounds; /* in which the partner was about to sleep */
    uint8_t unused0[120];
    shared64 awake_ns;
    shared64 awakenings; /* stored after the time */
    uint8_t unused1[112];
    shared64 thread; /* id, for /proc */
    uint8_t unused2[120];
};

struct bedroom {
    shared32 word; /* the futex on which all sleep */
    uint8_t unused0[124];
    shared32 there; /* the futexes of round trips: equal when none is under way */
    uint8_t unused1[124];
    shared32 back;
    uint8_t unused2[124];
    struct place places[MEMBERS_MAX];
};

static struct bedroom *bedroom;
static int events[MEMBERS_MAX];

void asleep_prepare(void)
{
    bedroom = shared_memory(sizeof *bedroom);
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        if ((events[i] = eventfd(0, EFD_CLOEXEC)) < 0)
            fail("cannot make an eventfd: %s", strerror(errno));
}

static void futex_wait(shared32 *word, uint32_t seen)
{
    const struct timespec limit = {.tv_nsec = LOOK_MS * 1000000};
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static void futex_wake_all(shared32 *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* False when everything is to end. */
static bool event_wait(int event)
{
    struct pollfd poller = {.fd = event, .events = POLLIN};
    uint64_t value;
    while (poll(&poller, 1, LOOK_MS) == 0)
        if (stopping())
            return false;
    return read(event, &value, sizeof value) == (ssize_t)sizeof value;
}

static void event_signal(int event)
{
    if (write(event, &(uint64_t){1}, sizeof(uint64_t)) != (ssize_t)sizeof(uint64_t))
        fail("cannot write to an eventfd: %s", strerror(errno));
}

static bool is_asleep(uint64_t thread)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)thread);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    if (length <= 0)
        return false;
    text[length] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && name_end[1] != 0 && name_end[2] == 'S';
}

/* The driver, until each partner has come to this round and sleeps. */
static bool await_asleep(uint64_t round)
{
    for (unsigned i = 1; i < crew_members(); i++) {
        struct place *place = &bedroom->places[i];
        /* With be_ready(): what the partner does next is sleep. */
        while (load64_acquire(&place->rounds) < round || !is_asleep(load64_relaxed(&place->thread))) {
            if (stopping())
                return false;
            sched_yield();
        }
    }
    return true;
}

/* The driver, until each partner was awake so often: the time of the last. 0 when everything is to end. */
static uint64_t await_awake(uint64_t round)
{
    uint64_t last = 0;
    for (unsigned i = 1; i < crew_members(); i++) {
        struct place *place = &bedroom->places[i];
        while (load64_acquire(&place->awakenings) < round) { /* with be_awake() */
            if (stopping())
                return 0;
            sched_yield();
        }
        uint64_t ns = load64_relaxed(&place->awake_ns);
        last = ns > last ? ns : last;
    }
    return last;
}

static struct place *be_ready(uint64_t round)
{
    struct place *place = &bedroom->places[crew_member()];
    store64_relaxed(&place->thread, (uint64_t)gettid());
    store64_release(&place->rounds, round); /* with await_asleep() */
    return place;
}

static void be_awake(struct place *place, uint64_t round)
{
    store64_relaxed(&place->awake_ns, now_ns());
    store64_release(&place->awakenings, round); /* with await_awake() */
}

static double drive(const struct job *job, void (*wake)(uint64_t round))
{
    struct histogram *histogram = crew_histogram();
    uint64_t spent = 0;
    for (uint64_t i = 1; i <= job->count; i++) {
        if (!await_asleep(i))
            return 0;
        uint64_t begin = now_ns();
        wake(i);
        spent += now_ns() - begin;
        uint64_t last = await_awake(i);
        if (last == 0)
            return 0;
        histogram_record(histogram, last > begin ? last - begin : 0);
    }
    return job->variant == WAKE_COST ? (double)spent / (double)job->count : histogram_quantile(histogram, 0.5);
}

static void futex_wake(uint64_t round)
{
    (void)round;
    fetch_add32(&bedroom->word, 1);
    futex_wake_all(&bedroom->word);
}

static void eventfd_wake(uint64_t round)
{
    (void)round;
    for (unsigned i = 1; i < crew_members(); i++)
        event_signal(events[i]);
}

static void ring_wake(uint64_t round)
{
    check(mapring_publish(rings.sent, &round, sizeof round, 0, 0, WAIT_NS), "mapring_publish");
}

/* Everything is as before the first round; the partners wait for that. */
static void begin_rounds(void)
{
    for (unsigned i = 1; i < crew_members(); i++) {
        store64_relaxed(&bedroom->places[i].rounds, 0);
        store64_relaxed(&bedroom->places[i].awakenings, 0);
    }
    crew_meet();
}

double wake_futex_driver(const struct job *job)
{
    begin_rounds();
    return drive(job, futex_wake);
}

void wake_futex_partner(const struct job *job)
{
    crew_meet();
    for (uint64_t i = 1; i <= job->count; i++) {
        uint32_t seen = load32_acquire(&bedroom->word); /* with futex_wake() */
        struct place *place = be_ready(i);
        while (load32_acquire(&bedroom->word) == seen) { /* with futex_wake() */
            if (stopping())
                return;
            futex_wait(&bedroom->word, seen);
        }
        be_awake(place, i);
    }
}

double wake_eventfd_driver(const struct job *job)
{
    begin_rounds();
    return drive(job, eventfd_wake);
}

void wake_eventfd_partner(const struct job *job)
{
    crew_meet();
    for (uint64_t i = 1; i <= job->count; i++) {
        struct place *place = be_ready(i);
        if (!event_wait(events[crew_member()]))
            return;
        be_awake(place, i);
    }
}

double wake_ring_driver(const struct job *job)
{
    begin_rounds();
    return drive(job, ring_wake);
}

static void take(const mapring_message *message, uint64_t round)
{
    if (message->length != sizeof round || memcmp(message->data, &round, sizeof round) != 0)
        fail("wake: a wrong byte in message %llu", (unsigned long long)round);
    check(mapring_release(rings.got, 1), "mapring_release");
}

void wake_ring_partner(const struct job *job)
{
    crew_meet();
    for (uint64_t i = 1; i <= job->count; i++) {
        mapring_message message;
        struct place *place = be_ready(i);
        while (check(mapring_read(rings.got, &message, 1, WAIT_NS), "mapring_read") == 0)
            if (stopping())
                return;
        be_awake(place, i);
        take(&message, i);
    }
}

/* False when everything is to end. */
static bool poll_for_message(int descriptor, mapring_message *message)
{
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    do {
        /* An io_uring that goes may interrupt it. */
        while (poll(&poller, 1, LOOK_MS) <= 0)
            if (stopping())
                return false;
    } while (check(mapring_read(rings.got, message, 1, 0), "mapring_read") == 0);
    return true;
}

static void wake_by_descriptor(const struct job *job, uint32_t method)
{
    mapring_message message;
    int64_t descriptor;
    check_able(mapring_consumer_descriptor(rings.got, method, &descriptor), "mapring_consumer_descriptor");
    crew_meet();
    for (uint64_t i = 1; i <= job->count; i++) {
        struct place *place = be_ready(i);
        if (!poll_for_message((int)descriptor, &message))
            return;
        be_awake(place, i);
        take(&message, i);
        if (check(mapring_read(rings.got, &message, 1, 0), "mapring_read") != 0)
            fail("wake: a message too many");
    }
}

void wake_futex_descriptor_partner(const struct job *job)
{
    wake_by_descriptor(job, MAPRING_DESCRIPTOR_FUTEX);
}

void wake_descriptor_partner(const struct job *job)
{
    wake_by_descriptor(job, MAPRING_DESCRIPTOR_WAKE);
}

/* Stores the number of the turn, and wakes. */
static void turn(shared32 *word)
{
    fetch_add32(word, 1);
    futex_wake_all(word);
}

/* False when everything is to end. */
static bool await_turn(shared32 *word, uint32_t seen)
{
    while (load32_acquire(word) == seen) { /* with turn() */
        if (stopping())
            return false;
        futex_wait(word, seen);
    }
    return true;
}

double futex_pingpong_driver(const struct job *job)
{
    uint32_t seen = load32_acquire(&bedroom->back);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++, seen++) {
        turn(&bedroom->there);
        if (!await_turn(&bedroom->back, seen))
            return 0;
    }
    return (double)(now_ns() - begin) / (double)job->count;
}

void futex_pingpong_partner(const struct job *job)
{
    uint32_t seen = load32_acquire(&bedroom->back); /* not `there`: the driver may have begun already */
    for (uint64_t i = 0; i < job->count && await_turn(&bedroom->there, seen); i++, seen++)
        turn(&bedroom->back);
}

double eventfd_pingpong_driver(const struct job *job)
{
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        event_signal(events[1]);
        if (!event_wait(events[2]))
            return 0;
    }
    return (double)(now_ns() - begin) / (double)job->count;
}

void eventfd_pingpong_partner(const struct job *job)
{
    for (uint64_t i = 0; i < job->count && event_wait(events[1]); i++)
        event_signal(events[2]);
}
