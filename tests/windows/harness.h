/*
 * What the Windows tests share: plain programs that start themselves, or the
 * mapring command, as children.
 *
 * Children end with their parent, and the parent ends when its time is up, so
 * nothing else here needs a time limit.
 */
#ifndef MAPRING_TESTS_WINDOWS_HARNESS_H
#define MAPRING_TESTS_WINDOWS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* Counts a failed check against the test that runs, says where, and goes on. Returns the condition. */
#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
bool check(bool condition, const char *text, const char *file, int line);

/* The same for a number that is to have a value, which tells the number. */
#define CHECK_IS(number, wanted) check_is((number), (wanted), #number, __FILE__, __LINE__)
bool check_is(int64_t number, int64_t wanted, const char *text, const char *file, int line);

/* Call first. After so many seconds the program ends as failed, with all its children. */
void start_tests(unsigned seconds);
void run_test(const char *name, void (*test)(void));
/* Prints "N passed, N failed" and returns the exit code. */
int finish_tests(void);

/* A name for a ring or a file that no other run uses; `use` tells the names of one run apart. */
#define NAME_SIZE 128
void unique_name(char name[NAME_SIZE], const char *use);
/* The same in the folder for temporary files. */
#define PATH_SIZE 512
void unique_path(char path[PATH_SIZE], const char *use);

/* How many handles this process has. (Under Wine the system's own count is always 0.) */
unsigned count_handles(void);

struct child {
    HANDLE process;
    HANDLE input;  /* to its standard input */
    HANDLE output; /* from its standard output; its errors are ours */
};

/* `program` NULL: this program. The arguments, without spaces or quotes in them, end with NULL. */
struct child start_child(const char *program, const char *const *arguments);
/* The same, with its errors in its output. */
struct child start_child_with_errors(const char *program, const char *const *arguments);
/* Reads up to `size` bytes, less only at the end. */
size_t read_child(struct child *child, void *buffer, size_t size);
/* Reads a line, without its end; an empty one at the end of the output. */
#define LINE_SIZE 256
void read_line(struct child *child, char line[LINE_SIZE]);
/* Reads a line and checks it. */
bool expect_line(struct child *child, const char *wanted);
bool write_child(struct child *child, const void *bytes, size_t size);
void close_input(struct child *child);
/* Writes its whole input and closes it, in a thread of its own, while the caller reads. The bytes stay where they are
 * until the child has ended. */
void feed_child(struct child *child, const void *bytes, size_t size);
void kill_child(struct child *child);
/* Waits for its end and releases it. Returns the exit code. */
uint32_t end_child(struct child *child);

/* For children: a line to the parent at once, and waiting until the parent closes our input or sends a line. */
void tell(const char *line);
void await_parent(void);

#endif
