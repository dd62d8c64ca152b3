/*
 * Sandboxes and file systems that refuse locks, of files (flock) or of parts of them (fcntl): from the beginning, or
 * when everything is open. What needs locks says why it cannot be had, at once, and leaves nothing; what is open goes
 * on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "refuse.h"
#include "traffic.h"

#define MESSAGES 100u
#define LENGTH_MAX 100u
#define AT_ONCE (500 * MS)

enum refused { FILES, PARTS, ALL_OF_FCNTL };

static struct {
    enum refused what;
    int error;
    int32_t status;
} sandbox;

static void enter_sandbox(void)
{
    if (sandbox.what == FILES)
        refuse_with(SYS_flock, sandbox.error);
    else if (sandbox.what == ALL_OF_FCNTL)
        refuse_with(SYS_fcntl, sandbox.error);
    else
        refuse_command(SYS_fcntl, F_OFD_SETLK, sandbox.error);
}

/* Says why at once, also who would wait. */
#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        int64_t begun = now_ns();                                                                                      \
        CHECK_STATUS(call, sandbox.status);                                                                            \
        CHECK(now_ns() - begun < AT_ONCE, "%s took %" PRId64 " ns", #call, now_ns() - begun);                          \
    } while (0)

static int32_t join_as(uint32_t kind, const char *own_name, const char *group)
{
    mapring_consumer *consumer;
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = kind, .own_name = own_name, .group = group, .timeout_ns = 10 * SECOND};
    return mapring_consumer_open(RING, &options, &consumer);
}

static int32_t create(const char *name, const char *file)
{
    mapring_producer *producer;
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = 4096, .file = file, .timeout_ns = 10 * SECOND};
    return mapring_producer_open(name, &options, &producer);
}

static int32_t continue_stream(void)
{
    mapring_producer *producer;
    mapring_producer_options options = {
        .struct_size = sizeof options, .mode = MAPRING_OPEN_EXISTING, .timeout_ns = 10 * SECOND};
    return mapring_producer_open(RING, &options, &producer);
}

static int32_t make_segment(const char *name, const char *file)
{
    mapring_segment *segment;
    mapring_segment_options options = {.struct_size = sizeof options, .size = 4096, .file = file};
    int32_t status = mapring_segment_open(name, &options, &segment);
    if (status >= 0)
        mapring_segment_close(segment);
    return status;
}

/* Needs locks of files alone. */
static void expect_of_files(int32_t status)
{
    CHECK(sandbox.what == FILES ? status == sandbox.status : status == MAPRING_OK, "%s", mapring_status_name(status));
}

static void lock_mutex(void)
{
    mapring_mutex *mutex;
    int32_t status = mapring_mutex_open("mutex", NULL, &mutex);
    CHECK(sandbox.what == FILES ? status == sandbox.status : status >= 0, "%s", mapring_status_name(status));
    if (status < 0)
        return;
    REFUSED(mapring_mutex_lock(mutex, 10 * SECOND));
    CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_NOT_LOCKED);
    mapring_mutex_close(mutex);
}

/* Looking needs none. */
static void look(void)
{
    mapring_consumer *observer;
    mapring_consumer_options options = {
        .struct_size = sizeof options, .kind = MAPRING_OBSERVER, .start = MAPRING_FROM_OLDEST};
    CHECK_STATUS(mapring_consumer_open(RING, &options, &observer), MAPRING_OK);
    mapring_message message;
    CHECK_STATUS(mapring_read(observer, &message, 1, 0), 1);
    check_message(&message, 0, LENGTH_MAX);
    mapring_consumer_close(observer);
    mapring_check_report report = {.struct_size = sizeof report};
    CHECK_STATUS(mapring_check(RING, NULL, &report), MAPRING_OK);
    CHECK(report.problems == 0, "%" PRIu32 " problems", report.problems);
    CHECK(stat_ring().messages == 1, "%" PRIu64 " messages", stat_ring().messages);
    /* The C library's way to read a folder asks fcntl(). */
    uint64_t needed;
    int32_t listed = mapring_list(NULL, 0, &needed);
    CHECK(sandbox.what == ALL_OF_FCNTL ? listed == sandbox.status || listed == 0 : listed == 0, "%s",
          mapring_status_name(listed));
}

static void try_everything(void *unused)
{
    (void)unused;
    enter_sandbox();
    int descriptors = count_descriptors(), names = count_names();
    REFUSED(join_as(MAPRING_RELIABLE, NULL, NULL));
    REFUSED(join_as(MAPRING_LOSSY, NULL, NULL));
    REFUSED(join_as(MAPRING_RELIABLE, "n", NULL));
    REFUSED(join_as(MAPRING_MEMBER, NULL, "g"));
    REFUSED(create("another", NULL));
    REFUSED(create("another", case_file()));
    REFUSED(mapring_forget(RING, "n"));
    expect_of_files(make_segment("segment", NULL));
    expect_of_files(make_segment("segment", case_file()));
    if (sandbox.what != FILES)
        unlink(case_file());
    lock_mutex();
    look();
    CHECK(count_descriptors() == descriptors, "descriptors were left open");
    CHECK(count_names() == names, "names were left");
    CHECK(access(case_file(), F_OK) != 0, "a file was left");
}

static void try_to_continue(void *unused)
{
    (void)unused;
    enter_sandbox();
    REFUSED(continue_stream());
}

static void from_the_beginning(void)
{
    mapring_producer *producer = open_producer(4096, 4);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    publish_message(producer, 0, LENGTH_MAX);
    join(spawn(try_everything, NULL));
    mapring_producer_close(producer);
    join(spawn(try_to_continue, NULL));
    producer = open_producer(0, 0);
    publish_message(producer, 1, LENGTH_MAX);
    for (uint64_t i = 0; i < 2; i++) {
        mapring_message message;
        CHECK_STATUS(mapring_read(consumer, &message, 1, 0), 1);
        check_message(&message, i, LENGTH_MAX);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
    }
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

/* It has a ring, a mutex that it has locked, and enters its sandbox then. */

/* One that others write to lies in a folder, locked. */
static void open_descriptor(mapring_consumer *consumer)
{
    int64_t descriptor;
    int descriptors = count_descriptors(), names = count_names();
    if (sandbox.what != FILES) {
        CHECK_STATUS(mapring_consumer_descriptor(consumer, MAPRING_DESCRIPTOR_WAKE, &descriptor),
                     MAPRING_DESCRIPTOR_WAKE);
        return;
    }
    REFUSED(mapring_consumer_descriptor(consumer, MAPRING_DESCRIPTOR_WAKE, &descriptor));
    CHECK(count_descriptors() == descriptors && count_names() == names, "something was left");
}

static void use_what_is_open(mapring_producer *producer, mapring_consumer *consumer)
{
    for (uint64_t i = 0; i < MESSAGES; i++) {
        mapring_message message;
        publish_message(producer, i, LENGTH_MAX);
        CHECK_STATUS(mapring_read(consumer, &message, 1, SECOND), 1);
        check_message(&message, i, LENGTH_MAX);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
    }
}

static void work_in_sandbox(void *inside)
{
    mapring_mutex *mutex;
    mapring_producer *producer = open_producer(4096, 4);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    CHECK(mapring_mutex_open("mutex", NULL, &mutex) >= 0, "no mutex");
    CHECK_STATUS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    enter_sandbox();
    use_what_is_open(producer, consumer);
    open_descriptor(consumer);
    if (sandbox.what == FILES) {
        CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_OK);
        CHECK_STATUS(mapring_handover(producer, 10 * MS), MAPRING_TIMEOUT);
    } else {
        for (int i = 0; i < 2; i++) {
            REFUSED(mapring_mutex_unlock(mutex));
            CHECK_STATUS(mapring_mutex_lock(mutex, 0), MAPRING_LOCKED);
            REFUSED(mapring_handover(producer, 10 * SECOND));
        }
    }
    publish_message(producer, MESSAGES, LENGTH_MAX);
    gate_open(((struct gate *)inside)[0]);
    gate_pass(((struct gate *)inside)[1]);
    mapring_mutex_close(mutex);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
}

static void entered_later(void)
{
    struct gate inside[2] = {gate_new(), gate_new()};
    pid_t child = spawn(work_in_sandbox, inside);
    gate_pass(inside[0]);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    mapring_mutex *mutex;
    bool kept = sandbox.what != FILES;
    CHECK(mapring_mutex_open("mutex", NULL, &mutex) >= 0, "no mutex");
    CHECK_STATUS(mapring_mutex_lock(mutex, 10 * MS), kept ? MAPRING_TIMEOUT : MAPRING_OK);
    gate_open(inside[1]);
    if (kept)
        CHECK_STATUS(mapring_mutex_lock(mutex, 10 * SECOND), MAPRING_ABANDONED);
    join(child);
    mapring_message message;
    int32_t status;
    uint64_t sequence = UINT64_MAX;
    while ((status = mapring_read(consumer, &message, 1, 10 * SECOND)) == 1) {
        sequence = message.sequence;
        check_message(&message, sequence, LENGTH_MAX);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
    }
    CHECK_STATUS(status, MAPRING_NO_PRODUCER);
    CHECK(sequence == MESSAGES, "the last is message %" PRIu64, sequence);
    mapring_producer *producer = open_producer(0, 0);
    mapring_producer_close(producer);
    mapring_consumer_close(consumer);
    mapring_mutex_close(mutex);
}

/* The producer is in the sandbox, or who waits for it to leave. */
static void wait_in_sandbox(void *ready)
{
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    enter_sandbox();
    gate_open(*(struct gate *)ready);
    mapring_message message;
    CHECK_STATUS(mapring_read(consumer, &message, 1, 10 * SECOND), MAPRING_NO_PRODUCER);
    mapring_consumer_close(consumer);
}

static void who_waits_is_told_that_the_producer_left(void)
{
    sandbox.what = ALL_OF_FCNTL;
    sandbox.error = EPERM;
    struct gate ready = gate_new();
    mapring_producer *producer = open_producer(4096, 1);
    pid_t child = spawn(wait_in_sandbox, &ready);
    gate_pass(ready);
    mapring_producer_close(producer);
    join(child);
}

/* Some file systems refuse a lock that is held as a policy refuses any. */
static void wait_for_what_is_held(void *unlock)
{
    mapring_mutex *mutex;
    CHECK(mapring_mutex_open("mutex", NULL, &mutex) >= 0, "no mutex");
    enter_sandbox();
    CHECK_STATUS(mapring_mutex_lock(mutex, 50 * MS), MAPRING_TIMEOUT);
    gate_open(*(struct gate *)unlock);
    CHECK_STATUS(mapring_mutex_lock(mutex, 10 * SECOND), MAPRING_PERMISSION);
    mapring_mutex_close(mutex);
}

static void who_waits_for_a_lock_is_told_that_it_is_held(void)
{
    sandbox.what = PARTS;
    sandbox.error = EACCES;
    struct gate unlock = gate_new();
    mapring_mutex *mutex;
    CHECK(mapring_mutex_open("mutex", NULL, &mutex) >= 0, "no mutex");
    CHECK_STATUS(mapring_mutex_lock(mutex, 0), MAPRING_OK);
    pid_t child = spawn(wait_for_what_is_held, &unlock);
    gate_pass(unlock);
    CHECK_STATUS(mapring_mutex_unlock(mutex), MAPRING_OK);
    join(child);
    mapring_mutex_close(mutex);
}

static void run_as(enum refused what, int error, int32_t status, void (*run)(void))
{
    sandbox.what = what;
    sandbox.error = error;
    sandbox.status = status;
    run();
}

#define EVERY_WAY(X)                                                                                                   \
    X(files_not_permitted, FILES, EPERM, MAPRING_PERMISSION)                                                           \
    X(files_refused_by_a_policy, FILES, EACCES, MAPRING_PERMISSION)                                                    \
    X(files_not_known, FILES, ENOSYS, MAPRING_UNSUPPORTED)                                                             \
    X(files_not_to_be_had, FILES, ENOLCK, MAPRING_UNSUPPORTED)                                                         \
    X(parts_not_permitted, PARTS, EPERM, MAPRING_PERMISSION)                                                           \
    X(parts_refused_by_a_policy, PARTS, EACCES, MAPRING_PERMISSION)                                                    \
    X(parts_not_known, PARTS, EINVAL, MAPRING_UNSUPPORTED)                                                             \
    X(parts_not_to_be_had, PARTS, ENOLCK, MAPRING_UNSUPPORTED)                                                         \
    X(fcntl_not_permitted, ALL_OF_FCNTL, EPERM, MAPRING_PERMISSION)                                                    \
    X(fcntl_not_known, ALL_OF_FCNTL, ENOSYS, MAPRING_UNSUPPORTED)

#define CASES(name, what, error, status)                                                                               \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        run_as(what, error, status, from_the_beginning);                                                               \
    }                                                                                                                  \
    static void later_##name(void)                                                                                     \
    {                                                                                                                  \
        run_as(what, error, status, entered_later);                                                                    \
    }

EVERY_WAY(CASES)

#define NAMED(name, what, error, status) {#name, name}, {"later_" #name, later_##name},

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        EVERY_WAY(NAMED){"who_waits_is_told_that_the_producer_left", who_waits_is_told_that_the_producer_left},
        {"who_waits_for_a_lock_is_told_that_it_is_held", who_waits_for_a_lock_is_told_that_it_is_held},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
