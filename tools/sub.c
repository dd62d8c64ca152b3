/*
 * mapring sub: from a ring to standard output.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "feed.h"
#include "output.h"
#include "progress.h"
#include "source.h"
#include "system.h"
#include "tool.h"

#define BATCH 256u

struct sub {
    struct source source;
    enum framing framing;
    uint64_t remaining; /* messages still wanted */
    struct patience patience;
    struct output *output;
    uint32_t unreleased; /* messages read whose bytes are written, or wait in the output */
    struct progress progress;
};

enum {
    OPTION_RAW = 256,
    OPTION_FRAMES,
    OPTION_FROM,
    OPTION_COUNT,
    OPTION_TIMEOUT,
    OPTION_LOSSY,
    OPTION_OBSERVE,
    OPTION_GROUP,
    OPTION_NAME,
    OPTION_TAG,
    OPTION_REJOIN
};

static const struct option long_options[] = {
    {"raw", no_argument, NULL, OPTION_RAW},
    {"frames", no_argument, NULL, OPTION_FRAMES},
    {"from", required_argument, NULL, OPTION_FROM},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"lossy", no_argument, NULL, OPTION_LOSSY},
    {"observe", no_argument, NULL, OPTION_OBSERVE},
    {"group", required_argument, NULL, OPTION_GROUP},
    {"name", required_argument, NULL, OPTION_NAME},
    {"tag", required_argument, NULL, OPTION_TAG},
    {"rejoin", no_argument, NULL, OPTION_REJOIN},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* oldest, newest, seq:N, time:SECONDS since 1970, time:-DURATION from now. */
static bool parse_start(const char *text, mapring_consumer_options *options)
{
    int64_t ago;
    options->start_value = 0;
    if (strcmp(text, "oldest") == 0) {
        options->start = MAPRING_FROM_OLDEST;
    } else if (strcmp(text, "newest") == 0) {
        options->start = MAPRING_FROM_NEWEST;
    } else if (strncmp(text, "seq:", 4) == 0) {
        options->start = MAPRING_FROM_SEQUENCE;
        return parse_count(text + 4, &options->start_value);
    } else if (strncmp(text, "time:-", 6) == 0) {
        options->start = MAPRING_FROM_TIME;
        uint64_t now = (uint64_t)time(NULL) * 1000000000u;
        if (!parse_duration(text + 6, &ago))
            return false;
        options->start_value = now - ((uint64_t)ago < now ? (uint64_t)ago : now);
    } else if (strncmp(text, "time:", 5) == 0) {
        options->start = MAPRING_FROM_TIME;
        uint64_t seconds;
        if (!parse_count(text + 5, &seconds) || seconds > UINT64_MAX / 1000000000u)
            return false;
        options->start_value = seconds * 1000000000u;
    } else {
        return false;
    }
    return true;
}

/* A consumer is of one kind. */
static int take_kind(struct sub *sub, uint32_t kind)
{
    mapring_consumer_options *options = &sub->source.options;
    if (options->kind != 0 && options->kind != kind)
        return fail_usage("sub", "--lossy, --observe, --group and --name exclude each other");
    options->kind = kind;
    return EXIT_DONE;
}

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
        if (!parse_start(optarg, &sub->source.options))
            return fail_usage("sub", "--from takes oldest, newest, seq:N, time:SECONDS or time:-DURATION, not '%s'",
                              optarg);
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
    case OPTION_LOSSY:
        return take_kind(sub, MAPRING_LOSSY);
    case OPTION_OBSERVE:
        return take_kind(sub, MAPRING_OBSERVER);
    case OPTION_GROUP:
        sub->source.options.group = optarg;
        return take_kind(sub, MAPRING_MEMBER);
    case OPTION_NAME:
        sub->source.options.own_name = optarg;
        return take_kind(sub, MAPRING_RELIABLE);
    case OPTION_TAG:
        if (!parse_tag(optarg, &sub->source.options.tag_mask, &sub->source.options.tag_value))
            return fail_usage("sub", "--tag takes a value, or MASK/VALUE with no bit outside the mask, not '%s'",
                              optarg);
        return EXIT_DONE;
    case OPTION_REJOIN:
        sub->source.rejoin = true;
        return EXIT_DONE;
    case 'v':
        sub->source.verbose = true;
        return EXIT_DONE;
    case 'q':
        sub->source.quiet = true;
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
    uint64_t end = patience_end(sub->patience);
    for (;;) {
        sub->source.options.timeout_ns = patience_slice(end);
        int32_t status = source_open(&sub->source);
        if (status >= 0 || is_pointless())
            return EXIT_DONE;
        if (status == MAPRING_NO_SLOT)
            return fail("'%s': %s (mapring pub --max-consumers)", sub->source.name, mapring_status_text(status));
        if (status != MAPRING_TIMEOUT && status != MAPRING_NOT_FOUND)
            return fail_status(sub->source.name, status);
        if (patience_is_over(end))
            return fail("'%s': no ring of that name within %s; start its producer, or allow more with --timeout",
                        sub->source.name, sub->patience.text);
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
        int32_t status = source_release(&sub->source, sub->unreleased);
        if (status < 0)
            fail_status(sub->source.name, status);
        sub->unreleased = 0;
        progress_after(&sub->progress);
    }
    return 0;
}

/* As mapring_read(); 0 when the patience is over or there is no point in waiting any more. */
static int32_t wait_for_messages(struct sub *sub, mapring_message *messages, uint32_t max)
{
    uint64_t end = patience_end(sub->patience);
    bool told = sub->source.quiet || !system_is_terminal(SYSTEM_ERRORS);
    int32_t count;
    for (;;) {
        count = source_read(&sub->source, messages, max, patience_slice(end));
        if (count != 0 && count != MAPRING_NO_PRODUCER)
            return count;
        if (count == MAPRING_NO_PRODUCER && !told) {
            progress_erase();
            fprintf(stderr, "mapring: '%s': its producer is gone; waiting for the next\n", sub->source.name);
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
        if (source_is_moved(&sub->source) && (outcome = flush(sub)) != 0)
            break;
        int32_t count = source_read(&sub->source, messages, max, 0);
        if (count == 0 || count == MAPRING_NO_PRODUCER) {
            outcome = flush(sub);
            if (outcome != 0)
                break;
            count = wait_for_messages(sub, messages, max);
            if (count == 0 && is_pointless())
                return EXIT_DONE;
            if (count == 0)
                return fail("'%s': no message within %s; see 'mapring stat', or allow more with --timeout",
                            sub->source.name, sub->patience.text);
        }
        if (count == MAPRING_STREAM_ENDED)
            break;
        if (count < 0) {
            flush(sub);
            return fail_status(sub->source.name, count);
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
    struct sub sub = {
        .source.options.struct_size = sizeof sub.source.options,
        .remaining = UINT64_MAX,
        .patience = {MAPRING_FOREVER, "the time"},
    };
    for (int option; (option = getopt_long(argc, argv, ":vqh", long_options, NULL)) != -1;) {
        if (option == 'h')
            return help("sub");
        int exit_status = take_option(&sub, option, argv);
        if (exit_status != EXIT_DONE)
            return exit_status;
    }
    if (argc - optind != 1)
        return fail_usage("sub", "sub takes one name, not %d", argc - optind);
    sub.source.name = argv[optind];
    sub.progress.live = !sub.source.quiet && system_is_terminal(SYSTEM_ERRORS) && !system_is_terminal(SYSTEM_OUTPUT);
    sub.output = calloc(1, sizeof *sub.output);
    if (sub.output == NULL)
        return fail_status(sub.source.name, MAPRING_NO_MEMORY);

    system_catch_stop();
    int exit_status = attach(&sub);
    if (sub.source.consumer != NULL)
        exit_status = stream(&sub);
    source_close(&sub.source);
    free(sub.output);
    progress_erase();
    if (sub.source.verbose)
        progress_total(&sub.progress, "received");
    return exit_status;
}
