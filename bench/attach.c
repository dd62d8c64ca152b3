#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rings.h"
#include "work.h"

#define TIMES 16u
#define MESSAGE_BYTES 64u

static char name[RING_NAME_BYTES];

static mapring_producer_options asked(const struct job *job, uint32_t mode)
{
    return (mapring_producer_options){
        .struct_size = sizeof(mapring_producer_options), .mode = mode, .capacity = job->capacity};
}

static mapring_producer *create(const struct job *job)
{
    mapring_producer *producer;
    mapring_producer_options options = asked(job, MAPRING_CREATE_NEW);
    check_able(mapring_producer_open(name, &options, &producer), "mapring_producer_open");
    return producer;
}

static void remember_name(const struct crew *crew, unsigned member)
{
    (void)member;
    rings_name(name, crew, "attach");
}

/* What creating costs at least: memory of that size, allocated and mapped under a name. */
static double bare_mapping(const struct job *job)
{
    uint64_t spent = 0;
    char path[RING_NAME_BYTES + 1];
    snprintf(path, sizeof path, "/%s", name);
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t begin = now_ns();
        int memory = shm_open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (memory < 0)
            unable("shm_open: %s", strerror(errno));
        int error = posix_fallocate(memory, 0, (off_t)job->capacity);
        void *mapping = mmap(NULL, (size_t)job->capacity, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        spent += now_ns() - begin;
        shm_unlink(path);
        close(memory);
        if (error != 0 || mapping == MAP_FAILED)
            unable("no shared memory of the capacity: %s", strerror(error != 0 ? error : errno));
        munmap(mapping, (size_t)job->capacity);
    }
    return (double)spent / (double)job->count;
}

static double creation(const struct job *job)
{
    uint64_t spent = 0;
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t begin = now_ns();
        mapring_producer *producer = create(job);
        spent += now_ns() - begin;
        mapring_producer_close(producer);
    }
    return (double)spent / (double)job->count;
}

static void fill(mapring_producer *producer, uint64_t bytes)
{
    uint64_t words[MESSAGE_BYTES / 8] = {0};
    for (; bytes >= MESSAGE_BYTES; bytes -= MESSAGE_BYTES)
        check(mapring_publish(producer, words, sizeof words, 0, 0, 0), "mapring_publish");
}

static double joining(const struct job *job)
{
    uint64_t spent = 0;
    mapring_producer *producer = create(job);
    mapring_consumer_options options = {.struct_size = sizeof options, .start = job->variant};
    fill(producer, job->capacity / 2);
    for (uint64_t i = 0; i < job->count; i++) {
        mapring_consumer *consumer;
        uint64_t begin = now_ns();
        check_able(mapring_consumer_open(name, &options, &consumer), "mapring_consumer_open");
        spent += now_ns() - begin;
        mapring_consumer_close(consumer);
    }
    mapring_producer_close(producer);
    return (double)spent / (double)job->count;
}

/* A process creates the ring, fills half of it, and once the consumer of the caller is there, is killed. */
static void leave_dead_ring(const struct job *job, mapring_consumer **consumer)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) != 0)
        fail("cannot make a pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        fail("cannot start a process: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fill(create(job), job->capacity / 2);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    ssize_t told = read(ready[0], &byte, 1);
    close(ready[0]);
    mapring_consumer_options options = {.struct_size = sizeof options, .start = MAPRING_FROM_NEWEST};
    if (told == 1)
        check_able(mapring_consumer_open(name, &options, consumer), "mapring_consumer_open");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (told != 1)
        unable("the process that was to create a ring ended");
}

static double takeover(const struct job *job)
{
    uint64_t spent = 0;
    for (uint64_t i = 0; i < job->count; i++) {
        mapring_consumer *consumer;
        mapring_producer *producer;
        mapring_producer_options options = asked(job, MAPRING_OPEN_EXISTING);
        leave_dead_ring(job, &consumer);
        uint64_t begin = now_ns();
        int32_t status = check(mapring_producer_open(name, &options, &producer), "mapring_producer_open");
        spent += now_ns() - begin;
        mapring_producer_close(producer);
        mapring_consumer_close(consumer);
        if (status != 1)
            fail("attach: the ring of a dead producer was not taken over");
    }
    return (double)spent / (double)job->count;
}

static void compare_capacity(struct plan *plan, struct crew crew, uint64_t capacity)
{
    struct comparison *comparison = plan_compare(plan, "attaching", UNIT_TIME, 0, capacity);
    comparison->note = "by one process; a ring half full of messages of 64 B is joined and taken over";
    crew.members = 1;
    crew.open = remember_name;
    crew.close = NULL;
    struct crew *kept = plan_crew(crew);
    comparison_add(comparison, "bare mapping", kept, (struct job){.driver = bare_mapping})->is_limit = true;
    comparison_add(comparison, "create", kept, (struct job){.driver = creation});
    comparison_add(comparison, "join, oldest", kept, (struct job){.driver = joining, .variant = MAPRING_FROM_OLDEST});
    comparison_add(comparison, "join, newest", kept, (struct job){.driver = joining, .variant = MAPRING_FROM_NEWEST});
    comparison_add(comparison, "take over from the dead", kept, (struct job){.driver = takeover, .waits = true});
    for (unsigned i = 0; i < comparison->subject_count; i++)
        subject_fix_count(&comparison->subjects[i], TIMES);
}

void attach_plan(struct plan *plan, const struct options *options)
{
    if (options->capacity > (uint64_t)1 << 16)
        compare_capacity(plan, rings_pair(options->capacity), (uint64_t)1 << 16);
    compare_capacity(plan, rings_pair(options->capacity), options->capacity);
}
