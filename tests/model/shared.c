/*
 * The shared memory: addresses that fault, and the bytes that stand for what lies there.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

/* The start, where the identity of a ring lies, is plain memory: it is written before anybody else can see it. So is
 * the end, the heap: handles are their threads' own, but for a word or two (wait_cancel()). */
#define PLAIN_SIZE ((uint64_t)64 << 10)

#define USED_MAX 8u

static uint8_t *guard; /* addresses that fault */
static uint8_t *bytes; /* what lies there */
static uint64_t used_offset[USED_MAX], used_size[USED_MAX];
static uint32_t used_count;

const struct model_site *last_site;

/* Somebody touched shared memory otherwise than through lib/atomic.h. Nothing can go on. */
static void say_where(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    char text[512];
    int length;
    if (!model_is_shared(info->si_addr))
        length = snprintf(text, sizeof text, "mapring-model: a crash in '%s'\n", run.program->name);
    else
        length =
            snprintf(text, sizeof text,
                     "mapring-model: '%s', thread %u: a plain access to shared memory, at offset %llu, behind %s:%u\n",
                     run.program->name, run.self, (unsigned long long)((const uint8_t *)info->si_addr - guard),
                     last_site != NULL ? last_site->file : "the start", last_site != NULL ? last_site->line : 0);
    if (write(STDERR_FILENO, text, (size_t)length) < 0)
        _exit(MODEL_CRASHED);
    _exit(MODEL_CRASHED);
}

void *model_shared(uint64_t offset)
{
    if (guard == NULL) {
        guard = mmap(NULL, MODEL_SHARED_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        bytes = calloc(1, MODEL_SHARED_SIZE);
        if (guard == MAP_FAILED || bytes == NULL || mprotect(guard, PLAIN_SIZE, PROT_READ | PROT_WRITE) != 0 ||
            mprotect(guard + MODEL_HEAP_OFFSET, MODEL_HEAP_SIZE, PROT_READ | PROT_WRITE) != 0)
            abort();
        struct sigaction action = {.sa_sigaction = say_where, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};
        sigaction(SIGSEGV, &action, NULL);
    }
    return guard + offset;
}

bool model_is_shared(const void *address)
{
    return (uintptr_t)address - (uintptr_t)guard < MODEL_SHARED_SIZE;
}

uint64_t offset_of(const void *address)
{
    if (!model_is_shared(address))
        model_fail("an access through lib/atomic.h to memory that is not shared");
    return (uint64_t)((const uint8_t *)address - guard);
}

static uint8_t *bytes_at(uint64_t offset)
{
    return offset < PLAIN_SIZE || offset >= MODEL_HEAP_OFFSET ? guard + offset : bytes + offset;
}

void *model_bytes(const void *address)
{
    return bytes_at(offset_of(address));
}

void model_shared_used(uint64_t offset, uint64_t size)
{
    model_shared(0);
    if (used_count == USED_MAX || offset + size > MODEL_HEAP_OFFSET)
        model_fail("more shared memory than the model has");
    used_offset[used_count] = offset;
    used_size[used_count++] = size;
    memset(bytes_at(offset), 0, size);
}

void shared_reset(void)
{
    model_shared(0);
    for (uint32_t i = 0; i < used_count; i++)
        memset(bytes_at(used_offset[i]), 0, used_size[i]);
    used_count = 0;
}

uint64_t raw_read(uint64_t offset, uint32_t size)
{
    uint64_t value = 0;
    memcpy(&value, bytes_at(offset), size);
    return value;
}

void raw_write(uint64_t offset, uint32_t size, uint64_t value)
{
    memcpy(bytes_at(offset), &value, size);
}

uint64_t memory_peek(const void *address)
{
    return raw_read(offset_of(address) & ~(uint64_t)7, 8);
}
