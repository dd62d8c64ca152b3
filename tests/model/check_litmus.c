#include <stdio.h>
#include <string.h>

#include "check.h"
#include "litmus.h"

#define OUTCOMES_MAX 256

/* A set of outcomes: each numbered by its registers as digits of base max + 1. */
struct outcomes {
    const struct litmus *litmus;
    bool found[OUTCOMES_MAX];
    uint32_t strange; /* values that no register should have */
};

static void add_outcome(void *context)
{
    struct outcomes *outcomes = context;
    uint32_t number = 0;
    for (uint32_t i = 0; i < outcomes->litmus->registers; i++) {
        if (litmus_register[i] > outcomes->litmus->max[i])
            outcomes->strange++;
        number = number * (outcomes->litmus->max[i] + 1) + litmus_register[i];
    }
    if (number < OUTCOMES_MAX)
        outcomes->found[number] = true;
}

static struct model_result result;

static void collect(const struct litmus *litmus, struct outcomes *outcomes, bool no_reduction)
{
    memset(outcomes, 0, sizeof *outcomes);
    outcomes->litmus = litmus;
    struct model_options options = {.done = add_outcome, .context = outcomes, .no_reduction = no_reduction};
    model_explore(&litmus->program, &options, &result);
}

static bool compare(const struct litmus *litmus, const struct outcomes *outcomes)
{
    uint32_t total = 1;
    for (uint32_t i = 0; i < litmus->registers; i++)
        total *= litmus->max[i] + 1;
    bool right = outcomes->strange == 0 && result.exhausted && !result.failed && result.bounded == 0;
    uint32_t found = 0;
    for (uint32_t number = 0; number < total; number++) {
        uint32_t values[REGISTERS_MAX];
        uint32_t rest = number;
        for (uint32_t i = litmus->registers; i-- > 0; rest /= litmus->max[i] + 1)
            values[i] = rest % (litmus->max[i] + 1);
        bool allowed = litmus->allowed(values);
        found += outcomes->found[number];
        if (allowed == outcomes->found[number])
            continue;
        right = false;
        printf("%s: %s", litmus->program.name, allowed ? "allowed but not found:" : "found but not allowed:");
        for (uint32_t i = 0; i < litmus->registers; i++)
            printf(" r%u=%u", i, values[i]);
        printf("\n");
    }
    printf("%-45s %3u outcomes of %3u, %6llu executions, %llu redundant %s\n", litmus->program.name, found, total,
           (unsigned long long)result.executions, (unsigned long long)result.redundant, right ? "" : "WRONG");
    return right;
}

static bool check_fault(const struct litmus_fault *fault)
{
    struct model_program program = fault->program;
    program.setup = litmus_setup;
    struct model_options options = {.quiet = true};
    model_explore(&program, &options, &result);
    bool right = fault->failure == NULL
                     ? result.exhausted && !result.failed
                     : result.failed && strncmp(result.failure, fault->failure, strlen(fault->failure)) == 0;
    printf("%-45s %s %s\n", program.name, result.failed ? result.failure : "no fault", right ? "" : "WRONG");
    return right;
}

bool check_litmus(void)
{
    static struct outcomes outcomes;
    bool right = true;
    for (uint32_t i = 0; i < litmus_count + more_litmus_count; i++) {
        const struct litmus *litmus = i < litmus_count ? &litmus_tests[i] : &more_litmus_tests[i - litmus_count];
        /* With and without the reduction: it may leave out no outcome. */
        collect(litmus, &outcomes, false);
        right &= compare(litmus, &outcomes);
        collect(litmus, &outcomes, true);
        right &= compare(litmus, &outcomes);
    }
    for (uint32_t i = 0; i < litmus_fault_count; i++)
        right &= check_fault(&litmus_faults[i]);
    for (uint32_t i = 0; i < more_litmus_fault_count; i++)
        right &= check_fault(&more_litmus_faults[i]);
    return right;
}
