/*
 * Publishing and reading, room and release, joining: DESIGN P1, P2, P3, P6.
 */
#include "fixture.h"
#include "record.h"
#include "scenarios.h"

enum { PRODUCER, CONSUMER, OTHER };

#define CAPACITY ((uint64_t)CAPACITY_MIN)

/* Looks so often for messages, and never waits. */
static void look(uint32_t looks)
{
    for (uint32_t i = 0; i < looks; i++)
        must(read_and_check(8, 0), "reading");
}

static void look_for_copies(uint32_t looks)
{
    for (uint32_t i = 0; i < looks; i++)
        must(receive_and_check(8, 0), "receiving");
}

/* In the end so many messages are there, and no more. */
static void all_came(uint64_t count)
{
    model_act_as(CONSUMER);
    while (expected[CONSUMER] < count)
        if (receive_and_check(8, 0) <= 0)
            model_fail("%llu messages of %llu came", (unsigned long long)expected[CONSUMER], (unsigned long long)count);
    if (receive_and_check(8, 0) != 0 || expected[CONSUMER] > count)
        model_fail("more came than was published");
}

/* Publish and read across a wrap. */

static void wrap_setup(void)
{
    create_ring(PRODUCER, CAPACITY - 24, 1);
    attach_consumer(CONSUMER);
}

static void wrap_producer(void)
{
    must_publish(0, 8, 0);  /* leaves 8 bytes */
    must_publish(1, 12, 0); /* behind a padding record of those 8 bytes */
    must_publish(2, 8, 0);
}

static void wrap_consumer(void)
{
    look_for_copies(4);
}

static void wrap_finish(void)
{
    all_came(3);
}

/* A second lap: payload lies where headers lay, and headers where payload lay. */

static void lap_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach_consumer(CONSUMER);
    pass_messages(PRODUCER, 0, 3, 1016);
    pass_messages(PRODUCER, 3, 1, 992); /* 24 bytes are left */
}

static void lap_producer(void)
{
    must_publish(4, 8, 0);
    must_publish(5, 4, 0);
    must_publish(6, 8, 0);
    must_publish(7, 8, 0); /* there is room without asking */
}

static void lap_consumer(void)
{
    look_for_copies(4);
}

static void lap_finish(void)
{
    all_came(8);
}

static void lap_batch_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach_consumer(CONSUMER);
    pass_messages(PRODUCER, 0, 4, 1016);
    pass_messages(PRODUCER, 4, 1, 8); /* there is room in its stride */
}

static void lap_batch_producer(void)
{
    static const uint8_t five[4] = {156, 157, 158, 159}, six[2] = {187, 188};
    const mapring_message batch[2] = {{.data = five, .length = 4, .tag = 5}, {.data = six, .length = 2, .tag = 6}};
    must(mapring_publish_batch(producers[PRODUCER], batch, 2, 0), "publishing a batch");
}

static void lap_batch_finish(void)
{
    all_came(7);
}

static void lap_batch_consumer(void)
{
    for (int i = 0; i < 3; i++) {
        look_for_copies(1);
        if (expected[CONSUMER] == 6)
            model_fail("half a batch was visible");
    }
}

/* Runs. */

static void run_setup(void)
{
    create_ring(PRODUCER, CAPACITY - 64, 1);
    attach_consumer(CONSUMER);
}

static void run_producer(void)
{
    must_publish(0, 8, MAPRING_MORE);
    must_publish(1, 8, MAPRING_MORE);
    must(mapring_end_run(producers[PRODUCER]), "ending the run");
    mapring_message batch[2] = {{.data = "\x3f\x40\x41\x42", .length = 4, .tag = 2},
                                {.data = "\x5e\x5f", .length = 2, .tag = 3}};
    must(mapring_publish_batch(producers[PRODUCER], batch, 2, 0), "publishing a batch");
}

static void run_consumer(void)
{
    for (int look = 0; look < 3; look++) {
        must(read_and_check(8, 0), "reading");
        if (expected[CONSUMER] == 1)
            model_fail("half a run was visible");
    }
}

static void run_finish(void)
{
    model_act_as(CONSUMER);
    look(4);
    if (expected[CONSUMER] != 4)
        model_fail("%llu messages of 4 came", (unsigned long long)expected[CONSUMER]);
}

/* A full ring. */

static void full_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach_consumer(CONSUMER);
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 1000, 0, 0), "filling the ring");
}

static uint64_t published;

static void full_producer(void)
{
    published = 4;
    for (int attempt = 0; attempt < 3; attempt++) {
        int32_t status = publish(published, 504, 0, 0);
        if (status == MAPRING_OK)
            published++;
        else if (status != MAPRING_FULL)
            must(status, "publishing");
    }
}

static void full_consumer(void)
{
    must(read_and_check(1, 0), "reading");
    must(mapring_release(consumers[CONSUMER], 1), "releasing");
    must(read_and_check(1, 0), "reading");
}

static void full_finish(void)
{
    model_act_as(CONSUMER);
    look(8);
    if (expected[CONSUMER] != published)
        model_fail("%llu messages of %llu came", (unsigned long long)expected[CONSUMER], (unsigned long long)published);
}

/* The frontier against a join. */

static void join_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    pass_messages(PRODUCER, 0, 4, 1000);
}

/* The slot was held before. */
static void rejoin_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    attach_consumer(CONSUMER);
    mapring_consumer_close(consumers[CONSUMER]);
    consumers[CONSUMER] = NULL;
    pass_messages(PRODUCER, 0, 4, 1000);
}

static void publish_in_next_lap(uint32_t count)
{
    for (uint64_t i = 4; i < 4 + count; i++) {
        int32_t status = publish(i, 1000, 0, 0);
        if (status == MAPRING_FULL)
            break;
        must(status, "publishing");
    }
}

static void join_producer(void)
{
    publish_in_next_lap(1);
}

/* The second time it has looked before. */
static void join_producer_twice(void)
{
    publish_in_next_lap(2);
}

static void join_from(uint32_t start)
{
    if (open_consumer(start) < 0)
        model_fail("joining failed");
    uint32_t self = model_self();
    mapring_message first;
    int32_t count = mapring_read(consumers[self], &first, 1, 0);
    must(count, "reading");
    if (count == 0 && start == MAPRING_FROM_OLDEST)
        model_fail("there is no message where the oldest was");
    if (count == 0)
        return;
    /* From there on every message comes, whole. */
    expected[self] = first.sequence;
    uint8_t bytes[1024];
    model_read(bytes, first.data, first.length, MODEL_SITE("the first message in place", MODEL_COPY, 0));
    if (first.tag != (uint32_t)first.sequence || bytes[0] != (uint8_t)(first.sequence * 31 + 1))
        model_fail("the first message, %llu, is not itself", (unsigned long long)first.sequence);
    expected[self]++;
    must(read_and_check(8, 0), "reading");
}

static void join_oldest(void)
{
    join_from(MAPRING_FROM_OLDEST);
}

static void join_newest(void)
{
    join_from(MAPRING_FROM_NEWEST);
}

/* An index entry is rewritten while a joiner reads it, and the record that it was for is still there: held by another
 * consumer, at a higher offset in the same stride than the one that comes now. */

static void rewrite_setup(void)
{
    create_ring(PRODUCER, 48, 2);
    attach_consumer(OTHER);
    model_act_as(PRODUCER);
    for (uint64_t i = 0; i < 4; i++)
        must(publish(i, i < 3 ? 1016 : 968, 0, 0), "filling the ring");
}

static void rewrite_producer(void)
{
    must(publish(4, 8, 0, 0), "publishing");
}

/* An observer, who is not waited for: a lap later there is payload where it looks for the second header. */

static const uint64_t observed_length[] = {504, 1016, 1016, 1016, 1016};

/* Where this many messages end: the last comes behind padding, in the next lap. */
static uint64_t observed_end(uint64_t messages)
{
    static const uint64_t ends[] = {0, 512, 1536, 2560, 3584, CAPACITY_MIN + 1024};
    return messages < sizeof ends / sizeof *ends ? ends[messages] : 0;
}

static void observe_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    pass_messages(PRODUCER, 0, 1, observed_length[0]);
}

/* All but the last, which overwrites the first two. */
static void observe_last_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    for (uint64_t i = 0; i < 4; i++)
        pass_messages(PRODUCER, i, 1, observed_length[i]);
}

static void observe_last_producer(void)
{
    must(publish(4, observed_length[4], 0, 0), "publishing");
}

static void observe_producer(void)
{
    for (uint64_t i = 1; i < 5; i++)
        must(publish(i, observed_length[i], 0, 0), "publishing");
}

static void observe(void)
{
    mapring_ring_info info = {.struct_size = sizeof info};
    must(mapring_stat("model", NULL, &info, NULL, 0), "looking");
    if (info.messages == 4 && info.position == CAPACITY)
        return; /* behind the padding */
    if (info.position != observed_end(info.messages))
        model_fail("%llu messages end at position %llu", (unsigned long long)info.messages,
                   (unsigned long long)info.position);
}

/* Two joiners for one slot. */

static uint32_t joined;

static void slot_setup(void)
{
    create_ring(PRODUCER, 0, 1);
    pass_messages(PRODUCER, 0, 1, 8);
    joined = 0;
}

static void slot_joiner(void)
{
    int32_t status = open_consumer(MAPRING_FROM_OLDEST);
    if (status == MAPRING_NO_SLOT)
        return;
    must(status, "joining");
    if (++joined > 1)
        model_fail("two consumers hold one slot");
    if (read_and_check(8, 0) != 1)
        model_fail("the message did not come");
    joined--;
    mapring_consumer_close(consumers[model_self()]);
}

/* Creation, while somebody opens the name. */

static void create(void)
{
    create_ring(PRODUCER, 0, 1);
    must_publish(0, 8, 0);
}

static void open_while_created(void)
{
    mapring_consumer_options options = {
        .struct_size = sizeof options, .start = MAPRING_FROM_OLDEST, .timeout_ns = MAPRING_FOREVER};
    must(mapring_consumer_open("model", &options, &consumers[CONSUMER]), "opening");
    must(read_and_check(1, 0), "reading");
}

const struct model_program stream_scenarios[] = {
    {
        .name = "creation",
        .invariant = "Who opens a name while its ring is being made sees the whole ring or none of it.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {create, open_while_created},
        .early_name = true,
        .name_word = name_ring_word,
    },
    {
        .name = "wrap",
        .invariant = "Messages published across the end of the data, with padding, come in order, once and whole.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {wrap_producer, wrap_consumer},
        .setup = wrap_setup,
        .finish = wrap_finish,
        .name_word = name_ring_word,
    },
    {
        .name = "lap",
        .invariant = "In a second lap, where headers lie on old payload, nothing stale is taken for a message.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {lap_producer, lap_consumer},
        .setup = lap_setup,
        .finish = lap_finish,
        .name_word = name_ring_word,
    },
    {
        .name = "lap, batch",
        .invariant = "The same for a batch, which is visible as a whole or not at all.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {lap_batch_producer, lap_batch_consumer},
        .setup = lap_batch_setup,
        .finish = lap_batch_finish,
        .name_word = name_ring_word,
    },
    {
        .name = "run",
        .invariant = "A run is visible as a whole or not at all.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {run_producer, run_consumer},
        .setup = run_setup,
        .finish = run_finish,
        .name_word = name_ring_word,
    },
    {
        .name = "full",
        .invariant = "Nothing is overwritten before it is released; what is released makes room.",
        .thread_count = 2,
        .thread_names = {"producer", "consumer"},
        .threads = {full_producer, full_consumer},
        .setup = full_setup,
        .finish = full_finish,
        .name_word = name_ring_word,
    },
    {
        .name = "join oldest",
        .invariant =
            "From where a consumer joins on, nothing is overwritten before it is released, though the producer "
            "laps meanwhile.",
        .thread_count = 2,
        .thread_names = {"producer", "joiner"},
        .threads = {join_producer, join_oldest},
        .setup = join_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "join oldest again",
        .invariant = "The same in a slot that was held before.",
        .thread_count = 2,
        .thread_names = {"producer", "joiner"},
        .threads = {join_producer, join_oldest},
        .setup = rejoin_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "join oldest, lapped",
        .invariant = "The same while the producer goes on and on.",
        .large = true,
        .thread_count = 2,
        .thread_names = {"producer", "joiner"},
        .threads = {join_producer_twice, join_oldest},
        .setup = join_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "join oldest again, lapped",
        .invariant = "The same in a slot that was held before.",
        .large = true,
        .thread_count = 2,
        .thread_names = {"producer", "joiner"},
        .threads = {join_producer_twice, join_oldest},
        .setup = rejoin_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "join newest",
        .invariant = "The same for who joins at the newest message.",
        .thread_count = 2,
        .thread_names = {"producer", "joiner"},
        .threads = {join_producer, join_newest},
        .setup = join_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "join, index rewritten",
        .invariant = "Who joins at a mark of the index gets the sequence number that belongs to its position.",
        .thread_count = 2,
        .thread_names = {"producer", "joiner"},
        .threads = {rewrite_producer, join_oldest},
        .setup = rewrite_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "observer",
        .invariant = "What an observer says of the stream was true at some time.",
        .thread_count = 2,
        .thread_names = {"producer", "observer"},
        .threads = {observe_last_producer, observe},
        .setup = observe_last_setup,
        .name_word = name_ring_word,
    },
    {
        .name = "observer, overtaken",
        .invariant = "The same when it is overtaken by a lap.",
        .large = true,
        .thread_count = 2,
        .thread_names = {"producer", "observer"},
        .threads = {observe_producer, observe},
        .setup = observe_setup,
        .oldest_first = true,
        .name_word = name_ring_word,
    },
    {
        .name = "two joiners",
        .invariant = "One slot is held by one consumer at a time.",
        .thread_count = 3,
        .thread_names = {"", "joiner", "other"},
        .threads = {NULL, slot_joiner, slot_joiner},
        .setup = slot_setup,
        .name_word = name_ring_word,
    },
    {.name = NULL},
};
