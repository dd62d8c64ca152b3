/*
 * A consumer's descriptor for event loops (docs/waiting.md).
 *
 * Nobody waits here: the program does, on the descriptor. What wait_once() does before it sleeps is done by each call
 * that leaves nothing to read: the descriptor is cleared, then the bit raised, fence, one more look. From then on
 * whoever lowers the bit also makes the descriptor ready.
 */
#include "descriptor.h"

#include <stdlib.h>

#include "consumer.h"
#include "life.h"
#include "slot.h"

struct consumer_descriptor {
    struct platform_descriptor *platform;
    uint32_t method;
    bool told;                       /* we made it ready, and have not cleared it since */
    bool raised;                     /* the bit was raised behind the last clearing */
    bool resting;                    /* it was left unready then, and there was nothing to say since */
    bool homeless;                   /* the kernel makes it ready no longer, and it has no address yet */
    bool alone;                      /* the producer is gone, and the caller is still to be told */
    uint64_t gathers_until;          /* for a watermark; 0: it waits for the first message */
    struct platform_process watched; /* the producer, */
    struct platform_process ended;   /* and the last one that is known to have ended */
};

static bool has_something(struct mapring_consumer *consumer)
{
    return consumer->notice != MAPRING_OK || consumer_has_news(consumer);
}

static bool is_ready(struct mapring_consumer *consumer)
{
    return consumer->descriptor->alone || load64_relaxed(&consumer->sleeper.cancelled) != 0 || has_something(consumer);
}

static void tell_again(struct mapring_consumer *consumer)
{
    platform_descriptor_set(consumer->descriptor->platform);
    consumer->descriptor->told = true;
}

/* There is something to read. Who lowered the bit makes the descriptor ready; else we do. */
static void tell(struct mapring_consumer *consumer)
{
    const struct consumer_descriptor *descriptor = consumer->descriptor;
    if (!descriptor->told && (!descriptor->raised || wait_is_raised(&consumer->sleeper)))
        tell_again(consumer);
}

/* A watermark: waits for so many bytes until some time, then for the first message. */
static void gather(struct mapring_consumer *consumer)
{
    struct consumer_descriptor *descriptor = consumer->descriptor;
    uint64_t now = consumer->watermark_bytes > 0 ? platform_clock_ns() : 0;
    bool is_over = descriptor->gathers_until != 0 && now >= descriptor->gathers_until;
    if (consumer->watermark_bytes == 0 || is_over)
        descriptor->gathers_until = 0;
    else if (descriptor->gathers_until == 0)
        descriptor->gathers_until = now + consumer->watermark_ns;
    set_wake_at(consumer, descriptor->gathers_until != 0 ? position_of(consumer) + consumer->watermark_bytes : 0);
}

/* Nobody is relied on for longer than this, whatever happened to him: a producer may hand on its process by exec(), or
 * fail to reach the address. */
#define LOOK_NS 1000000000u

/* When to look without having been woken. */
static uint64_t next_look(struct mapring_consumer *consumer, bool covered, bool watched)
{
    uint64_t now = platform_clock_ns();
    uint64_t gathered = consumer->descriptor->gathers_until;
    uint64_t look = now + (!covered                             ? wait_unfenced_ns(&consumer->sleeper)
                           : watched && consumer->group == NULL ? LOOK_NS
                                                                : QUANTUM_NS);
    return gathered != 0 ? min64(gathered, look) : look;
}

/* Whether the producer's process is watched. One that ended stays so: it would be told again and again. */
static bool watch_producer(struct mapring_consumer *consumer)
{
    const struct platform_process *ended = &consumer->descriptor->ended;
    struct platform_process producer = producer_process(&consumer->ring);
    bool has_ended = producer.pid == ended->pid && producer.place == ended->place && producer.start == ended->start;
    if (producer.pid != 0 && !has_ended) {
        consumer->descriptor->watched = producer;
        return platform_descriptor_watch(consumer->descriptor->platform, &producer);
    }
    platform_descriptor_watch(consumer->descriptor->platform, NULL);
    return false;
}

static int32_t use_address(struct mapring_consumer *consumer)
{
    uint64_t address;
    int32_t status = platform_descriptor_address(consumer->descriptor->platform, consumer->ring.segment, &address);
    if (status < 0)
        return status;
    wait_at_address(&consumer->sleeper, address);
    consumer->descriptor->method = MAPRING_DESCRIPTOR_WAKE;
    slot_tell_waiting(&consumer->ring.readers->slots[consumer->slot], consumer->sleeper.waiting,
                      MAPRING_DESCRIPTOR_WAKE);
    return MAPRING_OK;
}

/* Has the descriptor made ready when the doorbell is rung. `*moved`: at its address, but not before its bit is raised
 * the next time. */
static int32_t rest_on(struct mapring_consumer *consumer, uint32_t remembered, bool *moved)
{
    struct consumer_descriptor *descriptor = consumer->descriptor;
    struct sleeper *sleeper = &consumer->sleeper;
    int32_t status =
        platform_descriptor_park(descriptor->platform, sleeper->parking, &sleeper->bell->doorbell, remembered);
    descriptor->homeless |= status < 0;
    *moved = false;
    if (descriptor->homeless) {
        status = use_address(consumer);
        descriptor->homeless = status < 0;
        *moved = !descriptor->homeless;
    }
    return status;
}

/* As wait_once() does: a program that waits on the descriptor sleeps as long as that is not ready. */
static void count_rest(struct mapring_consumer *consumer, bool ready)
{
    struct wait_counts *counts = consumer->sleeper.counts;
    if (consumer->descriptor->resting)
        count64(&counts->spurious);
    count64(ready ? &counts->avoided : &counts->parks);
    consumer->descriptor->resting = !ready;
}

/* Clears the descriptor, and has it made ready by the next message. */
static int32_t prepare(struct mapring_consumer *consumer)
{
    struct consumer_descriptor *descriptor = consumer->descriptor;
    struct sleeper *sleeper = &consumer->sleeper;
    struct platform_causes causes = platform_descriptor_clear(descriptor->platform);
    bool changed = causes.rung || causes.alarmed || causes.bereft;
    if (!changed && descriptor->raised && wait_is_raised(sleeper))
        return MAPRING_OK;
    descriptor->told = false;
    tell_all(consumer);
    gather(consumer);

    uint32_t remembered = wait_raise(sleeper);
    bool covered = wait_fence(sleeper);
    descriptor->raised = true;
    if (causes.bereft)
        descriptor->ended = descriptor->watched;
    /* Behind the fence: whoever takes over later finds the bit and wakes us, so this is the one to watch. */
    bool watched = watch_producer(consumer);
    bool moved;
    int32_t status = rest_on(consumer, remembered, &moved);
    if (causes.alarmed || causes.bereft)
        descriptor->alone = is_alone(consumer);
    int32_t alarmed =
        platform_descriptor_alarm(descriptor->platform, next_look(consumer, covered, watched && !descriptor->homeless));
    /* The alarm may have taken back what somebody made ready since it was cleared: he lowered the bit before that. */
    bool ready = moved || is_ready(consumer) || !wait_is_raised(sleeper);
    if (ready)
        tell_again(consumer);
    count_rest(consumer, ready);
    return status < 0 ? status : alarmed;
}

/* Of a call that found nothing: whether there is something else to say. */
static int32_t take_silence(struct mapring_consumer *consumer)
{
    if (wait_take_cancel(&consumer->sleeper))
        return MAPRING_CANCELLED;
    bool alone = consumer->descriptor->alone;
    consumer->descriptor->alone = false;
    return alone ? MAPRING_NO_PRODUCER : MAPRING_OK;
}

/* Whoever was just given messages gets on with them first: what it takes to sleep again comes with their release, or
 * with the next call. */
int32_t descriptor_settle(struct mapring_consumer *consumer, int32_t result)
{
    if (result > 0) {
        consumer->descriptor->gathers_until = 0;
        consumer->descriptor->resting = false;
        return result;
    }
    int32_t status = result == 0 ? take_silence(consumer) : result;
    consumer->descriptor->resting &= status == 0;
    int32_t prepared = descriptor_settle_released(consumer);
    return status == 0 ? prepared : status;
}

int32_t descriptor_settle_released(struct mapring_consumer *consumer)
{
    if (!is_ready(consumer))
        return prepare(consumer);
    tell(consumer);
    return MAPRING_OK;
}

static void free_descriptor(struct consumer_descriptor *descriptor)
{
    if (descriptor != NULL)
        platform_descriptor_close(descriptor->platform);
    free(descriptor);
}

static int32_t open_by(struct mapring_consumer *consumer, uint32_t method)
{
    struct consumer_descriptor *descriptor = calloc(1, sizeof *descriptor);
    if (descriptor == NULL)
        return MAPRING_NO_MEMORY;
    descriptor->method = method;
    int32_t status = platform_descriptor_open(method == MAPRING_DESCRIPTOR_FUTEX, &descriptor->platform);
    consumer->descriptor = descriptor;
    if (status == MAPRING_OK && method == MAPRING_DESCRIPTOR_WAKE)
        status = use_address(consumer);
    else if (status == MAPRING_OK)
        wait_at_address(&consumer->sleeper, 0);
    if (status < 0) {
        free_descriptor(descriptor);
        consumer->descriptor = NULL;
    }
    return status;
}

int32_t mapring_consumer_descriptor(mapring_consumer *consumer, uint32_t method, int64_t *descriptor)
{
    if (consumer == NULL || descriptor == NULL || method > MAPRING_DESCRIPTOR_WAKE)
        return MAPRING_INVALID_ARGUMENT;
    if (consumer->slot == NO_SLOT)
        return MAPRING_UNSUPPORTED;
    if (consumer->set != NULL)
        return MAPRING_BUSY;
    if (consumer->descriptor == NULL) {
        int32_t status = open_by(consumer, method == MAPRING_DESCRIPTOR_WAKE ? method : MAPRING_DESCRIPTOR_FUTEX);
        if (status < 0 && method == MAPRING_DESCRIPTOR_ANY)
            status = open_by(consumer, MAPRING_DESCRIPTOR_WAKE);
        if (status < 0)
            return status;
        struct platform_descriptor *platform = consumer->descriptor->platform;
        /* Pairs, by the fence in wait_at_address(), with wait_cancel() in another thread. */
        store64_relaxed(&consumer->sleeper.descriptor, (uint64_t)(uintptr_t)platform);
        consumer->plain = false;
        forbid_shortcuts(consumer);
        slot_tell_waiting(&consumer->ring.readers->slots[consumer->slot], consumer->sleeper.waiting,
                          consumer->descriptor->method);
        status = prepare(consumer);
        if (status < 0) {
            descriptor_leave(consumer);
            descriptor_free(consumer);
            slot_tell_waiting(&consumer->ring.readers->slots[consumer->slot], consumer->sleeper.waiting, 0);
            consumer->plain = is_plain(consumer);
            return status;
        }
    } else if (method != MAPRING_DESCRIPTOR_ANY && method != consumer->descriptor->method) {
        return MAPRING_INVALID_ARGUMENT;
    }
    *descriptor = platform_descriptor_number(consumer->descriptor->platform);
    return (int32_t)consumer->descriptor->method;
}

void descriptor_forget_watermark(struct mapring_consumer *consumer)
{
    if (consumer->descriptor == NULL)
        return;
    consumer->descriptor->gathers_until = 0;
    consumer->descriptor->raised = false;
    consumer->descriptor->resting = false;
}

uint32_t descriptor_method(const struct mapring_consumer *consumer)
{
    return consumer->descriptor == NULL ? 0 : consumer->descriptor->method;
}

void descriptor_leave(struct mapring_consumer *consumer)
{
    if (consumer->descriptor == NULL)
        return;
    store64_relaxed(consumer->sleeper.address, 0);
    store64_relaxed(&consumer->sleeper.descriptor, 0);
}

void descriptor_free(struct mapring_consumer *consumer)
{
    free_descriptor(consumer->descriptor);
    consumer->descriptor = NULL;
}

/* Whether the kernel knows the operation is found out once. */
static bool uring_is_there(struct mapring_consumer *consumer)
{
    if (consumer->uring == URING_UNKNOWN)
        consumer->uring = platform_uring_is_there() ? URING_THERE : URING_ABSENT;
    return consumer->uring == URING_THERE;
}

int32_t mapring_consumer_prepare_wait(mapring_consumer *consumer, void *entry)
{
    if (consumer == NULL || entry == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (consumer->slot == NO_SLOT || !uring_is_there(consumer))
        return MAPRING_UNSUPPORTED;
    struct sleeper *sleeper = &consumer->sleeper;
    tell_all(consumer);
    set_wake_at(consumer, 0);
    if (has_something(consumer))
        return 1;
    uint32_t remembered = wait_raise(sleeper);
    wait_fence(sleeper);
    if (has_something(consumer)) {
        count64(&sleeper->counts->avoided);
        return 1;
    }
    if (wait_take_cancel(sleeper))
        return MAPRING_CANCELLED;
    count64(&sleeper->counts->parks);
    platform_uring_prepare(sleeper->parking, &sleeper->bell->doorbell, remembered, entry);
    return MAPRING_OK;
}
