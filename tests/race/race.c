#include "race.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/tsan_interface.h>

#include "platform.h"

/* Fences (atomic_backend.h). */

#define LOADED_MAX 1024u

static _Thread_local const void *loaded[LOADED_MAX];
static _Thread_local uint32_t loaded_count;
static _Thread_local bool has_released; /* and has written no payload since, which the fence does not pass on */

void race_loaded(const void *address)
{
    /* More than a look at all slots: the oldest are forgotten, which at worst is taken for a race. */
    loaded[loaded_count++ % LOADED_MAX] = address;
}

void race_stores(const void *address)
{
    if (has_released)
        __tsan_release((void *)(uintptr_t)address);
}

void race_fence_acquire(void)
{
    uint32_t count = loaded_count < LOADED_MAX ? loaded_count : LOADED_MAX;
    for (uint32_t i = 0; i < count; i++)
        __tsan_acquire((void *)(uintptr_t)loaded[i]);
    loaded_count = 0;
}

void race_fence_release(void)
{
    has_released = true;
}

void race_writes(void)
{
    has_released = false;
}

__attribute__((no_sanitize("thread"))) uint64_t race_load_unwatched(const uint64_t *word)
{
    return *(const volatile uint64_t *)word;
}

__attribute__((no_sanitize("thread"))) void race_copy_unwatched(void *bytes, const void *shared, uint64_t length)
{
    const volatile uint8_t *from = shared;
    volatile uint8_t *to = bytes;
    for (uint64_t i = 0; i < length; i++)
        to[i] = from[i];
}

/* One mapping for all handles, of the one ring that there is: ThreadSanitizer knows words by their addresses. */

#define MAPPINGS_MAX 8u

int32_t __real_mapring_private_platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size,
                                            bool writable, void **address);
void __real_mapring_private_platform_unmap(void *address, uint64_t size);
int32_t __real_mapring_private_platform_lock(struct platform_segment *segment, uint32_t number);
void __real_mapring_private_platform_unlock(struct platform_segment *segment, uint32_t number);
int32_t __real_mapring_private_platform_lock_held(struct platform_segment *segment, uint32_t number);
void __real_mapring_private_platform_segment_close(struct platform_segment *segment);

int32_t __wrap_mapring_private_platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size,
                                            bool writable, void **address);
void __wrap_mapring_private_platform_unmap(void *address, uint64_t size);
int32_t __wrap_mapring_private_platform_lock(struct platform_segment *segment, uint32_t number);
void __wrap_mapring_private_platform_unlock(struct platform_segment *segment, uint32_t number);
int32_t __wrap_mapring_private_platform_lock_held(struct platform_segment *segment, uint32_t number);
void __wrap_mapring_private_platform_segment_close(struct platform_segment *segment);

static struct mapping {
    uint64_t offset;
    uint64_t size;
    void *address;
    bool writable;
    uint32_t users;
} mappings[MAPPINGS_MAX];

static pthread_mutex_t mappings_lock = PTHREAD_MUTEX_INITIALIZER;

static int32_t map_once(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable,
                        void **address)
{
    struct mapping *free_mapping = NULL;
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++) {
        struct mapping *mapping = &mappings[i];
        if (mapping->users > 0 && mapping->offset == offset && mapping->size == size &&
            (mapping->writable || !writable)) {
            mapping->users++;
            *address = mapping->address;
            return MAPRING_OK;
        }
        if (mapping->users == 0)
            free_mapping = mapping;
    }
    int32_t status = __real_mapring_private_platform_map(segment, offset, size, writable, address);
    if (status == MAPRING_OK)
        *free_mapping = (struct mapping){offset, size, *address, writable, 1};
    return status;
}

int32_t __wrap_mapring_private_platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size,
                                            bool writable, void **address)
{
    pthread_mutex_lock(&mappings_lock);
    int32_t status = map_once(segment, offset, size, writable, address);
    pthread_mutex_unlock(&mappings_lock);
    return status;
}

void __wrap_mapring_private_platform_unmap(void *address, uint64_t size)
{
    pthread_mutex_lock(&mappings_lock);
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++)
        if (mappings[i].users > 0 && mappings[i].address == address && --mappings[i].users == 0)
            __real_mapring_private_platform_unmap(address, size);
    pthread_mutex_unlock(&mappings_lock);
}

/* What locks order: whoever takes one, or finds it free, comes after who gave it up. */

static uint64_t lock_order[8192];

static uint64_t *order_of(uint32_t number)
{
    return &lock_order[number % (sizeof lock_order / sizeof *lock_order)];
}

int32_t __wrap_mapring_private_platform_lock(struct platform_segment *segment, uint32_t number)
{
    int32_t taken = __real_mapring_private_platform_lock(segment, number);
    if (taken == 1)
        __tsan_acquire(order_of(number));
    return taken;
}

void __wrap_mapring_private_platform_unlock(struct platform_segment *segment, uint32_t number)
{
    __tsan_release(order_of(number));
    __real_mapring_private_platform_unlock(segment, number);
}

int32_t __wrap_mapring_private_platform_lock_held(struct platform_segment *segment, uint32_t number)
{
    int32_t held = __real_mapring_private_platform_lock_held(segment, number);
    if (held == 0)
        __tsan_acquire(order_of(number));
    return held;
}

/* Gives up all that it holds, which may be any. */
void __wrap_mapring_private_platform_segment_close(struct platform_segment *segment)
{
    for (uint32_t i = 0; i < sizeof lock_order / sizeof *lock_order; i++)
        __tsan_release(&lock_order[i]);
    __real_mapring_private_platform_segment_close(segment);
}

/* What the programs are made of. */

int32_t must(int32_t status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", what, mapring_status_name(status));
        exit(1);
    }
    return status;
}

static void *run_role(void *context)
{
    (*(const role *)context)();
    return NULL;
}

void run_together(const role *roles)
{
    pthread_t threads[8];
    uint32_t count = 0;
    for (; roles[count] != NULL; count++)
        if (pthread_create(&threads[count], NULL, run_role, (void *)(uintptr_t)&roles[count]) != 0)
            must(MAPRING_NO_MEMORY, "starting a thread");
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

mapring_producer *create(mapring_producer_options options)
{
    options.struct_size = sizeof options;
    options.mode = MAPRING_CREATE_NEW;
    options.capacity = 8192;
    options.max_consumers = 8;
    mapring_producer *producer;
    must(mapring_producer_open(RING, &options, &producer), "creation");
    return producer;
}

mapring_producer *take_over(void)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .mode = MAPRING_OPEN_EXISTING, .timeout_ns = MAPRING_FOREVER};
    mapring_producer *producer;
    must(mapring_producer_open(RING, &options, &producer), "taking over");
    return producer;
}

mapring_consumer *attach(mapring_consumer_options options)
{
    options.struct_size = sizeof options;
    mapring_consumer *consumer;
    must(mapring_consumer_open(RING, &options, &consumer), "attaching");
    return consumer;
}

#define LENGTH_MAX 200u

static uint64_t length_of(uint64_t number)
{
    return 8 + number * 37 % (LENGTH_MAX - 8);
}

void publish(mapring_producer *producer, uint64_t number, uint32_t flags)
{
    uint8_t bytes[LENGTH_MAX];
    memset(bytes, (int)(number & 0xff), sizeof bytes);
    memcpy(bytes, &number, 8);
    must(mapring_publish(producer, bytes, length_of(number), 0, flags, MAPRING_FOREVER), "publishing");
}

static void check(const mapring_message *message, const uint8_t *bytes)
{
    uint64_t number = 0;
    if (message->length >= 8)
        memcpy(&number, bytes, 8);
    bool right = number == message->sequence && message->length == length_of(number);
    for (uint64_t i = 8; right && i < message->length; i++)
        right = bytes[i] == (uint8_t)number;
    if (!right) {
        fprintf(stderr, "message %llu is not itself\n", (unsigned long long)message->sequence);
        exit(1);
    }
}

int32_t read_in_place(mapring_consumer *consumer, uint64_t *next, int64_t timeout_ns)
{
    mapring_message messages[8];
    int32_t count = mapring_read(consumer, messages, 8, timeout_ns);
    for (int32_t i = 0; i < count; i++) {
        check(&messages[i], messages[i].data);
        *next = messages[i].sequence + 1;
    }
    if (count > 0)
        must(mapring_release(consumer, (uint32_t)count), "releasing");
    return count;
}

int32_t read_copies(mapring_consumer *consumer, uint64_t *next, int64_t timeout_ns)
{
    mapring_message messages[8];
    uint8_t bytes[8 * LENGTH_MAX];
    int32_t count = mapring_receive(consumer, bytes, sizeof bytes, messages, 8, timeout_ns);
    for (int32_t i = 0; i < count; i++) {
        check(&messages[i], messages[i].data);
        *next = messages[i].sequence + 1;
    }
    return count;
}

int32_t read_lossy(mapring_consumer *consumer, uint64_t *next, int64_t timeout_ns)
{
    mapring_message message;
    int32_t count = mapring_read(consumer, &message, 1, timeout_ns);
    if (count != 1)
        return count;
    uint8_t bytes[LENGTH_MAX];
    race_copy_unwatched(bytes, message.data, message.length < sizeof bytes ? message.length : sizeof bytes);
    int32_t status = mapring_release(consumer, 1);
    if (status == MAPRING_OK) {
        check(&message, bytes);
        *next = message.sequence + 1;
    }
    return status == MAPRING_OK ? count : status;
}
