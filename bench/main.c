#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "control.h"
#include "payload.h"
#include "report.h"
#include "work.h"

#define ROUNDS_DEFAULT 100u
#define ROUNDS_QUICK 20u
#define SECONDS_DEFAULT 160.0
#define SECONDS_QUICK 45.0
#define SIZE_LARGEST 65536u

static const char usage[] =
    "usage: mapring-bench [COMMAND] [OPTION]...\n"
    "\n"
    "  steer        what a change to the ring must not make worse, with targets (default)\n"
    "  publish      publishing with no consumer, beside a bare copy\n"
    "  pingpong     round trip over two rings, beside two cache lines\n"
    "  throughput   one consumer that reads every byte, beside a plain ring and a streamed copy\n"
    "  limits       what the machine does without mapring\n"
    "\n"
    "  --cpus A,B          processors for the two processes (default: the first two allowed)\n"
    "  --rounds N          rounds (default 100)\n"
    "  --seconds S         end after about S seconds (default 160)\n"
    "  --quick             20 rounds in at most 45 seconds\n"
    "  --sizes N,N...      message sizes in bytes, multiples of 8 up to 65536\n"
    "  --capacity N        bytes in a ring, a power of two (default: that of the library)\n"
    "  --json              results as JSON\n";

struct command {
    const char *name;
    void (*plans[3])(struct plan *plan, const struct options *options);
    bool needs_partner;
    bool memory;
};

static const struct command commands[] = {
    {"steer", {publish_plan, pingpong_plan, throughput_plan}, false, true},
    {"publish", {publish_plan}, false, false},
    {"pingpong", {pingpong_plan}, true, false},
    {"throughput", {throughput_plan}, true, false},
    {"limits", {limits_plan}, true, false},
};

static void wrong(const char *what, const char *value)
{
    fprintf(stderr, "mapring-bench: %s: %s\n%s", what, value, usage);
    exit(2);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most, const char *option)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || *text == '-' || value < least || value > most)
        wrong(option, text);
    return value;
}

/* Numbers with commas between them; returns how many. */
static unsigned numbers(const char *text, uint64_t *values, unsigned max, uint64_t least, uint64_t most,
                        const char *option)
{
    char copy[256];
    unsigned count = 0;
    if (strlen(text) >= sizeof copy)
        wrong(option, text);
    strcpy(copy, text);
    for (char *rest = copy, *piece; (piece = strsep(&rest, ",")) != NULL;) {
        if (count == max)
            wrong(option, text);
        values[count++] = number(piece, least, most, option);
    }
    return count;
}

static void first_allowed(struct options *options)
{
    cpu_set_t allowed;
    int count = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        fail("cannot tell which processors are allowed: %s", strerror(errno));
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
        if (CPU_ISSET((size_t)cpu, &allowed))
            options->cpus[count++] = cpu;
    options->alone = count < 2;
}

enum { CPUS = 256, ROUNDS, SECONDS, QUICK, SIZES, CAPACITY, JSON, HELP };

static const struct option long_options[] = {
    {"cpus", required_argument, NULL, CPUS},
    {"rounds", required_argument, NULL, ROUNDS},
    {"seconds", required_argument, NULL, SECONDS},
    {"quick", no_argument, NULL, QUICK},
    {"sizes", required_argument, NULL, SIZES},
    {"capacity", required_argument, NULL, CAPACITY},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {0},
};

static void take_option(struct options *options, int option)
{
    uint64_t cpus[2];
    switch (option) {
    case CPUS:
        if (numbers(optarg, cpus, 2, 0, CPU_SETSIZE - 1, "--cpus") != 2 || cpus[0] == cpus[1])
            wrong("--cpus takes two different processors", optarg);
        options->cpus[0] = (int)cpus[0];
        options->cpus[1] = (int)cpus[1];
        options->alone = false;
        break;
    case ROUNDS:
        options->rounds = (unsigned)number(optarg, 1, 100000, "--rounds");
        break;
    case SECONDS:
        options->seconds = (double)number(optarg, 1, 86400, "--seconds");
        break;
    case QUICK:
        options->rounds = ROUNDS_QUICK;
        options->seconds = SECONDS_QUICK;
        break;
    case SIZES:
        options->size_count = numbers(optarg, options->sizes, SIZES_MAX, 8, SIZE_LARGEST, "--sizes");
        for (unsigned i = 0; i < options->size_count; i++)
            if (options->sizes[i] % 8 != 0)
                wrong("--sizes takes multiples of 8", optarg);
        break;
    case CAPACITY:
        options->capacity = number(optarg, 4 * SIZE_LARGEST, (uint64_t)1 << 32, "--capacity");
        if ((options->capacity & (options->capacity - 1)) != 0)
            wrong("--capacity takes a power of two", optarg);
        break;
    case JSON:
        options->json = true;
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static const struct command *take_arguments(struct options *options, int count, char **arguments)
{
    int option;
    while ((option = getopt_long(count, arguments, "", long_options, NULL)) != -1)
        take_option(options, option);
    if (optind == count)
        return &commands[0];
    if (optind + 1 == count)
        for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
            if (strcmp(arguments[optind], commands[i].name) == 0)
                return &commands[i];
    wrong("no such command", arguments[optind]);
    return NULL;
}

static void report(const struct command *command, const struct options *options, const struct plan *plan)
{
    struct machine machine;
    struct ring_memory memory;
    machine_describe(&machine);
    struct report report = {
        .command = command->name, .options = options, .machine = &machine, .plan = plan, .memory = NULL};
    if (command->memory) {
        memory = rings_memory(options);
        report.memory = &memory;
    }
    if (options->json)
        report_json(&report);
    else
        report_text(&report);
}

int main(int count, char **arguments)
{
    static struct plan plan;
    struct options options = {
        .rounds = ROUNDS_DEFAULT, .seconds = SECONDS_DEFAULT, .capacity = mapring_capacity_default()};
    first_allowed(&options);
    const struct command *command = take_arguments(&options, count, arguments);
    if (options.alone && command->needs_partner)
        fail("%s takes two processors, and only one is allowed", command->name);
    for (unsigned i = 0; i < 3 && command->plans[i] != NULL; i++)
        if (!options.alone || command->plans[i] == publish_plan)
            command->plans[i](&plan, &options);

    bare_prepare(options.capacity);
    control_prepare(options.capacity);
    rings_prepare(&options);
    pair_start(&options);
    atexit(rings_close); /* on every way out, so that no ring and no process stays behind */
    rings_open(&options);
    plan_run(&plan, &options);
    bool interrupted = stopping();
    rings_close();
    if (pair_failed())
        return 1;
    if (plan.rounds_begun > 0)
        report(command, &options, &plan);
    return interrupted ? 130 : 0;
}
