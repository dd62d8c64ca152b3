/*
 * The mapring command: finds the subcommand, prints help and errors.
 */
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "progress.h"
#include "system.h"
#include "tool.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis;
    const char *text;
};

static const struct command commands[] = {
    {"pub", command_pub, "pub NAME [OPTION]...",
     "Publishes standard input to the ring NAME, which it creates, or continues if\n"
     "its producer is gone. At the end of input it ends the stream and returns when\n"
     "every attached consumer has read it all.\n"
     "\n"
     "      --raw SIZE           messages are blocks of SIZE bytes (default: lines)\n"
     "      --frames             each message follows its length, 4 bytes little-endian\n"
     "      --capacity SIZE      size of the ring, a power of two (default: 8M)\n"
     "      --max-consumers N    consumers that can be attached at once (default: 64)\n"
     "      --file PATH          keep the ring in this file instead of memory\n"
     "      --wait-consumers N   do not start before N consumers are attached\n"
     "      --wait-turn DURATION wait for a living producer of the ring to leave\n"
     "      --slow POLICY        what becomes of consumers that leave no room: 'wait'\n"
     "                           for them (default), 'fail', 'demote' or 'evict' them\n"
     "      --slow-after DURATION  ... after so long without room\n"
     "      --hold DURATION      how long dead named consumers are waited for (1m)\n"
     "      --durable            flush the ring's file at the end\n"
     "      --timeout DURATION   longest wait for the consumers or for room\n"
     "  -v, --verbose            say at the end how much was published, how fast\n"
     "  -q, --quiet              no progress on a terminal\n"},
    {"sub", command_sub, "sub NAME [OPTION]...",
     "Writes the messages of the ring NAME to standard output, until the stream\n"
     "ends. Waits for the ring if there is none yet.\n"
     "\n"
     "      --raw                messages one behind the other (default: a line each)\n"
     "      --frames             each message follows its length, 4 bytes little-endian\n"
     "      --from WHERE         start at the 'oldest' message retained, which is the\n"
     "                           default, with the 'newest', that is the next, with\n"
     "                           message seq:N, at time:SECONDS or time:-DURATION\n"
     "      --name NAME          come back under this name, and continue\n"
     "      --group GROUP        share the messages with others of that group\n"
     "      --lossy              hold nobody back; say what was lost\n"
     "      --observe            the same, with permission to read only\n"
     "      --tag [MASK/]VALUE   only messages with (tag & MASK) == VALUE\n"
     "      --rejoin             when the producer ceased to wait for this consumer\n"
     "      --count N            end after N messages\n"
     "      --timeout DURATION   longest wait for the ring or for a message\n"
     "  -v, --verbose            say at the end how much was received, how fast\n"
     "  -q, --quiet              no progress on a terminal\n"},
    {"ls", command_ls, "ls [--json]",
     "Lists the rings that this user's processes have, and what else has a name: segments,\n"
     "events, semaphores and mutexes; the machine's begin with Global\\.\n"},
    {"stat", command_stat, "stat NAME|FILE [--json]",
     "Describes one ring and its processes. An argument with a path separator is a\n"
     "file; any other is a name, or a file if there is no ring of that name.\n"},
    {"check", command_check, "check NAME|FILE [--json]",
     "Walks over everything that a ring retains, in use or not, and says what is\n"
     "damaged. The exit status is 1 if anything is.\n"},
    {"gc", command_gc, "gc [--json]",
     "Removes the names, and the memory behind them, that only dead processes held.\n"
     "Says which rings have dead consumers: slots of those are taken when needed,\n"
     "but named ones keep their places.\n"},
    {"forget", command_forget, "forget RING NAME [--json]",
     "Ends the place of a named consumer, or a group, whose processes are gone: it\n"
     "holds the producer back no longer.\n"},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_error(const char *format, va_list arguments, const char *end)
{
    char line[2048];
    vsnprintf(line, sizeof line, format, arguments);
    /* One line, and nothing that a terminal would obey. */
    for (char *byte = line; *byte != '\0'; byte++)
        if ((unsigned char)*byte < ' ' || *byte == 127)
            *byte = '?';
    progress_erase();
    fprintf(stderr, "mapring: %s%s\n", line, end);
}

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error(format, arguments, "");
    va_end(arguments);
    return EXIT_FAILED;
}

int fail_status(const char *what, int32_t status)
{
    return fail("'%s': %s", what, mapring_status_text(status));
}

int fail_usage(const char *command, const char *format, ...)
{
    char end[64];
    snprintf(end, sizeof end, "; 'mapring help%s%s' tells more", command[0] == '\0' ? "" : " ", command);
    va_list arguments;
    va_start(arguments, format);
    print_error(format, arguments, end);
    va_end(arguments);
    return EXIT_USAGE;
}

int fail_option(const char *command, int outcome, char **argv)
{
    /* optopt is 0 after an unknown long option, and else the option's value or letter. */
    const char *argument = argv[optind - 1];
    bool known = optopt != 0 && (optopt > UCHAR_MAX || strchr("vq", optopt) != NULL);
    if (known && strchr(argument, '=') != NULL)
        return fail_usage(command, "'%s' has a value where none belongs", argument);
    if (outcome == ':')
        return fail_usage(command, "option '%s' needs a value", argument);
    if (optopt != 0 && !known)
        return fail_usage(command, "unknown option '-%c'", optopt);
    return fail_usage(command, "unknown option '%s'", argument);
}

int finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return fail("cannot write to standard output; see whether there is room where it goes");
    return EXIT_DONE;
}

int help(const char *name)
{
    const struct command *command = find_command(name);
    printf("usage: mapring %s\n\n%s", command->synopsis, command->text);
    return finish_output();
}

static void print_usage(FILE *stream)
{
    fputs("usage:\n", stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  mapring %s\n", commands[i].synopsis);
    fputs("  mapring help [COMMAND]\n"
          "  mapring --version\n"
          "\n"
          "Messages between processes, through rings in shared memory.\n"
          "A SIZE is a number of bytes, or 64K, 8M, 1G; a DURATION is 500us, 20ms, 2s, 1m, 1h.\n"
          "Exit status: 0 done, 1 failed, 2 not understood.\n",
          stream);
}

static int command_help(int argc, char **argv)
{
    if (argc > 2)
        return fail_usage("", "help takes one command");
    if (argc < 2) {
        print_usage(stdout);
        return finish_output();
    }
    if (find_command(argv[1]) == NULL)
        return fail_usage("", "there is no command '%s'", argv[1]);
    return help(argv[1]);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return command_help(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0) {
        printf("mapring %s (ABI %d, format %d)\n", mapring_version(), (int)mapring_abi_version(),
               (int)mapring_format_version());
        return finish_output();
    }
    const struct command *command = find_command(name);
    if (command == NULL)
        return fail_usage("", "there is no command '%s'", name);
    opterr = 0; /* fail_option() says it instead */
    return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    system_start(&argc, &argv);
    return system_finish(run(argc, argv));
}
