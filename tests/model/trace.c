/*
 * The log of one execution, for people.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core.h"

#define EVENTS_MAX 20000u
#define TEXTS_MAX ((uint32_t)1 << 20)

static struct event events[EVENTS_MAX];
static uint32_t event_count;
static char texts[TEXTS_MAX];
static uint32_t text_used;

void trace_reset(void)
{
    event_count = 1; /* 0 is none */
    text_used = 0;
}

uint32_t trace_add(struct event event)
{
    if (event_count == EVENTS_MAX)
        return 0;
    events[event_count] = event;
    return event_count++;
}

static void add_text(uint8_t kind, const char *format, va_list arguments)
{
    uint32_t room = TEXTS_MAX - text_used;
    int length = vsnprintf(texts + text_used, room, format, arguments);
    if (length < 0 || (uint32_t)length >= room)
        return;
    trace_add((struct event){.thread = (uint8_t)run.self, .access = kind, .text = texts + text_used});
    text_used += (uint32_t)length + 1;
}

void trace_text(uint8_t kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_text(kind, format, arguments);
    va_end(arguments);
}

void model_note(const char *format, ...)
{
    if (!run.tracing)
        return;
    va_list arguments;
    va_start(arguments, format);
    add_text(EVENT_NOTE, format, arguments);
    va_end(arguments);
}

static const char *thread_name(uint32_t thread)
{
    static const char *const numbers[MODEL_THREADS_MAX] = {"thread 0", "thread 1", "thread 2", "thread 3"};
    const char *name = run.program->thread_names[thread];
    return name != NULL ? name : numbers[thread];
}

static const char *word_name(uint64_t offset)
{
    static char buffer[32];
    const char *name = run.program->name_word != NULL ? run.program->name_word(offset) : NULL;
    if (name != NULL)
        return name;
    snprintf(buffer, sizeof buffer, "word %llu", (unsigned long long)offset);
    return buffer;
}

static const char *const order_names[] = {"relaxed", "acquire", "release", "acquire and release"};

/* Whether somebody stored to the word while the threads ran. */
static bool is_written(uint64_t offset)
{
    for (uint32_t i = 1; i < event_count; i++)
        if ((events[i].access == MODEL_STORE || events[i].access == MODEL_UPDATE || events[i].access == EVENT_WRITE) &&
            events[i].offset == offset)
            return true;
    return false;
}

static void print_site(const struct model_site *site)
{
    if (site == NULL || site->line == 0)
        return;
    const char *name = strrchr(site->file, '/');
    printf("   %s:%u %s", name != NULL ? name + 1 : site->file, site->line, site->function);
}

static void print_event(uint32_t number)
{
    const struct event *event = &events[number];
    printf("%5u  %-12s ", number, thread_name(event->thread));
    switch (event->access) {
    case MODEL_LOAD:
    case EVENT_READ:
        printf("%s %s = 0x%llx", event->access == EVENT_READ ? "reads plain" : order_names[event->order],
               word_name(event->offset), (unsigned long long)event->value);
        if (event->source != 0)
            printf(" from %u", event->source);
        else
            printf(" as it was before");
        if (event->of > 0 && event->position + 1 < event->of)
            printf(", which has %u newer", event->of - 1 - event->position);
        break;
    case MODEL_STORE:
    case MODEL_UPDATE:
    case EVENT_WRITE:
        printf("%s %s := 0x%llx", event->access == EVENT_WRITE ? "writes plain" : order_names[event->order],
               word_name(event->offset), (unsigned long long)event->value);
        if (event->access == MODEL_UPDATE) {
            if (event->source != 0)
                printf(" from %u", event->source);
            else
                printf(" from what it was before");
        }
        if (event->position + 1 < event->of)
            printf(", before %u others", event->of - 1 - event->position);
        break;
    case MODEL_FENCE:
        printf("fence, %s", order_names[event->order]);
        break;
    case MODEL_FENCE_FULL:
        printf("fence, full");
        break;
    default:
        printf("%s%s", event->access == EVENT_NOTE ? "-- " : "", event->text);
    }
    print_site(event->site);
    printf("\n");
}

static bool is_plain(const struct event *event)
{
    return event->access == EVENT_READ || event->access == EVENT_WRITE;
}

/* The last of the plain accesses that begin here and go on word by word. */
static uint32_t end_of_plain(uint32_t first)
{
    uint32_t last = first;
    while (is_plain(&events[first]) && last + 1 < event_count && events[last + 1].access == events[first].access &&
           events[last + 1].thread == events[first].thread && events[last + 1].offset == events[last].offset + 8)
        last++;
    return last;
}

void trace_print(void)
{
    uint32_t left_out = 0;
    bool all_left_out[MODEL_THREADS_MAX] = {false}; /* since the thread's last line; then a fence says nothing either */
    for (uint32_t i = 1; i < event_count; i++) {
        const struct event *event = &events[i];
        bool dull = event->access == MODEL_LOAD && event->source == 0 && !is_written(event->offset);
        if (dull || (event->access == MODEL_FENCE && event->order == MODEL_ACQUIRE && all_left_out[event->thread])) {
            left_out += dull;
            all_left_out[event->thread] = true;
            continue;
        }
        all_left_out[event->thread] = false;
        print_event(i);
        uint32_t last = end_of_plain(i);
        if (last > i + 1) {
            printf("       and the %u words behind it\n", last - i);
            i = last;
        }
    }
    if (left_out > 0)
        printf("       (%u loads of words that nobody changes are left out)\n", left_out);
    if (event_count == EVENTS_MAX)
        printf("       (the log ends here)\n");
}
