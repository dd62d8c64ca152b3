/*
 * mapring pub: from standard input into a ring.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "feed.h"
#include "system.h"
#include "tool.h"

struct pub {
    struct feed feed;
    mapring_producer_options options;
    uint64_t wait_consumers;
    bool verbose;
    bool quiet;
    struct progress progress;
};

enum {
    OPTION_RAW = 256,
    OPTION_FRAMES,
    OPTION_CAPACITY,
    OPTION_MAX_CONSUMERS,
    OPTION_FILE,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    OPTION_SLOW,
    OPTION_SLOW_AFTER,
    OPTION_HOLD,
    OPTION_DURABLE,
    OPTION_WAIT_TURN
};

static const struct option long_options[] = {
    {"raw", required_argument, NULL, OPTION_RAW},
    {"frames", no_argument, NULL, OPTION_FRAMES},
    {"capacity", required_argument, NULL, OPTION_CAPACITY},
    {"max-consumers", required_argument, NULL, OPTION_MAX_CONSUMERS},
    {"file", required_argument, NULL, OPTION_FILE},
    {"wait-consumers", required_argument, NULL, OPTION_WAIT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"slow", required_argument, NULL, OPTION_SLOW},
    {"slow-after", required_argument, NULL, OPTION_SLOW_AFTER},
    {"hold", required_argument, NULL, OPTION_HOLD},
    {"durable", no_argument, NULL, OPTION_DURABLE},
    {"wait-turn", required_argument, NULL, OPTION_WAIT_TURN},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool parse_max_consumers(const char *text, uint32_t *count)
{
    uint64_t value;
    if (!parse_count(text, &value) || value == 0 || value > mapring_consumers_max())
        return false;
    *count = (uint32_t)value;
    return true;
}

static bool parse_policy(const char *text, uint32_t *policy)
{
    static const char *const names[] = {"wait", "fail", "demote", "evict"}; /* as MAPRING_SLOW_* count */
    for (*policy = MAPRING_SLOW_WAIT; *policy <= MAPRING_SLOW_EVICT; ++*policy)
        if (strcmp(text, names[*policy]) == 0)
            return true;
    return false;
}

static int take_duration(const char *option, int64_t *ns)
{
    if (parse_duration(optarg, ns))
        return EXIT_DONE;
    return fail_usage("pub", "--%s takes a number and a unit, such as 500ms, 2s or 1m, not '%s'", option, optarg);
}

/* Returns EXIT_DONE when the option was taken. */
static int take_option(struct pub *pub, int option, char **argv)
{
    switch (option) {
    case OPTION_RAW:
        if (pub->feed.framing == FRAMING_FRAMES)
            return fail_usage("pub", "--raw and --frames exclude each other");
        pub->feed.framing = FRAMING_RAW;
        if (!parse_size(optarg, &pub->feed.block_size) || pub->feed.block_size == 0)
            return fail_usage("pub", "--raw takes the size of a block, such as 4096 or 64K, not '%s'", optarg);
        return EXIT_DONE;
    case OPTION_FRAMES:
        if (pub->feed.framing == FRAMING_RAW)
            return fail_usage("pub", "--raw and --frames exclude each other");
        pub->feed.framing = FRAMING_FRAMES;
        return EXIT_DONE;
    case OPTION_CAPACITY:
        if (!parse_size(optarg, &pub->options.capacity))
            return fail_usage("pub", "--capacity takes a size, such as 64K, 8M or 1G, not '%s'", optarg);
        /* The library reads 0 as "the default"; who writes it does not mean that. */
        return pub->options.capacity == 0 ? fail_status(optarg, MAPRING_INVALID_CAPACITY) : EXIT_DONE;
    case OPTION_MAX_CONSUMERS:
        if (!parse_max_consumers(optarg, &pub->options.max_consumers))
            return fail_usage("pub", "--max-consumers takes a number from 1 to %" PRIu32 ", not '%s'",
                              mapring_consumers_max(), optarg);
        return EXIT_DONE;
    case OPTION_FILE:
        pub->options.file = optarg;
        return EXIT_DONE;
    case OPTION_WAIT:
        if (!parse_count(optarg, &pub->wait_consumers))
            return fail_usage("pub", "--wait-consumers takes a number, not '%s'", optarg);
        return EXIT_DONE;
    case OPTION_TIMEOUT:
        pub->feed.patience.text = optarg;
        if (!parse_duration(optarg, &pub->feed.patience.ns))
            return fail_usage("pub", "--timeout takes a number and a unit, such as 500ms, 2s or 1m, not '%s'", optarg);
        return EXIT_DONE;
    case OPTION_SLOW:
        if (!parse_policy(optarg, &pub->options.slow_policy))
            return fail_usage("pub", "--slow takes wait, fail, demote or evict, not '%s'", optarg);
        return EXIT_DONE;
    case OPTION_SLOW_AFTER:
        return take_duration("slow-after", &pub->options.slow_ns);
    case OPTION_HOLD:
        return take_duration("hold", &pub->options.hold_ns);
    case OPTION_DURABLE:
        pub->options.flags |= MAPRING_DURABLE;
        return EXIT_DONE;
    case OPTION_WAIT_TURN:
        return take_duration("wait-turn", &pub->options.timeout_ns);
    case 'v':
        pub->verbose = true;
        return EXIT_DONE;
    case 'q':
        pub->quiet = true;
        return EXIT_DONE;
    default:
        return fail_option("pub", option, argv);
    }
}

static int fail_open(const struct pub *pub, int32_t status)
{
    const char *name = pub->feed.name;
    mapring_ring_info info = {.struct_size = sizeof info};
    bool described = mapring_stat(name, NULL, &info, NULL, 0) >= 0;
    if (status == MAPRING_PRODUCER_EXISTS && described && info.producer_pid != 0)
        return fail("'%s': process %" PRIu32 " is its producer. %s", name, info.producer_pid,
                    mapring_status_text(status));
    if (status == MAPRING_WRONG_GEOMETRY && described)
        return fail("'%s': it has a capacity of %" PRIu64 " bytes and %" PRIu32 " consumer slots. %s", name,
                    info.capacity, info.max_consumers, mapring_status_text(status));
    return fail_status(name, status);
}

static int wait_for_consumers(const struct pub *pub)
{
    const struct feed *feed = &pub->feed;
    uint64_t end = patience_end(feed->patience);
    int32_t status;
    do
        status = mapring_wait_consumers(feed->producer, (uint32_t)pub->wait_consumers, patience_slice(end));
    while (status == MAPRING_TIMEOUT && !system_stopped() && !patience_is_over(end));
    if (status == MAPRING_OK || system_stopped())
        return EXIT_DONE;
    if (status != MAPRING_TIMEOUT)
        return fail_status(feed->name, status);
    mapring_ring_info info = {.struct_size = sizeof info};
    mapring_stat(feed->name, NULL, &info, NULL, 0);
    return fail("'%s': %" PRIu32 " of %" PRIu64 " consumers came within %s; start them, or allow more with --timeout",
                feed->name, info.consumers, pub->wait_consumers, feed->patience.text);
}

static int end_stream(struct pub *pub)
{
    const struct feed *feed = &pub->feed;
    int32_t status = mapring_end(feed->producer);
    if (status == MAPRING_OK && (pub->options.flags & MAPRING_DURABLE) != 0)
        status = mapring_flush(feed->producer);
    if (status != MAPRING_OK)
        return fail_status(feed->name, status);
    uint64_t end = patience_end(feed->patience);
    do {
        status = mapring_drain(feed->producer, patience_slice(end));
        progress_show(&pub->progress);
    } while (status == MAPRING_TIMEOUT && !system_stopped() && !patience_is_over(end));
    if (status == MAPRING_OK && pub->progress.messages != 0)
        progress_after(&pub->progress);
    if (status == MAPRING_OK || system_stopped())
        return EXIT_DONE;
    if (status == MAPRING_TIMEOUT)
        return fail_lagging(feed->name, "the consumers did not read everything", feed->patience);
    return fail_status(feed->name, status);
}

/* With the producer open. */
static int stream(struct pub *pub)
{
    struct feed *feed = &pub->feed;
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t status = mapring_stat(feed->name, NULL, &info, NULL, 0);
    if (status < 0)
        return fail_status(feed->name, status);
    feed->capacity = info.capacity;
    if (feed->framing == FRAMING_RAW && feed->block_size > mapring_message_max(feed->capacity))
        return feed_fail_too_long(feed, "a block");
    if (pub->wait_consumers > info.max_consumers)
        return fail("'%s': the ring has %" PRIu32 " consumer slots, and cannot wait for %" PRIu64
                    " consumers; make it with more with --max-consumers",
                    feed->name, info.max_consumers, pub->wait_consumers);

    int exit_status = pub->wait_consumers == 0 ? EXIT_DONE : wait_for_consumers(pub);
    if (exit_status == EXIT_DONE && !system_stopped())
        exit_status = feed_run(feed);
    if (exit_status == EXIT_DONE && !system_stopped())
        exit_status = end_stream(pub);
    return exit_status;
}

int command_pub(int argc, char **argv)
{
    struct pub pub = {
        .feed.patience = {MAPRING_FOREVER, "the time"},
        .feed.progress = &pub.progress,
        .options.struct_size = sizeof pub.options,
    };
    for (int option; (option = getopt_long(argc, argv, ":vqh", long_options, NULL)) != -1;) {
        if (option == 'h')
            return help("pub");
        int exit_status = take_option(&pub, option, argv);
        if (exit_status != EXIT_DONE)
            return exit_status;
    }
    if (argc - optind != 1)
        return fail_usage("pub", "pub takes one name, not %d", argc - optind);
    if ((pub.options.flags & MAPRING_DURABLE) != 0 && pub.options.file == NULL)
        return fail_usage("pub", "--durable needs --file: memory does not outlive the machine");
    pub.feed.name = argv[optind];
    pub.progress.live = !pub.quiet && system_is_terminal(SYSTEM_ERRORS) && !system_is_terminal(SYSTEM_INPUT);

    system_catch_stop();
    int32_t status = mapring_producer_open(pub.feed.name, &pub.options, &pub.feed.producer);
    if (status < 0)
        return fail_open(&pub, status);
    int exit_status = stream(&pub);
    /* A stream that was not ended can be continued: consumers wait for the next producer. */
    mapring_producer_close(pub.feed.producer);
    progress_erase();
    if (pub.verbose)
        progress_total(&pub.progress, "published");
    return exit_status;
}
