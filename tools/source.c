#include "source.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "progress.h"
#include "tool.h"

#define BUFFER_START 65536u

/* Something that is no error. */
PRINTF_LIKE(2, 3) static void say(const struct source *source, const char *format, ...)
{
    if (source->quiet)
        return;
    progress_erase();
    fprintf(stderr, "mapring: '%s': ", source->name);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static mapring_consumer_progress progress_of(const struct source *source)
{
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    mapring_progress(source->consumer, &progress);
    return progress;
}

int32_t source_open(struct source *source)
{
    int32_t status = mapring_consumer_open(source->name, &source->options, &source->consumer);
    if (status < 0)
        return status;
    mapring_ring_info info = {.struct_size = sizeof info};
    bool lossy = source->options.kind == MAPRING_LOSSY || source->options.kind == MAPRING_OBSERVER;
    source->copies =
        lossy || (mapring_stat(source->name, NULL, &info, NULL, 0) >= 0 && info.slow_policy >= MAPRING_SLOW_DEMOTE);
    mapring_consumer_progress progress = progress_of(source);
    source->epoch = progress.epoch;
    if (status == MAPRING_START_GONE)
        say(source, "the wished start is gone; begins with message %" PRIu64, progress.sequence);
    else if (status == MAPRING_RESUMED && source->options.own_name != NULL)
        say(source, "continues as '%s' with message %" PRIu64, source->options.own_name, progress.sequence);
    return status;
}

void source_close(struct source *source)
{
    mapring_consumer_close(source->consumer);
    free(source->buffer);
}

bool source_is_moved(const struct source *source)
{
    return source->copies || source->options.group != NULL;
}

static int32_t grow(struct source *source, uint64_t size)
{
    unsigned char *buffer = realloc(source->buffer, (size_t)size);
    if (buffer == NULL)
        return MAPRING_NO_MEMORY;
    source->buffer = buffer;
    source->size = size;
    return MAPRING_OK;
}

static int32_t read_once(struct source *source, mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    if (!source->copies)
        return mapring_read(source->consumer, messages, max, timeout_ns);
    int32_t status = source->buffer == NULL ? grow(source, BUFFER_START) : MAPRING_OK;
    while (status >= 0) {
        status = mapring_receive(source->consumer, source->buffer, source->size, messages, max, timeout_ns);
        if (status != MAPRING_BUFFER_TOO_SMALL)
            return status;
        status = grow(source, messages[0].length + BUFFER_START);
    }
    return status;
}

/* Says what a status is about, once it has come. Returns whether reading can go on. */
static bool go_on(struct source *source, int32_t status)
{
    if (status == MAPRING_LAPPED) {
        mapring_consumer_progress progress = progress_of(source);
        say(source, "too slow: %" PRIu64 " messages lost so far; continues with message %" PRIu64,
            progress.lost_messages, progress.sequence);
        return true;
    }
    if (status != MAPRING_DEMOTED && status != MAPRING_EVICTED)
        return false;
    if (source->rejoin && mapring_rejoin(source->consumer) == MAPRING_OK) {
        say(source, "the producer did not wait; rejoined, %" PRIu64 " messages lost so far",
            progress_of(source).lost_messages);
        return true;
    }
    if (status == MAPRING_DEMOTED)
        say(source, "the producer did not wait: messages may be lost from now on");
    return status == MAPRING_DEMOTED;
}

int32_t source_read(struct source *source, mapring_message *messages, uint32_t max, int64_t timeout_ns)
{
    int32_t status;
    do
        status = read_once(source, messages, max, timeout_ns);
    while (status < 0 && go_on(source, status));
    if (status > 0 && source->verbose) {
        uint64_t epoch = progress_of(source).epoch;
        if (epoch != source->epoch)
            say(source, "another producer continues the stream, its number %" PRIu64, epoch);
        source->epoch = epoch;
        for (int32_t i = 0; i < status; i++)
            if ((messages[i].flags & MAPRING_REDELIVERED) != 0)
                say(source, "message %" PRIu64 " is redelivered", messages[i].sequence);
    }
    return status;
}

int32_t source_release(struct source *source, uint32_t count)
{
    return source->copies ? MAPRING_OK : mapring_release(source->consumer, count);
}
