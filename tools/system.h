/*
 * What the command needs of the operating system: linux.c or windows.c.
 */
#ifndef MAPRING_TOOLS_SYSTEM_H
#define MAPRING_TOOLS_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Readies the process: arguments in UTF-8, standard streams open and binary. */
void system_start(int *argc, char ***argv);

/*
 * From here on a request to stop (SIGINT, SIGTERM, SIGHUP; Windows: control
 * events) no longer ends the process, but interrupts a read or write that waits, and makes
 * system_stopped() true. A second request ends it. A closed pipe on the output is an outcome of system_write().
 */
void system_catch_stop(void);
bool system_stopped(void);

/* The last call of main(): after a request to stop the process ends as if it had not been caught. */
int system_finish(int status);

/* Outcomes of reading and writing. */
enum {
    SYSTEM_CLOSED = -1, /* nobody reads the output any more */
    SYSTEM_STOPPED = -2,
    SYSTEM_FAILED = -3 /* system_error() says why */
};

/* Reads what there is of standard input, waiting for at least one byte. Returns the bytes, 0 at the end, or an outcome.
 */
int64_t system_read(void *buffer, size_t size);

/* Waits until standard input has something to read, or ended, where the system can tell; else returns at once. */
void system_await_input(void);

struct system_piece {
    const void *data;
    size_t length;
};

/* Writes the pieces to standard output, all of them. Returns 0 or an outcome. */
int system_write(const struct system_piece *pieces, uint32_t count);

/* Whether nobody reads standard output any more, where the system can tell without writing. */
bool system_output_closed(void);

const char *system_error(void);

enum system_stream { SYSTEM_INPUT = 0, SYSTEM_OUTPUT = 1, SYSTEM_ERRORS = 2 };
bool system_is_terminal(enum system_stream stream);

/* Nanoseconds of a clock that only runs forward. */
uint64_t system_clock_ns(void);

/* Whether an argument can only be a path; and whether there is a file of that path. */
bool system_is_path(const char *argument);
bool system_file_exists(const char *path);

#endif
