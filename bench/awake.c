/*
 * What it costs a publish that somebody might sleep, though nobody does: beside the same library without the look at
 * sleepers. A consumer is attached and awake; it reads between the bursts that are timed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "payload.h"
#include "rings.h"
#include "work.h"

#define SIZE 64u
#define READ_AT_ONCE 256u
#define APPEARS_NS 10000000000

/* One of several ways to build the library, and to run it. */
struct library {
    const char *file;
    bool refused; /* membarrier(2) is: then publishing fences */
};

struct calls {
    int32_t (*producer_open)(const char *name, const mapring_producer_options *options, mapring_producer **producer);
    void (*producer_close)(mapring_producer *producer);
    int32_t (*wait_consumers)(mapring_producer *producer, uint32_t count, int64_t timeout_ns);
    int32_t (*publish)(mapring_producer *producer, const void *data, uint64_t length, uint32_t tag, uint32_t flags,
                       int64_t timeout_ns);
    int32_t (*consumer_open)(const char *name, const mapring_consumer_options *options, mapring_consumer **consumer);
    void (*consumer_close)(mapring_consumer *consumer);
    int32_t (*read)(mapring_consumer *consumer, mapring_message *messages, uint32_t max, int64_t timeout_ns);
    int32_t (*release)(mapring_consumer *consumer, uint32_t count);
};

static struct calls calls;
static mapring_producer *producer;
static mapring_consumer *consumer;

static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    if (found == NULL)
        fail("%s is not in the library", name);
    memcpy(function, &found, sizeof found);
}

static void load(const char *file)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        unable("%s", dlerror());
    find(library, "mapring_producer_open", &calls.producer_open);
    find(library, "mapring_producer_close", &calls.producer_close);
    find(library, "mapring_wait_consumers", &calls.wait_consumers);
    find(library, "mapring_publish", &calls.publish);
    find(library, "mapring_consumer_open", &calls.consumer_open);
    find(library, "mapring_consumer_close", &calls.consumer_close);
    find(library, "mapring_read", &calls.read);
    find(library, "mapring_release", &calls.release);
}

static void refuse_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        unable("no seccomp filters: %s", strerror(errno));
}

/* The fence is what the row says it is. */
static void check_fence(const char *name, bool refused)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    check(mapring_stat(name, NULL, &info, NULL, 0), "mapring_stat");
    if ((info.fence == MAPRING_FENCE_FULL) != refused)
        unable("membarrier(2) does not work here");
}

static void open_member(const struct crew *crew, unsigned member)
{
    const struct library *library = crew->context;
    char name[RING_NAME_BYTES];
    rings_name(name, crew, "awake");
    load(library->file);
    if (library->refused)
        refuse_membarrier();
    if (member == 0) {
        mapring_producer_options options = {.struct_size = sizeof options, .capacity = crew->capacity};
        check_able(calls.producer_open(name, &options, &producer), "mapring_producer_open");
        check(calls.wait_consumers(producer, 1, APPEARS_NS), "mapring_wait_consumers");
        check_fence(name, library->refused);
    } else {
        mapring_consumer_options options = {.struct_size = sizeof options, .timeout_ns = APPEARS_NS};
        check_able(calls.consumer_open(name, &options, &consumer), "mapring_consumer_open");
    }
}

static void close_member(const struct crew *crew, unsigned member)
{
    (void)crew;
    if (member == 0)
        calls.producer_close(producer);
    else
        calls.consumer_close(consumer);
}

static uint64_t burst_of(const struct job *job, uint64_t done)
{
    uint64_t left = job->count - done, most = job->capacity / 2 / (job->size + 16);
    return left < most ? left : most;
}

static bool await_count(unsigned member, uint64_t wanted)
{
    /* With the stores in publish_bursts() and read_bursts(). */
    while (load64_acquire(&crew_words(member)[WORD_COUNT]) < wanted) {
        if (stopping())
            return false;
        spin_pause();
    }
    return true;
}

static double publish_bursts(const struct job *job)
{
    struct payload payload;
    payload_prepare(&payload, job->size);
    uint64_t spent = 0;
    for (uint64_t sent = 0; sent < job->count;) {
        uint64_t burst = burst_of(job, sent);
        uint64_t begin = now_ns();
        for (uint64_t i = 0; i < burst; i++)
            check(calls.publish(producer, payload.sources, job->size, 0, 0, 0), "mapring_publish");
        spent += now_ns() - begin;
        sent += burst;
        store64_release(&crew_words(0)[WORD_COUNT], sent); /* with await_count() */
        if (!await_count(1, sent))
            return 0;
    }
    return (double)spent / (double)job->count;
}

static void read_bursts(const struct job *job)
{
    mapring_message messages[READ_AT_ONCE];
    for (uint64_t got = 0; got < job->count;) {
        uint64_t end = got + burst_of(job, got);
        if (!await_count(0, end))
            return;
        while (got < end) {
            int32_t count = check(calls.read(consumer, messages, READ_AT_ONCE, 0), "mapring_read");
            if (count == 0 || messages[0].length != job->size)
                fail("awake: a message is missing or wrong");
            check(calls.release(consumer, (uint32_t)count), "mapring_release");
            got += (uint64_t)count;
        }
        /* Caught up: the producer is told of everything that was released. */
        if (check(calls.read(consumer, messages, 1, 0), "mapring_read") != 0)
            fail("awake: a message too many");
        store64_release(&crew_words(1)[WORD_COUNT], got); /* with await_count() */
    }
}

void awake_plan(struct plan *plan, const struct options *options)
{
    static const struct library without = {.file = LIBRARY_WITHOUT_WAKEUPS}, with = {.file = LIBRARY_WITH_WAKEUPS},
                                fenced = {.file = LIBRARY_WITH_WAKEUPS, .refused = true};
    static const struct library *const libraries[] = {&without, &with, &fenced};
    static const char *const names[] = {"wakeups compiled out", "wakeups", "wakeups, full fence"};
    uint64_t size = options->size_count > 0 ? options->sizes[0] : SIZE;
    struct comparison *comparison = plan_compare(plan, "publish, a consumer awake", UNIT_TIME, size, options->capacity);
    comparison->note = "in bursts; the consumer, on another processor, reads between them. The fence is the fall-back "
                       "where membarrier(2) is refused";
    for (unsigned i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        /* Each round has a new ring: where its memory lies makes a difference of some per cent. */
        struct crew *crew = plan_crew((struct crew){.members = 2,
                                                    .capacity = options->capacity,
                                                    .context = libraries[i],
                                                    .open = open_member,
                                                    .close = close_member,
                                                    .clear = rings_sweep});
        struct subject *subject =
            comparison_add(comparison, names[i], crew, (struct job){.driver = publish_bursts, .partner = read_bursts});
        if (libraries[i] == &with)
            subject->at_most = 1.03;
    }
}
