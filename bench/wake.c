#include <stdlib.h>

#include "asleep.h"
#include "rings.h"
#include "work.h"

#define WAKES 100u

static const char *title_of(const char *what, unsigned consumers, bool crowded)
{
    char *title = malloc(96);
    if (title == NULL)
        fail("no memory for the plan");
    snprintf(title, 96, "%s, %u sleeper%s%s", what, consumers, consumers == 1 ? "" : "s",
             crowded ? " (oversubscribed)" : "");
    return title;
}

static void compare_wakes(struct plan *plan, const struct options *options, struct crew *crew, const char *what,
                          unsigned variant)
{
    unsigned consumers = crew->members - 1;
    bool crowded = crew->members > options->cpu_count;
    struct comparison *comparison = plan_compare(plan, title_of(what, consumers, crowded),
                                                 variant == WAKE_COST ? UNIT_TIME : UNIT_LATENCY, 8, options->capacity);
    comparison_add(
        comparison, "futex", crew,
        (struct job){.driver = wake_futex_driver, .partner = wake_futex_partner, .variant = variant, .waits = true})
        ->is_limit = true;
    comparison_add(
        comparison, "eventfd each", crew,
        (struct job){
            .driver = wake_eventfd_driver, .partner = wake_eventfd_partner, .variant = variant, .waits = true});
    struct subject *ring = comparison_add(
        comparison, "mapring_read()", crew,
        (struct job){.driver = wake_ring_driver, .partner = wake_ring_partner, .variant = variant, .waits = true});
    if (variant == WAKE_LATENCY)
        ring->at_most = consumers == 1 ? 1.15 : 1.2;
    /* Coming to sleep takes longer than waking, and is not part of it: so the number is set. */
    for (unsigned i = 0; i < comparison->subject_count; i++)
        subject_fix_count(&comparison->subjects[i], WAKES);
}

/* An event loop, beside one that polls an eventfd. */
static void compare_descriptors(struct plan *plan, const struct options *options, unsigned consumers)
{
    static const struct {
        const char *name;
        void (*partner)(const struct job *job);
    } ways[] = {{"descriptor, futex", wake_futex_descriptor_partner}, {"descriptor, wake", wake_descriptor_partner}};
    struct crew *crew = plan_crew(rings_fan(options->capacity, consumers));
    struct comparison *comparison = plan_compare(plan, title_of("waking event loops", consumers, crew_is_crowded(crew)),
                                                 UNIT_LATENCY, 8, options->capacity);
    comparison_add(comparison, "eventfd each", crew,
                   (struct job){.driver = wake_eventfd_driver, .partner = wake_eventfd_partner, .waits = true})
        ->is_limit = true;
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        /* A consumer has one descriptor. */
        struct crew *own = plan_crew(rings_fan(options->capacity, consumers));
        comparison_add(comparison, ways[i].name, own,
                       (struct job){.driver = wake_ring_driver, .partner = ways[i].partner, .waits = true})
            ->at_most = 1.3;
    }
    for (unsigned i = 0; i < comparison->subject_count; i++)
        subject_fix_count(&comparison->subjects[i], WAKES);
}

void wake_plan(struct plan *plan, const struct options *options)
{
    static const uint64_t usual[] = {1, 4, 16};
    const uint64_t *chosen = options->consumer_count > 0 ? options->consumers : usual;
    unsigned count = options->consumer_count > 0 ? options->consumer_count : sizeof usual / sizeof *usual;
    for (unsigned i = 0; i < count; i++) {
        struct crew *crew = plan_crew(rings_fan(options->capacity, (unsigned)chosen[i]));
        compare_wakes(plan, options, crew, "waking, until the last is awake", WAKE_LATENCY);
        compare_wakes(plan, options, crew, "waking, cost to the waker", WAKE_COST);
        if (chosen[i] == 1)
            compare_descriptors(plan, options, 1);
    }
}
