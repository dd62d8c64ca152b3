/*
 * mapring check, gc and forget: looking after rings and what the dead left.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "system.h"
#include "tool.h"

/* The option --json, and so many arguments. Returns EXIT_DONE, and in `*stop` whether there is nothing more to do. */
static int take_arguments(int argc, char **argv, int wanted, bool *json, bool *stop)
{
    static const struct option long_options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

    *stop = true;
    for (int option; (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        if (option == 'h')
            return help(argv[0]);
        if (option != 'j')
            return fail_option(argv[0], option, argv);
        *json = true;
    }
    if (argc - optind != wanted)
        return fail_usage(argv[0], "%s takes %d argument%s, not %d", argv[0], wanted, wanted == 1 ? "" : "s",
                          argc - optind);
    *stop = false;
    return EXIT_DONE;
}

/* Checking. */

static void print_report(const char *what, const mapring_check_report *report)
{
    printf("%s: %" PRIu64 " messages retained, %" PRIu64 " to %" PRIu64 ", in %" PRIu64 " bytes; %" PRIu32
           " index entries\n",
           what, report->messages - report->oldest, report->oldest, report->messages, report->bytes,
           report->index_entries);
    printf("%s: %s producer, %" PRIu32 " consumers, %" PRIu32 " of them dead\n", what,
           report->producer_alive ? "a living" : "no living", report->consumers, report->dead);
    const struct {
        uint32_t count;
        const char *text;
    } problems[] = {
        {report->bad_records, "where a record should be there is none"},
        {report->bad_index, "an entry of the index points at no record, or at another than it says"},
        {report->bad_cursors, "a consumer's place is no record"},
        {report->bad_groups, "a group's place is no record"},
        {report->bad_limits, "positions contradict each other"},
        {report->bad_checkpoints, "no checkpoint is whole"},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (problems[i].count > 0)
            printf("%s: DAMAGED: %s (%" PRIu32 " times)\n", what, problems[i].text, problems[i].count);
    if (report->problems > 0)
        printf("%s: the first problem is at position %" PRIu64 "\n", what, report->problem_position);
    else
        printf("%s: sound\n", what);
}

static void print_report_json(const mapring_check_report *report)
{
    printf("{\"problems\": %" PRIu32 ", \"bad_records\": %" PRIu32 ", \"bad_index\": %" PRIu32
           ", \"bad_cursors\": %" PRIu32 ", \"bad_groups\": %" PRIu32 ", \"bad_limits\": %" PRIu32
           ", \"bad_checkpoints\": %" PRIu32 ",\n",
           report->problems, report->bad_records, report->bad_index, report->bad_cursors, report->bad_groups,
           report->bad_limits, report->bad_checkpoints);
    if (report->problems > 0)
        printf(" \"problem_position\": %" PRIu64 ",\n", report->problem_position);
    printf(" \"oldest\": %" PRIu64 ", \"messages\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"padding\": %" PRIu64
           ", \"index_entries\": %" PRIu32 ",\n",
           report->oldest, report->messages, report->bytes, report->padding, report->index_entries);
    printf(" \"producer_alive\": %s, \"consumers\": %" PRIu32 ", \"dead\": %" PRIu32 "}\n",
           report->producer_alive ? "true" : "false", report->consumers, report->dead);
}

int command_check(int argc, char **argv)
{
    bool json = false, stop;
    int exit_status = take_arguments(argc, argv, 1, &json, &stop);
    if (stop)
        return exit_status;
    const char *what = argv[optind];
    mapring_check_report report = {.struct_size = sizeof report};
    int32_t status = system_is_path(what) ? MAPRING_NOT_FOUND : mapring_check(what, NULL, &report);
    bool no_such_name = status == MAPRING_NOT_FOUND || status == MAPRING_INVALID_NAME;
    if (no_such_name && (system_is_path(what) || system_file_exists(what)))
        status = mapring_check(NULL, what, &report);
    if (status < 0)
        return fail_status(what, status);
    if (json)
        print_report_json(&report);
    else
        print_report(what, &report);
    exit_status = finish_output();
    return report.problems > 0 ? EXIT_FAILED : exit_status;
}

/* Removing. */

/* All names, one behind the other, for the caller to free; NULL, and `*count` a status. */
static char *list_names(int32_t *count)
{
    uint64_t needed = 4096;
    for (;;) {
        uint64_t size = needed;
        char *names = malloc((size_t)size);
        *count = names == NULL ? MAPRING_NO_MEMORY : mapring_list(names, size, &needed);
        if (*count >= 0 && needed <= size)
            return names;
        free(names);
        if (*count < 0)
            return NULL;
    }
}

/* Says how many dead consumers a ring has, if any. */
static bool print_dead(const char *name, mapring_consumer_info *consumers, bool json, const char *between)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t count = mapring_stat(name, NULL, &info, consumers, mapring_consumers_max());
    uint32_t dead = 0, named = 0;
    for (int32_t i = 0; i < count; i++) {
        dead += !consumers[i].alive;
        named += !consumers[i].alive && consumers[i].kind != MAPRING_MEMBER && consumers[i].own_name[0] != 0;
    }
    if (dead == 0)
        return false;
    if (json) {
        printf("%s{\"name\": ", between);
        json_string(name);
        printf(", \"dead\": %" PRIu32 ", \"named\": %" PRIu32 "}", dead, named);
    } else {
        printf("%s: %" PRIu32 " dead consumer%s, %" PRIu32 " of them named\n", name, dead, dead == 1 ? "" : "s", named);
    }
    return true;
}

/* Of the rings that are left. Returns MAPRING_OK or a status. */
static int32_t print_all_dead(bool json)
{
    int32_t count;
    char *names = list_names(&count);
    mapring_consumer_info *consumers = calloc(mapring_consumers_max(), sizeof *consumers);
    const char *between = "";
    if (names != NULL && consumers != NULL)
        for (char *name = names; count > 0; count--, name += strlen(name) + 1)
            if (print_dead(name, consumers, json, between))
                between = ", ";
    int32_t status = count < 0 ? count : consumers == NULL ? MAPRING_NO_MEMORY : MAPRING_OK;
    free(consumers);
    free(names);
    return status;
}

int command_gc(int argc, char **argv)
{
    bool json = false, stop;
    int exit_status = take_arguments(argc, argv, 0, &json, &stop);
    if (stop)
        return exit_status;
    int32_t count = mapring_sweep();
    if (count < 0)
        return fail("cannot sweep: %s", mapring_status_text(count));
    if (json)
        printf("{\"removed\": %" PRId32 ", \"rings\": [", count);
    else
        printf("removed %" PRId32 " name%s that only the dead held\n", count, count == 1 ? "" : "s");
    int32_t status = print_all_dead(json);
    if (json)
        printf("]}\n");
    exit_status = finish_output();
    return status < 0 ? fail("cannot list the rings: %s", mapring_status_text(status)) : exit_status;
}

int command_forget(int argc, char **argv)
{
    bool json = false, stop;
    int exit_status = take_arguments(argc, argv, 2, &json, &stop);
    if (stop)
        return exit_status;
    const char *name = argv[optind], *own_name = argv[optind + 1];
    int32_t status = mapring_forget(name, own_name);
    if (status == MAPRING_NOT_FOUND && mapring_kind(name) == MAPRING_KIND_RING)
        return fail("'%s': it has no consumer or group '%s'", name, own_name);
    if (status < 0)
        return fail_status(status == MAPRING_NAME_IN_USE ? own_name : name, status);
    if (json)
        printf("{\"forgotten\": true}\n");
    return finish_output();
}
