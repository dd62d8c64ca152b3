#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "scenarios.h"

static const struct model_program *const lists[] = {stream_scenarios, parking_scenarios, waiting_scenarios,
                                                    death_scenarios,  lossy_scenarios,   group_scenarios,
                                                    heir_scenarios,   named_scenarios,   verify_scenarios};

static struct model_result result;

const struct model_program *scenario_at(uint32_t number)
{
    for (uint32_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (const struct model_program *program = lists[l]; program->name != NULL; program++)
            if (number-- == 0)
                return program;
    return NULL;
}

const struct model_program *find_scenario(const char *name)
{
    const struct model_program *program;
    for (uint32_t i = 0; (program = scenario_at(i)) != NULL; i++)
        if (strcmp(program->name, name) == 0)
            return program;
    return NULL;
}

static void report(const struct model_program *program, bool random)
{
    const char *extent = random ? "at random" : result.exhausted ? "all" : "NOT all: stopped by the limit";
    printf("%-26s %9llu executions, %s", program->name, (unsigned long long)result.executions, extent);
    if (result.redundant > 0)
        printf(", %llu redundant", (unsigned long long)result.redundant);
    if (result.impatient > 0)
        printf(", %llu with a wait cut short", (unsigned long long)result.impatient);
    if (result.bounded > 0)
        printf(", %llu CUT OFF by a bound", (unsigned long long)result.bounded);
    printf("; up to %llu accesses, %.1f s%s\n", (unsigned long long)result.longest, result.seconds,
           result.failed ? " FAILED" : "");
    if (result.failed)
        printf("Replay: mapring-model scenario '%s' --replay %s\n", program->name, result.choices);
    fflush(stdout);
}

bool check_one(const char *name, const struct model_options *options)
{
    const struct model_program *program = find_scenario(name);
    if (program == NULL) {
        fprintf(stderr, "mapring-model: there is no scenario '%s'; see mapring-model list\n", name);
        return false;
    }
    printf("%s: %s\n", program->name, program->invariant);
    model_explore(program, options, &result);
    report(program, options->random);
    return !result.failed;
}

/* Where the time is 0, nothing is explored that is large. */
static bool check_all(const struct model_options *options, double large_seconds)
{
    bool right = true;
    double seconds = 0;
    uint64_t executions = 0;
    uint32_t count = 0, large = 0, complete = 0;
    const struct model_program *program;
    for (uint32_t i = 0; (program = scenario_at(i)) != NULL; i++) {
        struct model_options how = *options;
        if (program->large && !options->random) {
            if (large_seconds <= 0) {
                printf("%-26s not explored: it is large\n", program->name);
                large++;
                continue;
            }
            how.seconds = large_seconds;
        }
        model_explore(program, &how, &result);
        report(program, options->random);
        right &= !result.failed;
        complete += result.exhausted && result.bounded == 0;
        seconds += result.seconds;
        executions += result.executions;
        count++;
    }
    printf("%u scenarios, %u of them completely: %llu executions in %.1f s; %u left out\n", count, complete,
           (unsigned long long)executions, seconds, large);
    return right;
}

bool check_scenarios(double seconds, double large_seconds)
{
    struct model_options options = {.seconds = seconds};
    return check_all(&options, large_seconds);
}

bool check_random(uint64_t executions, uint64_t seed)
{
    struct model_options options = {.random = true, .executions = executions, .seed = seed};
    return check_all(&options, 0);
}

/* Plain accesses. */

static void touch(void)
{
    *(volatile uint64_t *)model_shared(MODEL_HEAP_OFFSET / 2) = 1;
}

static void explore_touch(void)
{
    const struct model_program program = {.name = "touch", .thread_count = 1, .threads = {touch}};
    struct model_options options = {.quiet = true};
    model_explore(&program, &options, &result);
}

bool check_touch(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        explore_touch();
        _exit(0);
    }
    close(ends[1]);
    char said[512] = {0};
    ssize_t length = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    int status = 0;
    bool ended = child > 0 && waitpid(child, &status, 0) == child;
    printf("%s", said);
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == MODEL_CRASHED && length > 0 &&
           strstr(said, "a plain access to shared memory, at offset 262144") != NULL;
}
