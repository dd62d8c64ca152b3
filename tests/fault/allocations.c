/*
 * Memory that is refused: each allocation of each call fails once. And a count of allocations shows that there are none
 * once a ring is open. The linker puts these functions in the place of those that the library uses (--wrap).
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

static uint64_t allocations; /* asked for so far */
static uint64_t refused;     /* the one to refuse; 0: none */
static int64_t live;         /* allocated and not freed */

static bool is_refused(void)
{
    allocations++;
    if (allocations != refused)
        return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    live += memory != NULL;
    return memory;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
char *__real_realpath(const char *path, char *resolved);
DIR *__real_fdopendir(int fd);
void __real_free(void *memory);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
char *__wrap_realpath(const char *path, char *resolved);
DIR *__wrap_fdopendir(int fd);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (is_refused())
        return NULL;
    live -= memory != NULL;
    return counted(__real_realloc(memory, size));
}

char *__wrap_strdup(const char *text)
{
    return is_refused() ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t size)
{
    return is_refused() ? NULL : counted(__real_strndup(text, size));
}

char *__wrap_realpath(const char *path, char *resolved)
{
    return is_refused() ? NULL : counted(__real_realpath(path, resolved));
}

/* What it allocates is freed by closedir(). */
DIR *__wrap_fdopendir(int fd)
{
    return is_refused() ? NULL : __real_fdopendir(fd);
}

void __wrap_free(void *memory)
{
    live -= memory != NULL;
    __real_free(memory);
}

static void refuse_each(const struct call *call)
{
    call->prepare();
    struct possessions before = possessions_now();
    uint64_t start = allocations;
    int64_t live_before = live;
    int32_t status = call->make();
    CHECK(status >= 0, "%s: %s", call->name, mapring_status_name(status));
    uint64_t count = allocations - start;
    printf("%-28s %2" PRIu64 " allocations\n", call->name, count);
    CHECK(count > 0, "%s: nothing is allocated, or not seen", call->name);
    for (uint64_t i = 1; i <= count; i++) {
        refused = allocations + i;
        status = call->make();
        CHECK(status >= 0 || status == MAPRING_NO_MEMORY, "%s: %s when allocation %" PRIu64 " fails", call->name,
              mapring_status_name(status), i);
        CHECK(allocations >= refused, "%s: allocation %" PRIu64 " did not come", call->name, i);
        refused = 0;
        CHECK(live == live_before, "%s: %" PRId64 " allocations are left when allocation %" PRIu64 " fails", call->name,
              live - live_before, i);
        check_possessions(before, call->name);
    }
    call->clean();
    CHECK(live <= live_before, "%s: %" PRId64 " allocations are left", call->name, live - live_before);
}

static void every_call(void)
{
    for (size_t i = 0; i < call_count; i++)
        refuse_each(&calls[i]);
}

/* Everything that is done with an open ring, also what sleeps and what is refused. */
static void an_open_ring(void)
{
    mapring_producer *producer = open_producer(4096, 2);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    uint64_t before = allocations;
    static uint8_t bytes[1024];
    static uint8_t buffer[8192];
    mapring_message messages[8];
    for (int i = 0; i < 8; i++)
        messages[i] = (mapring_message){.data = bytes, .length = 24};
    for (uint64_t round = 0; round < 1000; round++) {
        void *payload;
        CHECK_STATUS(mapring_publish(producer, bytes, round, 0, MAPRING_MORE, 0), MAPRING_OK);
        CHECK_STATUS(mapring_end_run(producer), MAPRING_OK);
        CHECK_STATUS(mapring_claim(producer, 100, 0, &payload), MAPRING_OK);
        CHECK_STATUS(mapring_commit(producer, round % 100, 0, 0), MAPRING_OK);
        CHECK_STATUS(mapring_claim(producer, 100, 0, &payload), MAPRING_OK);
        CHECK_STATUS(mapring_abandon(producer), MAPRING_OK);
        int32_t published = mapring_publish_batch(producer, messages, 8, 0);
        CHECK(published > 0, "publishing a batch: %s", mapring_status_name(published));
        mapring_message claimed[8];
        for (int i = 0; i < 8; i++)
            claimed[i].length = 16;
        int32_t granted = mapring_claim_batch(producer, claimed, 8, 0);
        CHECK(granted > 0, "claiming a batch: %s", mapring_status_name(granted));
        for (int i = 0; i < granted; i++)
            claimed[i].tag = 0;
        CHECK_STATUS(mapring_commit_batch(producer, claimed, (uint32_t)granted), MAPRING_OK);
        int32_t left = 2 + published + granted;
        mapring_message got[8];
        while (left > 0) {
            int32_t count = round % 2 == 0 ? mapring_read(consumer, got, 8, SECOND)
                                           : mapring_receive(consumer, buffer, sizeof buffer, got, 8, SECOND);
            CHECK(count > 0, "reading: %s", mapring_status_name(count));
            if (round % 2 == 0)
                CHECK_STATUS(mapring_release(consumer, (uint32_t)count), MAPRING_OK);
            left -= count;
        }
        CHECK_STATUS(mapring_read(consumer, got, 8, round % 100 == 0 ? 2 * MS : 0), 0);
    }
    CHECK_STATUS(mapring_drain(producer, SECOND), MAPRING_OK);
    CHECK_STATUS(mapring_wait_consumers(producer, 2, 5 * MS), MAPRING_TIMEOUT);
    while (mapring_publish(producer, bytes, 900, 0, 0, 5 * MS) == MAPRING_OK)
        ;
    CHECK_STATUS(mapring_drain(producer, 5 * MS), MAPRING_TIMEOUT);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    CHECK(allocations == before, "%" PRIu64 " allocations with an open ring", allocations - before);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
    CHECK(allocations == before, "%" PRIu64 " allocations on closing", allocations - before);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"every_call", every_call},
        {"an_open_ring", an_open_ring},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 30);
}
