/*
 * How a consumer waits: docs/design.md P5, and docs/waiting.md.
 */
#include <mapring/wait.h>

#include "consumer.h"
#include "descriptor.h"
#include "life.h"
#include "slot.h"

/* What a caught-up consumer may look at next: 1 a message (or what makes no sense), MAPRING_STREAM_ENDED, or 0: nothing
 * yet. */
static int32_t news(struct mapring_consumer *consumer)
{
    if (consumer->group != NULL)
        return position_of(consumer) < consumer->range_end ? 1 : group_news(consumer);
    /* Needs no order: it counts only for who has read everything before it. */
    bool ended = load64_relaxed(&consumer->ring.stream->end) == position_of(consumer);
    uint64_t header;
    if (next_message(consumer, &header) != 0)
        return 1;
    /* Who was lapped sees zeros too, and must not wait for them. */
    if (consumer->watched && (is_let_go(consumer) || is_lapped(consumer, position_of(consumer))))
        return 1;
    return ended ? MAPRING_STREAM_ENDED : 0;
}

/* Whether messages lie there up to `wake_at`, or what ends the wait before. Only called when there is news. */
static bool watermark_is_reached(const struct mapring_consumer *consumer)
{
    uint64_t position = position_of(consumer);
    if (consumer->watched && (is_let_go(consumer) || is_lapped(consumer, position)))
        return true;
    while (position < consumer->wake_at) {
        uint64_t header = peek64(ring_header(&consumer->ring, position));
        if (header == 0)
            return load64_relaxed(&consumer->ring.stream->end) == position;
        if (!header_is_sound(header, position & (consumer->capacity - 1), consumer->capacity))
            return true;
        position += record_size(header_length(header));
    }
    return true;
}

bool consumer_has_news(void *context)
{
    struct mapring_consumer *consumer = context;
    return news(consumer) != 0 && (consumer->wake_at == 0 || watermark_is_reached(consumer));
}

bool is_alone(const struct mapring_consumer *consumer)
{
    /* Looked at twice: a successor takes the lock, then says that the stream has been handed over. */
    return !producer_lives(&consumer->ring) &&
           load64_relaxed(&consumer->ring.stream->handing_over) < platform_clock_ns() &&
           !producer_lives(&consumer->ring);
}

bool consumer_is_fenced(void *context)
{
    const struct mapring_consumer *consumer = context;
    /* Behind a full fence: see promise_fences(). */
    return load64_relaxed(&consumer->ring.readers->news.fencing) != 0;
}

/*
 * A consumer that follows a dense stream word by word takes the producer's cache
 * line from it for every message, and both crawl. One that looks away for a moment gets
 * many messages at once, and the producer is undisturbed. So who is caught up now and then looks away; if that brought
 * many messages, it does so every time, and if not, more and more seldom, so that it costs a sparse stream nothing.
 */
#define STEP_BACK_NS 1000u
#define STEP_BACK_MESSAGES 16u
#define STEPS_APART_MIN 16u
#define STEPS_APART_MAX 4096u

static void step_back(struct mapring_consumer *consumer)
{
    if (consumer->stepped_back) {
        if (consumer->sequence - consumer->stepped_sequence >= STEP_BACK_MESSAGES)
            consumer->steps_apart = STEPS_APART_MIN;
        else
            consumer->steps_left = consumer->steps_apart = (uint32_t)min64(2 * consumer->steps_apart, STEPS_APART_MAX);
    }
    consumer->stepped_back = consumer->steps_left == 0;
    if (!consumer->stepped_back) {
        consumer->steps_left--;
        return;
    }
    consumer->stepped_sequence = consumer->sequence;
    uint64_t end = platform_clock_ns() + STEP_BACK_NS;
    do
        spin_pause();
    while (platform_clock_ns() < end);
}

/* An observer cannot ask to be woken. The first looks come soon, for who is only just caught up. */
#define LOOK_MIN_NS 20000u
#define LOOK_MAX_NS 10000000u

static int32_t look_out_for_news(struct mapring_consumer *consumer, uint64_t deadline)
{
    uint64_t probed = platform_clock_ns();
    for (uint64_t pause = LOOK_MIN_NS;; pause = min64(2 * pause, LOOK_MAX_NS)) {
        int32_t found = news(consumer);
        if (found != 0)
            return found;
        uint64_t now = platform_clock_ns();
        if (now >= deadline || now - probed >= QUANTUM_NS) {
            probed = now;
            bool alone = is_alone(consumer);
            found = news(consumer);
            if (found != 0 || alone)
                return found != 0 ? found : MAPRING_NO_PRODUCER;
        }
        if (now >= deadline)
            return 0;
        if (wait_take_cancel(&consumer->sleeper))
            return MAPRING_CANCELLED;
        platform_sleep(min64(pause, deadline - now));
    }
}

void set_wake_at(struct mapring_consumer *consumer, uint64_t position)
{
    if (consumer->wake_at == position)
        return;
    bool sooner = position < consumer->wake_at; /* so a bit that is up already says nothing new */
    consumer->wake_at = position;
    store64_relaxed(&consumer->ring.readers->slots[consumer->slot].wake_at, position);
    /* Pairs with the acquire load in attend_to_sleepers(): who sees the bits that are raised from here on sees it. */
    fence_release();
    if (sooner)
        or64(&consumer->sleeper.bell->sleepers, SLEEPERS_CHANGED);
}

/* What a consumer with a watermark waits for at the moment: bytes until some time, or the first message. */
struct gathering {
    bool active;
    uint64_t end;
};

static void begin_gathering(struct mapring_consumer *consumer, struct gathering *gathering)
{
    gathering->active = consumer->watermark_bytes > 0;
    gathering->end = gathering->active ? platform_clock_ns() + consumer->watermark_ns : 0;
}

/* After a wait: whether to wait on for more, or for the first message at all. */
static bool gathers_on(struct mapring_consumer *consumer, struct gathering *gathering, enum wait_result result,
                       int32_t found)
{
    if (consumer->watermark_bytes == 0)
        return false;
    if (!gathering->active && found == 1) {
        begin_gathering(consumer, gathering);
        return true;
    }
    if (gathering->active && result == WAIT_DEADLINE && found == 0) {
        gathering->active = false;
        return true;
    }
    return gathering->active && result == WAIT_QUANTUM && found == 1;
}

static int32_t sleep_for_news(struct mapring_consumer *consumer, uint64_t deadline)
{
    struct gathering gathering;
    descriptor_forget_watermark(consumer);
    begin_gathering(consumer, &gathering);
    step_back(consumer);
    for (;;) {
        set_wake_at(consumer, gathering.active ? position_of(consumer) + consumer->watermark_bytes : 0);
        uint64_t until = gathering.active ? min64(deadline, gathering.end) : deadline;
        enum wait_result result = wait_once(&consumer->sleeper, until);
        if (result == WAIT_CANCELLED)
            return MAPRING_CANCELLED;
        bool alone = result != WAIT_READY && is_alone(consumer);
        int32_t found = news(consumer);
        if (!alone && gathers_on(consumer, &gathering, result, found) && platform_clock_ns() < deadline)
            continue;
        if (found != 0)
            return found;
        if (alone)
            return MAPRING_NO_PRODUCER;
        /* Others of the group may have died with messages unreleased: our caller looks. */
        if (result == WAIT_QUANTUM && consumer->group != NULL)
            return 1;
        if (result == WAIT_DEADLINE)
            return 0;
    }
}

void tell_all(struct mapring_consumer *consumer)
{
    consumer->untold_max = 0;
    forbid_shortcuts(consumer);
    if (consumer->group == NULL && consumer->stored != consumer->released.position)
        store_cursor(consumer);
}

int32_t wait_for_news(struct mapring_consumer *consumer, int64_t timeout_ns)
{
    tell_all(consumer);
    int32_t found = news(consumer);
    if (found != 0 || timeout_ns == 0)
        return found;
    int32_t status = wait_begin(&consumer->sleeper);
    if (status < 0)
        return status;
    uint64_t deadline = deadline_after(timeout_ns);
    found = consumer->slot == NO_SLOT ? look_out_for_news(consumer, deadline) : sleep_for_news(consumer, deadline);
    /* The last that happens with the handle, if the wait was cancelled for good (wait_shut()). */
    wait_end(&consumer->sleeper);
    return found;
}

int32_t mapring_consumer_set_waiting(mapring_consumer *consumer, uint32_t waiting)
{
    if (consumer == NULL || !sleeper_set_waiting(&consumer->sleeper, waiting))
        return MAPRING_INVALID_ARGUMENT;
    if (consumer->slot != NO_SLOT)
        slot_tell_waiting(&consumer->ring.readers->slots[consumer->slot], waiting, descriptor_method(consumer));
    return MAPRING_OK;
}

int32_t mapring_consumer_set_watermark(mapring_consumer *consumer, uint64_t bytes, int64_t delay_ns)
{
    if (consumer == NULL || delay_ns < 0 || (bytes == 0) != (delay_ns == 0) || bytes > consumer->capacity / 8 ||
        consumer->group != NULL)
        return MAPRING_INVALID_ARGUMENT;
    consumer->watermark_bytes = (bytes + 7) & ~(uint64_t)7;
    consumer->watermark_ns = (uint64_t)delay_ns;
    descriptor_forget_watermark(consumer);
    return MAPRING_OK;
}

int32_t mapring_consumer_cancel(mapring_consumer *consumer)
{
    if (consumer == NULL)
        return MAPRING_INVALID_ARGUMENT;
    wait_cancel(&consumer->sleeper);
    return MAPRING_OK;
}
