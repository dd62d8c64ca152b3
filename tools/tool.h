/*
 * The mapring command: what its parts share.
 */
#ifndef MAPRING_TOOLS_TOOL_H
#define MAPRING_TOOLS_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include <mapring/mapring.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The subcommands; argv[0] is the subcommand itself. They return an exit status (main.c says what each is told). */
int command_pub(int argc, char **argv);
int command_sub(int argc, char **argv);
int command_ls(int argc, char **argv);
int command_stat(int argc, char **argv);
int command_check(int argc, char **argv);
int command_gc(int argc, char **argv);
int command_forget(int argc, char **argv);

/* Errors (main.c): one line on standard error, whatever the arguments contain. */
#if defined(__GNUC__)
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#else
#define PRINTF_LIKE(at, first)
#endif

/* Returns EXIT_FAILED. */
PRINTF_LIKE(1, 2) int fail(const char *format, ...);
/* The same with the sentence of a status; `what` is the name or file it is about. */
int fail_status(const char *what, int32_t status);
/* Returns EXIT_USAGE. */
PRINTF_LIKE(2, 3) int fail_usage(const char *command, const char *format, ...);

/* Prints the help of one subcommand to standard output; returns EXIT_DONE. */
int help(const char *command);

/* What getopt_long() did not understand, after it returned '?' or ':' (main.c). Returns EXIT_USAGE. */
int fail_option(const char *command, int outcome, char **argv);

/* Whether what was printed on standard output got there (main.c). Returns EXIT_DONE or EXIT_FAILED. */
int finish_output(void);

/* Values of options (parse.c): false when the text is anything else, or too large. */
bool parse_count(const char *text, uint64_t *count);               /* 12 */
bool parse_size(const char *text, uint64_t *bytes);                /* 4096, 64K, 8M, 1G */
bool parse_tag(const char *text, uint32_t *mask, uint32_t *value); /* 7, 0xff00/0x1200 */
bool parse_duration(const char *text, int64_t *nanoseconds);       /* 500us, 20ms, 2s, 1m, 1h */

/* How long to wait for any one thing. The text is the user's own, for messages. */
struct patience {
    int64_t ns;
    const char *text;
};

/*
 * Waiting (patience.c). Calls of the library do not end when a signal arrives,
 * so a long wait is cut into slices, and what may have happened meanwhile is looked at between them.
 */
uint64_t patience_end(struct patience patience);
bool patience_is_over(uint64_t end);
int64_t patience_slice(uint64_t end);

/* Says that something was waited for in vain, and which consumers hold it up (lag.c). Returns EXIT_FAILED. */
int fail_lagging(const char *name, const char *what, struct patience patience);

#endif
