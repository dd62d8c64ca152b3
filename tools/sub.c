/*
 * mapring sub: from a ring to standard output.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "output.h"
#include "progress.h"
#include "system.h"
#include "tool.h"

#define BATCH 256u

struct sub {
    const char *name;
    enum framing framing;
    uint32_t start;
    uint64_t remaining; /* messages still wanted */
    struct patience patience;
    bool verbose;
    bool quiet;
    mapring_consumer *consumer;
    struct output *output;
    uint32_t unreleased; /* messages read whose bytes are written, or wait in the output */
    struct progress progress;
};

enum { OPTION_RAW = 256, OPTION_FRAMES, OPTION_FROM, OPTION_COUNT, OPTION_TIMEOUT };

static const struct option long_options[] = {
    {"raw", no_argument, NULL, OPTION_RAW},
    {"frames", no_argument, NULL, OPTION_FRAMES},
    {"from", required_argument, NULL, OPTION_FROM},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Returns EXIT_DONE when the option was taken. */
static int take_option(struct sub *sub, int option, char **argv)
{
    switch (option) {
    case OPTION_RAW:
    case OPTION_FRAMES: {
        enum framing framing = option == OPTION_RAW ? FRAMING_RAW : FRAMING_FRAMES;
        if (sub->framing != FRAMING_LINES && sub->framing != framing)
            return fail_usage("sub", "--raw and --frames exclude each other");
        sub->framing = framing;
        return EXIT_DONE;
    }
    case OPTION_FROM:
        if (strcmp(optarg, "oldest") == 0)
            sub->start = MAPRING_FROM_OLDEST;
        else if (strcmp(optarg, "newest") == 0)
            sub->start = MAPRING_FROM_NEWEST;
        else
            return fail_usage("sub", "--from takes 'oldest' or 'newest', not '%s'", optarg);
        return EXIT_DONE;
    case OPTION_COUNT:
        if (!parse_count(optarg, &sub->remaining) || sub->remaining == 0)
            return fail_usage("sub", "--count takes a number from 1 on, not '%s'", optarg);
        return EXIT_DONE;
    case OPTION_TIMEOUT:
        sub->patience.text = optarg;
        if (!parse_duration(optarg, &sub->patience.ns))
            return fail_usage("sub", "--timeout takes a number and a unit, such as 500ms, 2s or 1m, not '%s'", optarg);
        return EXIT_DONE;
    case 'v':
        sub->verbose = true;
        return EXIT_DONE;
    case 'q':
        sub->quiet = true;
        return EXIT_DONE;
    default:
        return fail_option("sub", option, argv);
    }
}

/* Whether to leave although nothing failed: nobody reads the output, or a signal came. */
static bool is_pointless(void)
{
    return system_stopped() || system_output_closed();
}

/* Leaves the consumer NULL when there is no point in it any more. */
static int attach(struct sub *sub)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .start = sub->start};
    uint64_t end = patience_end(sub->patience);
    for (;;) {
        options.timeout_ns = patience_slice(end);
        int32_t status = mapring_consumer_open(sub->name, &options, &sub->consumer);
        if (status == MAPRING_OK || is_pointless())
            return EXIT_DONE;
        if (status == MAPRING_NO_SLOT)
            return fail("'%s': %s (mapring pub --max-consumers)", sub->name, mapring_status_text(status));
        if (status != MAPRING_TIMEOUT && status != MAPRING_NOT_FOUND)
            return fail_status(sub->name, status);
        if (patience_is_over(end))
            return fail("'%s': no ring of that name within %s; start its producer, or allow more with --timeout",
                        sub->name, sub->patience.text);
    }
}

static void add(struct sub *sub, const mapring_message *message)
{
    struct output *output = sub->output;
    if (sub->framing == FRAMING_FRAMES) {
        uint64_t length = message->length;
        unsigned char head[4] = {(unsigned char)length, (unsigned char)(length >> 8), (unsigned char)(length >> 16),
                                 (unsigned char)(length >> 24)};
        output_add(output, head, sizeof head);
    }
    output_add(output, message->data, message->length);
    if (sub->framing == FRAMING_LINES)
        output_add(output, "\n", 1);
    sub->unreleased++;
    sub->progress.messages++;
    sub->progress.bytes += message->length;
}

/* Writes what was read, then releases it: a message that was taken but not written is still in the ring. */
static int flush(struct sub *sub)
{
    int outcome = output_flush(sub->output);
    if (outcome != 0)
        return outcome;
    if (sub->unreleased > 0) {
        mapring_release(sub->consumer, sub->unreleased);
        sub->unreleased = 0;
        progress_after(&sub->progress);
    }
    return 0;
}

/* As mapring_read(); 0 when the patience is over or there is no point in waiting any more. */
static int32_t wait_for_messages(struct sub *sub, mapring_message *messages, uint32_t max)
{
    uint64_t end = patience_end(sub->patience);
    bool told = sub->quiet || !system_is_terminal(SYSTEM_ERRORS);
    int32_t count;
    for (;;) {
        count = mapring_read(sub->consumer, messages, max, patience_slice(end));
        if (count != 0 && count != MAPRING_NO_PRODUCER)
            return count;
        if (count == MAPRING_NO_PRODUCER && !told) {
            progress_erase();
            fprintf(stderr, "mapring: '%s': its producer is gone; waiting for the next\n", sub->name);
            told = true;
        }
        if (is_pointless() || patience_is_over(end))
            return 0;
        progress_show(&sub->progress);
    }
}

static int fail_write(int outcome)
{
    if (outcome == SYSTEM_FAILED)
        return fail("cannot write to standard output: %s", system_error());
    return EXIT_DONE;
}

/* With the consumer attached. */
static int stream(struct sub *sub)
{
    mapring_message messages[BATCH];
    int outcome = 0;
    while (sub->remaining > 0 && outcome == 0 && !system_stopped()) {
        uint32_t max = sub->remaining < BATCH ? (uint32_t)sub->remaining : BATCH;
        int32_t count = mapring_read(sub->consumer, messages, max, 0);
        if (count == 0 || count == MAPRING_NO_PRODUCER) {
            outcome = flush(sub);
            if (outcome != 0)
                break;
            count = wait_for_messages(sub, messages, max);
            if (count == 0 && is_pointless())
                return EXIT_DONE;
            if (count == 0)
                return fail("'%s': no message within %s; see 'mapring stat', or allow more with --timeout", sub->name,
                            sub->patience.text);
        }
        if (count == MAPRING_STREAM_ENDED)
            break;
        if (count < 0) {
            flush(sub);
            return fail_status(sub->name, count);
        }
        progress_before(&sub->progress);
        for (int32_t i = 0; i < count && outcome == 0; i++) {
            add(sub, &messages[i]);
            if (output_is_due(sub->output))
                outcome = flush(sub);
        }
        sub->remaining -= (uint32_t)count;
    }
    if (outcome == 0)
        outcome = flush(sub);
    return fail_write(outcome);
}

int command_sub(int argc, char **argv)
{
    struct sub sub = {.remaining = UINT64_MAX, .patience = {MAPRING_FOREVER, "the time"}};
    for (int option; (option = getopt_long(argc, argv, ":vqh", long_options, NULL)) != -1;) {
        if (option == 'h')
            return help("sub");
        int exit_status = take_option(&sub, option, argv);
        if (exit_status != EXIT_DONE)
            return exit_status;
    }
    if (argc - optind != 1)
        return fail_usage("sub", "sub takes one name, not %d", argc - optind);
    sub.name = argv[optind];
    sub.progress.live = !sub.quiet && system_is_terminal(SYSTEM_ERRORS) && !system_is_terminal(SYSTEM_OUTPUT);
    sub.output = calloc(1, sizeof *sub.output);
    if (sub.output == NULL)
        return fail_status(sub.name, MAPRING_NO_MEMORY);

    system_catch_stop();
    int exit_status = attach(&sub);
    if (sub.consumer != NULL)
        exit_status = stream(&sub);
    mapring_consumer_close(sub.consumer);
    free(sub.output);
    progress_erase();
    if (sub.verbose)
        progress_total(&sub.progress, "received");
    return exit_status;
}
