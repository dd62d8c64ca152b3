#include <stdlib.h>

#include "rings.h"
#include "stream.h"
#include "work.h"

#define SIZE 64u

static const char *name_of(const char *what, uint64_t consumers, bool crowded)
{
    char *name = malloc(64);
    if (name == NULL)
        fail("no memory for the plan");
    snprintf(name, 64, "%llu %s%s%s", (unsigned long long)consumers, what, consumers == 1 ? "" : "s",
             crowded ? " oversubscribed" : "");
    return name;
}

static void add_consumers(struct comparison *delivery, struct comparison *cost, const struct options *options,
                          uint64_t consumers)
{
    struct crew *crew = plan_crew(rings_fan(options->capacity, (unsigned)consumers));
    const char *name = name_of("consumer", consumers, consumers + 1 > options->cpu_count);
    comparison_add(delivery, name, crew, (struct job){.driver = stream_publish, .partner = stream_read})->x = consumers;
    comparison_add(cost, name, crew, (struct job){.driver = stream_publish_bursts, .partner = stream_read})->x =
        consumers;
}

void fanout_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t usual[] = {1, 2, 4, 8, 16, 32, 64};
    const uint64_t *chosen = options->consumer_count > 0 ? options->consumers : usual;
    unsigned count = options->consumer_count > 0 ? options->consumer_count : sizeof usual / sizeof *usual;
    uint64_t size = options->size_count > 0 ? options->sizes[0] : SIZE;
    struct comparison *delivery = plan_compare(plan, "fan-out, delivered to all", UNIT_RATE, size, options->capacity);
    struct comparison *cost = plan_compare(plan, "fan-out, cost to the producer", UNIT_TIME, size, options->capacity);
    delivery->note = "messages that every consumer got; oversubscribed: there are more of them than processors";
    cost->note = "publishing alone, in bursts that fit into the ring";
    delivery->axis = cost->axis = "consumers";
    for (unsigned i = 0; i < count; i++)
        add_consumers(delivery, cost, options, chosen[i]);
}

void group_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t usual[] = {1, 2, 4, 8, 16};
    const uint64_t *chosen = options->consumer_count > 0 ? options->consumers : usual;
    unsigned count = options->consumer_count > 0 ? options->consumer_count : sizeof usual / sizeof *usual;
    uint64_t size = options->size_count > 0 ? options->sizes[0] : SIZE;
    struct comparison *comparison = plan_compare(plan, "group, delivered once", UNIT_RATE, size, options->capacity);
    comparison->note = "each message goes to one member; oversubscribed: there are more of them than processors";
    comparison->axis = "members";
    for (unsigned i = 0; i < count; i++) {
        struct crew *crew = plan_crew(rings_group(options->capacity, (unsigned)chosen[i]));
        const char *name = name_of("member", chosen[i], chosen[i] + 1 > options->cpu_count);
        comparison_add(comparison, name, crew,
                       (struct job){.driver = stream_publish_to_group, .partner = stream_read_as_member})
            ->x = chosen[i];
    }
}
