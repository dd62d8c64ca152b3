/*
 * The model checker as a command: what it does is in check.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char usage[] =
    "usage: mapring-model COMMAND\n"
    "  litmus                        the checker itself, against outcomes that are known\n"
    "  reduction N [--seed SEED]     the partial-order reduction, against none, for N programs made at random\n"
    "  list                          the scenarios and what each shows\n"
    "  scenarios [--seconds S] [--large S]  all of them, each to its end or for S seconds; and the large ones\n"
    "  random N [--seed SEED]        all of them, N executions each with choices made at random\n"
    "  scenario NAME [--seconds S | --random N [--seed SEED] | --replay CHOICES] [--no-reduction]\n"
    "                [--mutant MUTATION:FUNCTION:TEXT]\n"
    "  mutants FILE [--write]        every mutant is caught, and the table in FILE says so (or is written there)\n"
    "  touch                         that a plain access to shared memory is found\n"
    "  find [FUNCTION]               which scenarios catch which mutants\n";

struct arguments {
    double seconds;
    double large;
    uint64_t random;
    uint64_t seed;
    const char *replay;
    bool write;
    bool no_reduction;
};

/* Reads what begins with "--". False if it makes no sense. */
static bool parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--write") == 0) {
            arguments->write = true;
            continue;
        }
        if (strcmp(argv[i], "--no-reduction") == 0) {
            arguments->no_reduction = true;
            continue;
        }
        if (value == NULL)
            return false;
        if (strcmp(argv[i], "--seconds") == 0)
            arguments->seconds = strtod(value, NULL);
        else if (strcmp(argv[i], "--large") == 0)
            arguments->large = strtod(value, NULL);
        else if (strcmp(argv[i], "--random") == 0)
            arguments->random = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            arguments->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--mutant") == 0) {
            if (!mutate_by_name(value))
                return false;
        } else if (strcmp(argv[i], "--replay") == 0)
            arguments->replay = value;
        else
            return false;
        i++;
    }
    return true;
}

static void list(void)
{
    const struct model_program *program;
    for (uint32_t i = 0; (program = scenario_at(i)) != NULL; i++)
        printf("%-26s %s\n", program->name, program->invariant);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seed = 1};
    const char *command = argc > 1 ? argv[1] : "";
    bool has_operand = argc > 2 && strncmp(argv[2], "--", 2) != 0;
    const char *operand = has_operand ? argv[2] : NULL;
    int options = has_operand ? 3 : 2;
    if (argc < 2 || !parse(argc - options, argv + options, &arguments)) {
        fputs(usage, stderr);
        return 2;
    }
    bool right;
    if (strcmp(command, "litmus") == 0) {
        right = check_litmus();
    } else if (strcmp(command, "reduction") == 0 && operand != NULL) {
        right = check_reduction((uint32_t)strtoul(operand, NULL, 10), arguments.seed);
    } else if (strcmp(command, "list") == 0) {
        list();
        right = true;
    } else if (strcmp(command, "scenarios") == 0) {
        right = check_scenarios(arguments.seconds, arguments.large);
    } else if (strcmp(command, "random") == 0 && operand != NULL) {
        right = check_random(strtoull(operand, NULL, 10), arguments.seed);
    } else if (strcmp(command, "scenario") == 0 && operand != NULL) {
        struct model_options how = {
            .seconds = arguments.seconds,
            .random = arguments.random > 0,
            .executions = arguments.random,
            .seed = arguments.seed,
            .replay = arguments.replay,
            .no_reduction = arguments.no_reduction,
        };
        right = check_one(operand, &how);
    } else if (strcmp(command, "mutants") == 0 && operand != NULL) {
        right = check_mutants(operand, arguments.write);
    } else if (strcmp(command, "touch") == 0) {
        right = check_touch();
    } else if (strcmp(command, "find") == 0) {
        find_mutants(operand);
        right = true;
    } else {
        fputs(usage, stderr);
        return 2;
    }
    return right ? 0 : 1;
}
