#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "core.h"

#define STREAM_OFFSET 65536u
#define READERS_OFFSET 131072u
#define LENGTH_MAX 1024u

mapring_producer *producers[MODEL_THREADS_MAX];
mapring_consumer *consumers[MODEL_THREADS_MAX];
uint64_t expected[MODEL_THREADS_MAX];

void must(int32_t status, const char *what)
{
    if (status < 0)
        model_fail("%s: %s", what, mapring_status_name(status));
}

void create_ring_as(uint32_t thread, mapring_producer_options options)
{
    memset(producers, 0, sizeof producers);
    memset(consumers, 0, sizeof consumers);
    memset(expected, 0, sizeof expected);
    options.struct_size = sizeof options;
    options.mode = MAPRING_CREATE_NEW;
    options.capacity = CAPACITY_MIN;
    model_act_as(thread);
    must(mapring_producer_open(RING_NAME, &options, &producers[thread]), "creation");
}

void create_ring(uint32_t thread, uint64_t first_position, uint32_t slot_count)
{
    create_ring_as(thread, (mapring_producer_options){.max_consumers = slot_count, .first_position = first_position});
}

int32_t open_producer(void)
{
    mapring_producer_options options = {.struct_size = sizeof options, .mode = MAPRING_OPEN_EXISTING};
    return mapring_producer_open(RING_NAME, &options, &producers[model_self()]);
}

int32_t open_consumer_as(mapring_consumer_options options)
{
    options.struct_size = sizeof options;
    return mapring_consumer_open(RING_NAME, &options, &consumers[model_self()]);
}

int32_t open_consumer(uint32_t start)
{
    return open_consumer_as((mapring_consumer_options){.start = start});
}

mapring_consumer_progress progress(void)
{
    mapring_consumer_progress progress = {.struct_size = sizeof progress};
    must(mapring_progress(consumers[model_self()], &progress), "progress");
    return progress;
}

void attach_consumer(uint32_t thread)
{
    model_act_as(thread);
    must(open_consumer(MAPRING_FROM_OLDEST), "attaching a consumer");
}

static void fill(uint8_t *bytes, uint64_t sequence, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(sequence * 31 + i + 1);
}

int32_t publish(uint64_t sequence, uint64_t length, uint32_t flags, int64_t timeout_ns)
{
    uint8_t bytes[LENGTH_MAX];
    fill(bytes, sequence, length);
    int32_t status = mapring_publish(producers[model_self()], bytes, length, (uint32_t)sequence, flags, timeout_ns);
    model_told();
    return status;
}

void must_publish(uint64_t sequence, uint64_t length, uint32_t flags)
{
    must(publish(sequence, length, flags, MAPRING_FOREVER), "publishing");
}

void check_message(const mapring_message *message, const uint8_t *bytes)
{
    uint64_t *next = &expected[model_self()];
    uint8_t right[LENGTH_MAX];
    if (message->sequence != *next)
        model_fail("message %llu came, and %llu was next", (unsigned long long)message->sequence,
                   (unsigned long long)*next);
    if (message->tag != (uint32_t)*next)
        model_fail("message %llu has the number %u in its tag", (unsigned long long)*next, message->tag);
    fill(right, *next, message->length);
    if (memcmp(bytes, right, message->length) != 0)
        model_fail("the contents of message %llu are not its own", (unsigned long long)*next);
    (*next)++;
}

int32_t read_and_check(uint32_t max, int64_t timeout_ns)
{
    mapring_message messages[8];
    int32_t count = mapring_read(consumers[model_self()], messages, max, timeout_ns);
    for (int32_t i = 0; i < count; i++) {
        uint8_t bytes[LENGTH_MAX];
        if (messages[i].length > sizeof bytes)
            model_fail("a message of %llu bytes", (unsigned long long)messages[i].length);
        model_read(bytes, messages[i].data, messages[i].length, MODEL_SITE("a message in place", MODEL_COPY, 0));
        check_message(&messages[i], bytes);
    }
    return count;
}

int32_t receive_and_check(uint32_t max, int64_t timeout_ns)
{
    mapring_message messages[8];
    uint8_t bytes[2 * LENGTH_MAX];
    int32_t count = mapring_receive(consumers[model_self()], bytes, sizeof bytes, messages, max, timeout_ns);
    for (int32_t i = 0; i < count; i++)
        check_message(&messages[i], messages[i].data);
    return count;
}

void pass_messages(uint32_t thread, uint64_t first_sequence, uint32_t count, uint64_t length)
{
    for (uint32_t i = 0; i < count; i++) {
        model_act_as(thread);
        must(publish(first_sequence + i, length, 0, 0), "publishing in setup");
        for (uint32_t t = 0; t < MODEL_THREADS_MAX; t++) {
            if (consumers[t] == NULL)
                continue;
            model_act_as(t);
            if (receive_and_check(1, 0) != 1 || receive_and_check(1, 0) != 0)
                model_fail("a message did not pass in setup");
        }
    }
}

#define SUBJECTS_OFFSET ((uint64_t)384 << 10)

/* For each of those who may change it a word of its own. */
static void *subject(uint64_t sequence, uint32_t thread)
{
    return model_shared(SUBJECTS_OFFSET + 8 * (sequence * MODEL_THREADS_MAX + thread));
}

void look_at_subject(uint64_t sequence)
{
    uint64_t word;
    for (uint32_t t = 0; t < MODEL_THREADS_MAX; t++)
        model_read(&word, subject(sequence, t), sizeof word, MODEL_SITE("what a message stands for", MODEL_COPY, 0));
}

void change_subject(uint64_t sequence)
{
    const uint64_t word = 1;
    model_write(subject(sequence, model_self()), &word, sizeof word,
                MODEL_SITE("what a message stands for", MODEL_COPY, 0));
}

struct readers *ring_readers(void)
{
    return model_shared(READERS_OFFSET);
}

uint64_t stream_word(uint64_t offset_in_stream)
{
    return memory_peek(model_shared(STREAM_OFFSET + offset_in_stream));
}

const char *name_ring_word(uint64_t offset)
{
    static char name[64];
    if (offset >= MODEL_HEAP_OFFSET) {
        snprintf(name, sizeof name, "private+%llu", (unsigned long long)(offset - MODEL_HEAP_OFFSET));
        return name;
    }
    if (offset >= SUBJECTS_OFFSET) {
        snprintf(name, sizeof name, "what message %llu stands for",
                 (unsigned long long)((offset - SUBJECTS_OFFSET) / 8 / MODEL_THREADS_MAX));
        return name;
    }
    if (offset >= READERS_OFFSET) {
        uint64_t at = offset - READERS_OFFSET;
        uint64_t slots = offsetof(struct readers, slots);
        static const char *const bells[] = {"news.sleepers", "news.doorbell", "room.sleepers", "room.doorbell"};
        static const char *const fencing[] = {"news.fencing", "room.fencing"};
        static const char *const fields[] = {"cursor", "sequence", "mark",        "end",
                                             "state",  "lost",     "redelivered", "wake_at"};
        static const char *const more[] = {"place", "start", "name"};
        static const char *const words[] = {"used", "groups_used", "moves"};
        uint64_t groups = offsetof(struct readers, groups);
        if (at < offsetof(struct readers, used))
            return at % sizeof(struct bell) == offsetof(struct bell, fencing) ? fencing[at / sizeof(struct bell)]
                                                                              : bells[at / BLOCK_SIZE];
        if (at < groups)
            return words[at % BLOCK_SIZE / 8 % 3];
        if (at < slots) {
            snprintf(name, sizeof name, "group %llu.%s", (unsigned long long)((at - groups) / sizeof(struct group)),
                     (at - groups) % sizeof(struct group) == 0 ? "mark" : "name");
            return name;
        }
        uint64_t within = (at - slots) % sizeof(struct slot);
        const char *field = within / 8 < 8                            ? fields[within / 8]
                            : within == offsetof(struct slot, group)  ? "group"
                            : within == offsetof(struct slot, taken)  ? "taken"
                            : within < BLOCK_SIZE                     ? "unused"
                            : within < offsetof(struct slot, name[1]) ? more[(within - BLOCK_SIZE) / 8]
                                                                      : "name";
        snprintf(name, sizeof name, "slot %llu.%s", (unsigned long long)((at - slots) / sizeof(struct slot)), field);
    } else if (offset >= STREAM_OFFSET + STREAM_HEAD_SIZE) {
        snprintf(name, sizeof name, "data+%llu", (unsigned long long)(offset - STREAM_OFFSET - STREAM_HEAD_SIZE));
    } else if (offset >= STREAM_OFFSET + offsetof(struct stream, index)) {
        static const char *const fields[] = {"position", "sequence", "time_ns", "reserved"};
        uint64_t at = offset - STREAM_OFFSET - offsetof(struct stream, index);
        snprintf(name, sizeof name, "index %llu.%s", (unsigned long long)(at / sizeof(struct index_entry)),
                 fields[at % sizeof(struct index_entry) / 8]);
    } else {
        switch (offset - STREAM_OFFSET) {
        case offsetof(struct stream, frontier):
            return "frontier";
        case offsetof(struct stream, acted):
            return "acted";
        case offsetof(struct stream, epoch):
            return "epoch";
        case offsetof(struct stream, end):
            return "end";
        case offsetof(struct stream, fence):
            return "fence";
        case offsetof(struct stream, producer_pid):
            return "producer_pid";
        default:
            return NULL;
        }
    }
    return name;
}
