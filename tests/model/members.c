#include "members.h"

#include <string.h>

#include "core.h"

#define MESSAGES_MAX 32u

struct tally tally;

/* What became of each message: handed out, handed out as redelivered, released. */
static uint32_t given[MESSAGES_MAX], again[MESSAGES_MAX];
static bool being_released[MESSAGES_MAX], done[MESSAGES_MAX];

void begin_tally(uint32_t slot_count, mapring_producer_options options)
{
    memset(given, 0, sizeof given);
    memset(again, 0, sizeof again);
    memset(done, 0, sizeof done);
    memset(being_released, 0, sizeof being_released);
    tally = (struct tally){0};
    options.max_consumers = slot_count;
    create_ring_as(PRODUCER, options);
}

void join_group(void)
{
    must(open_consumer_as((mapring_consumer_options){.kind = MAPRING_MEMBER, .group = "g"}), "joining the group");
}

void add_member(uint32_t thread)
{
    model_act_as(thread);
    join_group();
}

void create_members(uint32_t count)
{
    begin_tally(count, (mapring_producer_options){0});
    for (uint32_t t = FIRST; t < FIRST + count; t++)
        add_member(t);
    model_act_as(PRODUCER);
}

/* Publishing. */

void publish_next(uint64_t length)
{
    must_publish(tally.published, length, 0);
    tally.published++;
}

void publish_one(void)
{
    publish_next(8);
}

void publish_two(void)
{
    publish_one();
    publish_one();
}

void publish_if_room(void)
{
    int32_t status = publish(tally.published, 504, 0, 0);
    if (status == MAPRING_OK)
        tally.published++;
    else if (status != MAPRING_FULL)
        must(status, "publishing");
}

void fill(void)
{
    for (uint64_t i = 0; i < 3; i++)
        publish_next(1016);
    publish_next(1000);
}

/* Working. */

static void take_note(const mapring_message *message)
{
    uint64_t number = message->sequence;
    if (number >= MESSAGES_MAX || message->tag != (uint32_t)number || message->length > 1024)
        model_fail("message %llu of %llu bytes has the number %u in its tag", (unsigned long long)number,
                   (unsigned long long)message->length, message->tag);
    uint8_t bytes[1024];
    model_read(bytes, message->data, message->length, MODEL_SITE("a message in place", MODEL_COPY, 0));
    for (uint64_t i = 0; i < message->length; i++)
        if (bytes[i] != (uint8_t)(number * 31 + i + 1))
            model_fail("the contents of message %llu are not its own", (unsigned long long)number);
    look_at_subject(number);
    bool redelivered = (message->flags & MAPRING_REDELIVERED) != 0;
    model_note("gets message %llu%s", (unsigned long long)number, redelivered ? ", redelivered" : "");
    /* Of one that died before it moved the mark on, another may have released the same: then it comes twice, marked. */
    if (done[number] && !redelivered)
        model_fail("message %llu comes again, and it was released", (unsigned long long)number);
    if (redelivered)
        again[number]++;
    else
        given[number]++;
    if (given[number] > 1)
        model_fail("message %llu went to two members", (unsigned long long)number);
    if (again[number] > tally.deaths)
        model_fail("message %llu came again %u times, and %u members died", (unsigned long long)number, again[number],
                   tally.deaths);
}

int32_t get(uint32_t max, int64_t timeout_ns, uint64_t *first)
{
    mapring_message messages[4];
    int32_t count = mapring_read(consumers[model_self()], messages, max, timeout_ns);
    model_told();
    for (int32_t i = 0; i < count; i++)
        take_note(&messages[i]);
    if (tally.record_bytes > 0) {
        uint64_t position = progress().position;
        uint64_t end = tally.record_bytes * (count > 0 ? messages[count - 1].sequence + 1 : MESSAGES_MAX);
        if (count > 0 ? position != end : position > end)
            model_fail("behind %d messages it takes itself to be at position %llu", (int)count,
                       (unsigned long long)position);
    }
    *first = count > 0 ? messages[0].sequence : UINT64_MAX;
    return count;
}

void give_back(uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        being_released[first + i] = true;
    must(mapring_release(consumers[model_self()], count), "releasing");
    model_told();
    for (uint32_t i = 0; i < count; i++)
        done[first + i] = true;
}

bool is_given_back(uint64_t number)
{
    return done[number] || being_released[number];
}

bool was_given(uint64_t number)
{
    return given[number] + again[number] > 0;
}

void group_begins_at(uint64_t first)
{
    for (uint64_t i = 0; i < first; i++)
        done[i] = true;
}

int32_t work(uint32_t max, int64_t timeout_ns)
{
    uint64_t first;
    int32_t count = get(max, timeout_ns, &first);
    if (count > 0)
        give_back(first, (uint32_t)count);
    return count;
}

void work_once(void)
{
    must(work(1, 0), "working");
}

void all_are_done(void)
{
    for (uint64_t i = 0; i < tally.published; i++)
        change_subject(i);
}

void take_all_as(uint32_t thread)
{
    uint64_t first;
    model_act_as(thread);
    int32_t count = get(4, 0, &first);
    if (count != (int32_t)tally.published)
        model_fail("not all was taken in setup");
    if (count > 1)
        give_back(first, 1);
    tally.deaths = 1;
}

void die(void)
{
    model_die();
}

/* In the end. */

/* What a member had taken, and what was left to it, may come only now. */
static void finish_as(uint32_t thread)
{
    model_act_as(thread);
    for (uint32_t look = 0; look <= MESSAGES_MAX; look++) {
        int32_t count = work(4, 0);
        must(count, "working");
        if (count == 0)
            break;
    }
}

void members_finish(void)
{
    for (uint32_t t = FIRST; t <= THIRD; t++)
        if (consumers[t] != NULL && !run.threads[t].dead)
            finish_as(t);
    for (uint64_t i = 0; i < tally.published; i++)
        if (!is_given_back(i))
            model_fail("nobody has released message %llu of %llu", (unsigned long long)i,
                       (unsigned long long)tally.published);
}
