/*
 * mapring ls and mapring stat: what there is, for people and for programs.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "system.h"
#include "tool.h"

struct description {
    mapring_ring_info info;
    mapring_consumer_info *consumers;
    mapring_group_info groups[16];
    int32_t group_count;
    int32_t count; /* of consumers, or the status why there is no description */
};

static bool describe(struct description *description, const char *name, const char *file)
{
    memset(&description->info, 0, sizeof description->info);
    description->info.struct_size = sizeof description->info;
    description->count = mapring_stat(name, file, &description->info, description->consumers, mapring_consumers_max());
    uint32_t most = sizeof description->groups / sizeof *description->groups;
    description->group_count = description->count < 0 ? 0 : mapring_groups(name, file, description->groups, most);
    if (description->group_count < 0)
        description->group_count = 0;
    return description->count >= 0;
}

static const char *fence_name(uint32_t fence)
{
    switch (fence) {
    case MAPRING_FENCE_FULL:
        return "full";
    case MAPRING_FENCE_ASYMMETRIC:
        return "asymmetric";
    default:
        return NULL;
    }
}

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {"joining", "reliable", "lossy", "member"};
    return kind <= MAPRING_MEMBER ? names[kind] : "unknown";
}

static const char *waiting_name(uint32_t waiting)
{
    static const char *const names[] = {"adaptive", "spin", "park"};
    return waiting <= MAPRING_WAIT_PARK ? names[waiting] : "unknown";
}

/* How its descriptor is made ready; NULL if it has none. */
static const char *descriptor_name(uint32_t descriptor)
{
    switch (descriptor) {
    case MAPRING_DESCRIPTOR_ANY:
        return NULL;
    case MAPRING_DESCRIPTOR_FUTEX:
        return "futex";
    case MAPRING_DESCRIPTOR_WAKE:
        return "wake";
    default:
        return "unknown";
    }
}

static const char *policy_name(uint32_t policy)
{
    static const char *const names[] = {"wait", "fail", "demote", "evict"};
    return policy <= MAPRING_SLOW_EVICT ? names[policy] : "unknown";
}

/* The consumer or group that the producer would wait for; NULL if it waits for none. */
static const char *holder_name(const struct description *description, char text[96])
{
    uint64_t most = 0;
    const char *name = NULL;
    for (int32_t i = 0; i < description->count; i++) {
        const mapring_consumer_info *consumer = &description->consumers[i];
        if (consumer->kind == MAPRING_LOSSY || consumer->let_go || consumer->lag_bytes <= most)
            continue;
        most = consumer->lag_bytes;
        snprintf(text, 96, "slot %" PRIu32 "%s%s, %" PRIu64 " messages behind", consumer->slot,
                 consumer->own_name[0] == 0 ? "" : ", ", consumer->own_name, consumer->lag_messages);
        name = text;
    }
    for (int32_t i = 0; i < description->group_count; i++) {
        const mapring_group_info *group = &description->groups[i];
        if (group->lag_bytes <= most)
            continue;
        most = group->lag_bytes;
        snprintf(text, 96, "group %.48s, %" PRIu64 " messages behind", group->name, group->lag_messages);
        name = text;
    }
    return name;
}

static const char *alive_name(uint32_t alive)
{
    return alive ? "alive" : "dead";
}

static const char *truth(uint32_t value)
{
    return value ? "true" : "false";
}

static void print_json(const struct description *description, const char *indent)
{
    const mapring_ring_info *info = &description->info;
    printf("%s{\n%s  \"name\": ", indent, indent);
    json_string(info->name);
    printf(",\n%s  \"capacity\": %" PRIu64 ", \"memory\": %" PRIu64 ", \"max_consumers\": %" PRIu32 ",\n", indent,
           info->capacity, info->memory, info->max_consumers);
    printf("%s  \"messages\": %" PRIu64 ", \"position\": %" PRIu64 ", \"oldest\": %" PRIu64 ",\n", indent,
           info->messages, info->position, info->oldest);
    printf("%s  \"epoch\": %" PRIu64 ", \"ended\": %s, \"fence\": ", indent, info->epoch, truth(info->ended));
    if (fence_name(info->fence) == NULL)
        printf("null,\n");
    else
        printf("\"%s\",\n", fence_name(info->fence));
    if (info->producer_pid == 0)
        printf("%s  \"producer\": null,\n", indent);
    else
        printf("%s  \"producer\": {\"pid\": %" PRIu32 ", \"alive\": %s},\n", indent, info->producer_pid,
               truth(info->producer_alive));
    printf("%s  \"slow_policy\": \"%s\", \"slow_ns\": %" PRIu64 ", \"hold_ns\": %" PRIu64 ", \"durable\": %s,\n",
           indent, policy_name(info->slow_policy), info->slow_ns, info->hold_ns, truth(info->flags & MAPRING_DURABLE));
    printf("%s  \"evictions\": %" PRIu64 ", \"demotions\": %" PRIu64 ", \"flushed\": %" PRIu64 ",\n", indent,
           info->evictions, info->demotions, info->flushed);
    printf("%s  \"parks\": %" PRIu64 ", \"wakes\": %" PRIu64 ", \"wakes_avoided\": %" PRIu64
           ", \"spurious_wakes\": %" PRIu64 ",\n",
           indent, info->parks, info->wakes, info->wakes_avoided, info->spurious_wakes);
    printf("%s  \"groups\": [", indent);
    for (int32_t i = 0; i < description->group_count; i++) {
        const mapring_group_info *group = &description->groups[i];
        printf("%s\n%s    {\"name\": ", i == 0 ? "" : ",", indent);
        json_string(group->name);
        printf(", \"members\": %" PRIu32 ", \"dead\": %" PRIu32 ", \"position\": %" PRIu64
               ", \"lag_messages\": %" PRIu64 ", \"lag_bytes\": %" PRIu64 "}",
               group->members, group->dead, group->position, group->lag_messages, group->lag_bytes);
    }
    printf("%s%s],\n", description->group_count > 0 ? "\n  " : "", description->group_count > 0 ? indent : "");
    printf("%s  \"consumers\": [", indent);
    for (int32_t i = 0; i < description->count; i++) {
        const mapring_consumer_info *consumer = &description->consumers[i];
        printf("%s\n%s    {\"slot\": %" PRIu32 ", \"pid\": %" PRIu32 ", \"alive\": %s, \"kind\": \"%s\", ",
               i == 0 ? "" : ",", indent, consumer->slot, consumer->pid, truth(consumer->alive),
               kind_name(consumer->kind));
        printf("\"position\": %" PRIu64 ", \"lag_messages\": %" PRIu64 ", \"lag_bytes\": %" PRIu64 ", ",
               consumer->position, consumer->lag_messages, consumer->lag_bytes);
        printf("\"lost\": %" PRIu64 ", \"redelivered\": %" PRIu64 ", \"let_go\": %s, \"own_name\": ", consumer->lost,
               consumer->redelivered, truth(consumer->let_go));
        json_string(consumer->own_name);
        printf(",\n%s     \"waiting\": \"%s\", \"descriptor\": ", indent, waiting_name(consumer->waiting));
        if (descriptor_name(consumer->descriptor) == NULL)
            printf("null");
        else
            printf("\"%s\"", descriptor_name(consumer->descriptor));
        printf(", \"parks\": %" PRIu64 ", \"wakes\": %" PRIu64 ", \"wakes_avoided\": %" PRIu64
               ", \"spurious_wakes\": %" PRIu64 "}",
               consumer->parks, consumer->wakes, consumer->wakes_avoided, consumer->spurious_wakes);
    }
    if (description->count > 0)
        printf("\n%s  ", indent);
    printf("]\n%s}", indent);
}

static void print_json_error(const char *name, int32_t status)
{
    printf("  {\"name\": ");
    json_string(name);
    printf(", \"error\": \"%s\"}", mapring_status_name(status));
}

/* 64 KiB, 8 MiB; 8.1 MiB when it is not so round. */
static const char *format_size(char text[24], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    uint64_t factor = 1;
    while (unit < 4 && bytes / factor >= 1024) {
        factor *= 1024;
        unit++;
    }
    if (bytes % factor == 0)
        snprintf(text, 24, "%" PRIu64 " %s", bytes / factor, units[unit]);
    else
        snprintf(text, 24, "%.1f %s", (double)bytes / (double)factor, units[unit]);
    return text;
}

static const char *format_producer(char text[32], const mapring_ring_info *info)
{
    if (info->producer_pid == 0)
        return "none";
    snprintf(text, 32, "%" PRIu32 " %s", info->producer_pid, alive_name(info->producer_alive));
    return text;
}

static void print_groups(const struct description *description)
{
    if (description->group_count > 0)
        printf("\n%-24s %8s %20s %15s %15s\n", "GROUP", "MEMBERS", "POSITION", "LAG MESSAGES", "LAG BYTES");
    for (int32_t i = 0; i < description->group_count; i++) {
        const mapring_group_info *group = &description->groups[i];
        printf("%-24s %8" PRIu32 " %20" PRIu64 " %15" PRIu64 " %15" PRIu64, group->name, group->members,
               group->position, group->lag_messages, group->lag_bytes);
        if (group->dead > 0)
            printf("  messages of %" PRIu32 " dead wait for a member", group->dead);
        printf("\n");
    }
}

static void print_description(const struct description *description)
{
    const mapring_ring_info *info = &description->info;
    char size[24];
    char producer[32];
    printf("ring       %s\n", info->name);
    printf("capacity   %s\n", format_size(size, info->capacity));
    printf("memory     %s\n", format_size(size, info->memory));
    printf("messages   %" PRIu64 "\n", info->messages);
    printf("oldest     %" PRIu64 "\n", info->oldest);
    printf("position   %" PRIu64 "\n", info->position);
    printf("epoch      %" PRIu64 "\n", info->epoch);
    printf("ended      %s\n", info->ended ? "yes" : "no");
    printf("fence      %s\n", fence_name(info->fence) == NULL ? "none yet" : fence_name(info->fence));
    printf("producer   %s\n", format_producer(producer, info));
    printf("waits      parked %" PRIu64 ", woke others %" PRIu64 ", avoided %" PRIu64 ", woken for nothing %" PRIu64
           "\n",
           info->parks, info->wakes, info->wakes_avoided, info->spurious_wakes);
    char holder[96];
    char policy[64] = "";
    if (info->slow_policy >= MAPRING_SLOW_DEMOTE)
        snprintf(policy, sizeof policy, " after %.3f s without room, so far %" PRIu64, (double)info->slow_ns / 1e9,
                 info->slow_policy == MAPRING_SLOW_EVICT ? info->evictions : info->demotions);
    printf("slow       %s%s\n", policy_name(info->slow_policy), policy);
    if (info->flags & MAPRING_DURABLE)
        printf("flushed    up to position %" PRIu64 "\n", info->flushed);
    printf("held by    %s\n", holder_name(description, holder) == NULL ? "nobody" : holder);
    printf("consumers  %" PRId32 " of %" PRIu32 "\n", description->count, info->max_consumers);
    print_groups(description);
    if (description->count == 0)
        return;
    printf("\n%6s %10s %-6s %-9s %20s %15s %15s %12s %12s  %s\n", "SLOT", "PID", "STATE", "KIND", "POSITION",
           "LAG MESSAGES", "LAG BYTES", "LOST", "REDELIVERED", "NAME");
    for (int32_t i = 0; i < description->count; i++) {
        const mapring_consumer_info *consumer = &description->consumers[i];
        printf("%6" PRIu32 " %10" PRIu32 " %-6s %-9s %20" PRIu64 " %15" PRIu64 " %15" PRIu64 " %12" PRIu64 " %12" PRIu64
               "  %s%s\n",
               consumer->slot, consumer->pid, alive_name(consumer->alive), kind_name(consumer->kind),
               consumer->position, consumer->lag_messages, consumer->lag_bytes, consumer->lost, consumer->redelivered,
               consumer->own_name, consumer->let_go ? " (not waited for)" : "");
    }
    printf("\n%6s %-9s %-10s %12s %12s %12s %12s\n", "SLOT", "WAITING", "DESCRIPTOR", "PARKS", "WAKES", "AVOIDED",
           "SPURIOUS");
    for (int32_t i = 0; i < description->count; i++) {
        const mapring_consumer_info *consumer = &description->consumers[i];
        const char *descriptor = descriptor_name(consumer->descriptor);
        printf("%6" PRIu32 " %-9s %-10s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", consumer->slot,
               waiting_name(consumer->waiting), descriptor == NULL ? "none" : descriptor, consumer->parks,
               consumer->wakes, consumer->wakes_avoided, consumer->spurious_wakes);
    }
}

static void print_row(const struct description *description, int width)
{
    const mapring_ring_info *info = &description->info;
    char capacity[24];
    char memory[24];
    char producer[32];
    uint64_t lag = 0;
    for (int32_t i = 0; i < description->count; i++)
        if (description->consumers[i].lag_messages > lag)
            lag = description->consumers[i].lag_messages;
    printf("%-*s %10s %10s %15" PRIu64 " %16s %9" PRId32 " %15" PRIu64 "\n", width, info->name,
           format_size(capacity, info->capacity), format_size(memory, info->memory), info->messages,
           format_producer(producer, info), description->count, lag);
}

/* What else a name can belong to; NULL for a ring, or what this version does not know. */
static const char *object_name(int32_t kind)
{
    switch (kind) {
    case MAPRING_KIND_SEGMENT:
        return "(a segment)";
    case MAPRING_KIND_EVENT:
        return "(an event)";
    case MAPRING_KIND_SEMAPHORE:
        return "(a semaphore)";
    case MAPRING_KIND_MUTEX:
        return "(a mutex)";
    default:
        return NULL;
    }
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The names in use, sorted; `*bytes` is what they point into. Returns how many, or a status. */
static int32_t list_names(char **bytes, char ***names)
{
    uint64_t size = 0;
    uint64_t needed = 4096;
    int32_t count = 0;
    while (size < needed) { /* more names may come while we look */
        size = needed;
        free(*bytes);
        *bytes = malloc((size_t)size);
        if (*bytes == NULL)
            return MAPRING_NO_MEMORY;
        count = mapring_list(*bytes, size, &needed);
        if (count < 0)
            return count;
    }
    *names = malloc(((size_t)count + 1) * sizeof **names);
    if (*names == NULL)
        return MAPRING_NO_MEMORY;
    char *name = *bytes;
    for (int32_t i = 0; i < count; i++) {
        (*names)[i] = name;
        name += strlen(name) + 1;
    }
    qsort(*names, (size_t)count, sizeof **names, compare_names);
    return count;
}

static void print_all(char *const *names, int32_t count, bool json, struct description *description)
{
    int width = 4;
    for (int32_t i = 0; i < count; i++)
        if ((int)strlen(names[i]) > width)
            width = (int)strlen(names[i]);
    if (json)
        printf("[");
    else if (count > 0)
        printf("%-*s %10s %10s %15s %16s %9s %15s\n", width, "NAME", "CAPACITY", "MEMORY", "MESSAGES", "PRODUCER",
               "CONSUMERS", "LAG MESSAGES");
    const char *between = "\n";
    for (int32_t i = 0; i < count; i++) {
        bool described = describe(description, names[i], NULL);
        if (description->count == MAPRING_NOT_FOUND)
            continue; /* it went away just now */
        if (json) {
            fputs(between, stdout);
            between = ",\n";
        }
        if (json && described)
            print_json(description, "  ");
        else if (json)
            print_json_error(names[i], description->count);
        else if (described)
            print_row(description, width);
        else if (description->count == MAPRING_WRONG_KIND && object_name(mapring_kind(names[i])) != NULL)
            printf("%-*s %s\n", width, names[i], object_name(mapring_kind(names[i])));
        else
            printf("%-*s %s\n", width, names[i], mapring_status_text(description->count));
    }
    if (json)
        printf("\n]\n");
}

/* The options of ls and stat. Returns EXIT_DONE, and in `*stop` whether there is nothing more to do. */
static int take_options(int argc, char **argv, bool *json, bool *stop)
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
    *stop = false;
    return EXIT_DONE;
}

int command_ls(int argc, char **argv)
{
    bool json = false;
    bool stop;
    int exit_status = take_options(argc, argv, &json, &stop);
    if (stop)
        return exit_status;
    if (optind != argc)
        return fail_usage("ls", "ls takes no name; 'mapring stat %s' describes one ring", argv[optind]);

    struct description description = {.consumers = calloc(mapring_consumers_max(), sizeof *description.consumers)};
    char *bytes = NULL;
    char **names = NULL;
    int32_t count = description.consumers == NULL ? MAPRING_NO_MEMORY : list_names(&bytes, &names);
    if (count >= 0) {
        print_all(names, count, json, &description);
        exit_status = finish_output();
    } else {
        exit_status = fail("cannot list the rings: %s", mapring_status_text(count));
    }
    free(names);
    free(bytes);
    free(description.consumers);
    return exit_status;
}

int command_stat(int argc, char **argv)
{
    bool json = false;
    bool stop;
    int exit_status = take_options(argc, argv, &json, &stop);
    if (stop)
        return exit_status;
    if (argc - optind != 1)
        return fail_usage("stat", "stat takes one name or file, not %d", argc - optind);

    const char *what = argv[optind];
    struct description description = {.consumers = calloc(mapring_consumers_max(), sizeof *description.consumers)};
    if (description.consumers == NULL)
        return fail_status(what, MAPRING_NO_MEMORY);
    bool described = !system_is_path(what) && describe(&description, what, NULL);
    bool no_such_name =
        system_is_path(what) || description.count == MAPRING_NOT_FOUND || description.count == MAPRING_INVALID_NAME;
    if (!described && no_such_name && (system_is_path(what) || system_file_exists(what)))
        described = describe(&description, NULL, what);
    if (described) {
        if (json)
            print_json(&description, "");
        else
            print_description(&description);
        if (json)
            printf("\n");
        exit_status = finish_output();
    } else {
        exit_status = fail_status(what, description.count);
    }
    free(description.consumers);
    return exit_status;
}
