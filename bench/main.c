#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "asleep.h"
#include "bare.h"
#include "control.h"
#include "lines.h"
#include "payload.h"
#include "report.h"
#include "rings.h"
#include "work.h"

#define ROUNDS_DEFAULT 100u
#define ROUNDS_QUICK 20u
#define SECONDS_DEFAULT 160.0
#define SECONDS_QUICK 45.0
#define CAPACITY_OF_LIMITS ((uint64_t)32 << 20)

static const char usage[] =
    "usage: mapring-bench [COMMAND] [OPTION]...\n"
    "\n"
    "  steer        what a change to the ring must not make worse, with targets (default)\n"
    "  publish      publishing with no consumer, beside a bare copy\n"
    "  pingpong     round trip over two rings, beside two cache lines\n"
    "  throughput   one consumer that reads every byte: sizes, capacities, threads; beside a plain ring and the limit\n"
    "  latency      durations: there and back, and one way at 10, 50, 80 and 95 % of the peak\n"
    "  fanout       1 to 64 consumers\n"
    "  group        1 to 16 members of a group\n"
    "  attached     publishing with up to 64 consumers attached\n"
    "  wake         consumers that sleep, beside bare futex and eventfd; and what their wakeups cost a publish\n"
    "  attach       creating, joining, taking over; memory\n"
    "  segment      a segment of 1 MiB, created, opened, mapped and closed; beside bare system calls\n"
    "  limits       what the machine does without mapring\n"
    "  compare      the same work over other transports\n"
    "\n"
    "  --cpus A,B,...      processors for the processes, in turn (default: all that are allowed)\n"
    "  --rounds N          rounds (default 100)\n"
    "  --seconds S         end after about S seconds (default 160)\n"
    "  --quick             20 rounds in at most 45 seconds\n"
    "  --sizes N,N...      message sizes in bytes, multiples of 8 up to 1048576\n"
    "  --consumers N,N...  numbers of consumers, up to 64 (fanout, group, wake)\n"
    "  --capacity N        bytes in a ring, a power of two (default: that of the library)\n"
    "  --json              results as JSON\n"
    "  --html FILE         a page with plots, besides\n"
    "  --hdr FOLDER        histograms in the text format of HdrHistogram, besides\n"
    "\n"
    "Ctrl-C prints what is finished.\n";

typedef void planner(struct plan *plan, const struct options *options);

struct command {
    const char *name;
    planner *plans[3];
    bool alone;  /* it means something on one processor */
    bool memory; /* it tells what a ring takes */
};

static const struct command commands[] = {
    {"steer", {publish_plan, pingpong_plan, steer_throughput_plan}, true, true},
    {"publish", {publish_plan}, true, false},
    {"pingpong", {pingpong_plan}, false, false},
    {"throughput", {throughput_plan}, false, false},
    {"latency", {latency_plan}, false, false},
    {"fanout", {fanout_plan}, true, false},
    {"group", {group_plan}, true, false},
    {"attached", {attached_plan}, true, false},
    {"wake", {wake_plan, awake_plan}, true, false},
    {"attach", {attach_plan}, true, true},
    {"segment", {segment_plan}, true, false},
    {"limits", {limits_plan}, true, false},
    {"compare", {compare_plan}, false, false},
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

static void take_allowed(struct options *options)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        fail("cannot tell which processors are allowed: %s", strerror(errno));
    for (int cpu = 0; cpu < CPU_SETSIZE && options->cpu_count < CPUS_MAX; cpu++)
        if (CPU_ISSET((size_t)cpu, &allowed))
            options->cpus[options->cpu_count++] = cpu;
}

static void choose_cpus(struct options *options, const char *text)
{
    uint64_t cpus[CPUS_MAX];
    options->cpu_count = numbers(text, cpus, CPUS_MAX, 0, CPU_SETSIZE - 1, "--cpus");
    options->cpus_chosen = true;
    for (unsigned i = 0; i < options->cpu_count; i++) {
        options->cpus[i] = (int)cpus[i];
        for (unsigned j = 0; j < i; j++)
            if (cpus[i] == cpus[j])
                wrong("--cpus takes different processors", text);
    }
}

static void choose_sizes(struct options *options, const char *text)
{
    options->size_count = numbers(text, options->sizes, SIZES_MAX, 8, PAYLOAD_MAX, "--sizes");
    for (unsigned i = 0; i < options->size_count; i++)
        if (options->sizes[i] % 8 != 0)
            wrong("--sizes takes multiples of 8", text);
}

static void choose_capacity(struct options *options, const char *text)
{
    options->capacity = number(text, mapring_capacity_min(), mapring_capacity_max(), "--capacity");
    if ((options->capacity & (options->capacity - 1)) != 0)
        wrong("--capacity takes a power of two", text);
}

enum { CPUS = 256, ROUNDS, SECONDS, QUICK, SIZES, CONSUMERS, CAPACITY, JSON, HTML, HDR, HELP };

static const struct option long_options[] = {
    {"cpus", required_argument, NULL, CPUS},
    {"rounds", required_argument, NULL, ROUNDS},
    {"seconds", required_argument, NULL, SECONDS},
    {"quick", no_argument, NULL, QUICK},
    {"sizes", required_argument, NULL, SIZES},
    {"consumers", required_argument, NULL, CONSUMERS},
    {"capacity", required_argument, NULL, CAPACITY},
    {"json", no_argument, NULL, JSON},
    {"html", required_argument, NULL, HTML},
    {"hdr", required_argument, NULL, HDR},
    {"help", no_argument, NULL, HELP},
    {0},
};

static void take_option(struct options *options, int option)
{
    switch (option) {
    case CPUS:
        choose_cpus(options, optarg);
        break;
    case ROUNDS:
        options->rounds = (unsigned)number(optarg, 1, 100000, "--rounds");
        break;
    case SECONDS:
        options->seconds = (double)number(optarg, 1, 86400, "--seconds");
        break;
    case QUICK:
        options->quick = true;
        options->rounds = ROUNDS_QUICK;
        options->seconds = SECONDS_QUICK;
        break;
    case SIZES:
        choose_sizes(options, optarg);
        break;
    case CONSUMERS:
        options->consumer_count = numbers(optarg, options->consumers, COUNTS_MAX, 1, MEMBERS_MAX - 1, "--consumers");
        break;
    case CAPACITY:
        choose_capacity(options, optarg);
        break;
    case JSON:
        options->json = true;
        break;
    case HTML:
        options->html = optarg;
        break;
    case HDR:
        options->hdr = optarg;
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

struct crew *plan_pair(const struct options *options)
{
    static struct crew *pair;
    if (pair == NULL) {
        struct crew crew = rings_pair(options->capacity);
        crew.resident = true;
        crew.members = is_alone(options) ? 1 : 2;
        pair = plan_crew(crew);
    }
    return pair;
}

static void make_plan(struct plan *plan, const struct command *command, const struct options *options)
{
    if (is_alone(options) && !command->alone)
        fail("%s takes two processors, and only one is allowed", command->name);
    for (unsigned i = 0; i < 3 && command->plans[i] != NULL; i++)
        if (!is_alone(options) || i == 0)
            command->plans[i](plan, options);
}

static void prepare_memory(const struct options *options)
{
    uint64_t capacity = options->capacity > CAPACITY_OF_LIMITS ? options->capacity : CAPACITY_OF_LIMITS;
    bare_prepare(capacity);
    lines_prepare(capacity);
    control_prepare(capacity);
    asleep_prepare();
}

static bool write_reports(const struct command *command, const struct options *options, const struct plan *plan)
{
    struct machine machine;
    struct ring_memory memory;
    machine_describe(&machine);
    struct report report = {
        .command = command->name, .options = options, .machine = &machine, .plan = plan, .memory = NULL};
    if (command->memory) {
        memory = rings_memory(options->capacity);
        report.memory = &memory;
    }
    if (options->json)
        report_json(&report);
    else
        report_text(&report);
    bool good = options->html == NULL || report_html(&report, options->html);
    return (options->hdr == NULL || report_hdr(&report, options->hdr)) && good;
}

/* Whether a crew that had no reason to fail did. */
static bool has_failures(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++)
        for (unsigned j = 0; j < plan->comparisons[i].subject_count; j++) {
            const struct crew *crew = plan->comparisons[i].subjects[j].crew;
            if (crew != NULL && crew->failed && !crew->foreign)
                return true;
        }
    return false;
}

int main(int count, char **arguments)
{
    static struct plan plan;
    struct options options = {
        .rounds = ROUNDS_DEFAULT, .seconds = SECONDS_DEFAULT, .capacity = mapring_capacity_default()};
    take_allowed(&options);
    const struct command *command = take_arguments(&options, count, arguments);
    crews_prepare(&options);
    prepare_memory(&options);
    atexit(crews_end_all); /* on every way out, so that no ring and no process stays behind */
    make_plan(&plan, command, &options);
    plan_run(&plan, &options);
    bool interrupted = run_interrupted();
    crews_end_all();
    if (run_failed())
        return 1;
    if (plan.rounds_begun == 0)
        fputs("mapring-bench: there was no time for a single round; see --seconds\n", stderr);
    bool written = write_reports(command, &options, &plan);
    return interrupted ? 130 : !written || has_failures(&plan) ? 1 : 0;
}
