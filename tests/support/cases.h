/*
 * Programs of test cases that need several processes.
 *
 * Each case runs in a process of its own, with a time limit and with folders of names of its own (MAPRING_DIR,
 * MAPRING_GLOBAL_DIR), which must be empty again when it ends. A check that fails ends the process that made it; the
 * children of a case end with it.
 */
#ifndef MAPRING_TESTS_CASES_H
#define MAPRING_TESTS_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <mapring/mapring.h>

#define MS ((int64_t)1000000)
#define SECOND (1000 * MS)

struct test_case {
    const char *name;
    void (*run)(void);
};

/*
 * Runs all cases, or those named in the arguments, and prints "N passed, N failed" last. Returns what main() is to
 * return: 0, 1, or 77 if all were skipped. `limit_s` is the time that each case has.
 */
int run_cases(int argc, char **argv, const struct test_case *cases, size_t count, unsigned limit_s);

_Noreturn void fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Ends the case, from its own process, as one that cannot run here. */
_Noreturn void skip(const char *reason);

/* The condition, then what to say if it does not hold: a format and its values. */
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail(__FILE__, __LINE__, __VA_ARGS__);                                                                     \
    } while (0)

void check_status(const char *file, int line, const char *call, int32_t status, int32_t expected);
#define CHECK_STATUS(call, expected) check_status(__FILE__, __LINE__, #call, call, expected)

/* A child that runs `run` and then exits with 0. It dies with its parent. */
pid_t spawn(void (*run)(void *argument), void *argument);

/* Waits for a child that must exit with 0; or that must end by this signal. */
void join(pid_t child);
void join_killed(pid_t child, int signal);
void kill_child(pid_t child);

/* Stops a child, and returns when it stands still. */
void stop_child(pid_t child);

/* Zeroed memory that is shared with the children made from now on. */
void *shared_memory(size_t size);

/* Something that a process waits for and another one does: a counter of permits, in a pipe. Survives the death of
 * either side. */
struct gate {
    int fds[2];
};

struct gate gate_new(void);
void gate_open(struct gate gate);
void gate_pass(struct gate gate);
void gate_close(struct gate gate);

/* Nanoseconds of a clock that only runs forward, the same in all processes. */
int64_t now_ns(void);

/* Does nothing for this long, awake. */
void spin_ns(int64_t duration);

/* Sleeps until somewhere between now and `max_ns` from now: to hit a random moment. */
void sleep_random(uint64_t *random, uint64_t max_ns);

/* How long this process was ready to run and had no processor; 0 where the kernel does not tell. */
int64_t waited_for_processor(void);

/* How long processors of this machine, if it is a virtual one, could not run because others did: ns, in steps of 10 ms.
 */
int64_t stolen_from_machine(void);

/* How many descriptors this process has open; how many names there are in the folder of names, hidden ones included. */
int count_descriptors(void);
int count_names(void);
int count_global_names(void);

/* How many mappings of files or shared memory this process has. */
int count_mappings(void);

/* The path of a file that a case may make, outside the folder of names; the case is to remove it. */
const char *case_file(void);

#endif
