#include "bare.h"
#include "control.h"
#include "peer.h"
#include "pingpong.h"
#include "rings.h"
#include "stream.h"
#include "work.h"

#define RING_FEATURES                                                                                                  \
    (FEATURES_KNOWN | FEATURE_VARIABLE | FEATURE_BROADCAST | FEATURE_RELIABLE | FEATURE_BLOCKING | FEATURE_IN_PLACE)

/* All that this program knows; those that the machine has not are told so. */
struct known {
    const char *name;
    const struct peer *peer;
    const char *absent;
};

static const struct known peers[] = {
    {"pipe", &peer_pipe, NULL},
    {"UNIX seqpacket", &peer_seqpacket, NULL},
    {"POSIX mqueue", &peer_mqueue, NULL},
#if defined(WITH_ZMQ)
    {"ZeroMQ ipc", &peer_zmq, NULL},
#else
    {"ZeroMQ ipc", NULL, "was not installed when this program was built (libzmq3-dev)"},
#endif
#if defined(WITH_NNG)
    {"nng ipc", &peer_nng, NULL},
#else
    {"nng ipc", NULL, "was not installed when this program was built (libnng-dev)"},
#endif
#if defined(WITH_BOOST)
    {"Boost message_queue", &peer_boost, NULL},
#else
    {"Boost message_queue", NULL, "was not installed when this program was built (libboost-dev)"},
#endif
#if defined(WITH_CK)
    {"Concurrency Kit ring", &peer_ck, NULL},
#else
    {"Concurrency Kit ring", NULL, "was not installed when this program was built (libck-dev)"},
#endif
#if defined(WITH_DPDK)
    {"DPDK rte_ring", &peer_dpdk, NULL},
#else
    {"DPDK rte_ring", NULL, "was not installed when this program was built (libdpdk-dev)"},
#endif
#if defined(WITH_ICEORYX)
    {"iceoryx", &peer_iceoryx, NULL},
#else
    {"iceoryx", NULL, "was not installed when this program was built (iceoryx, libiceoryx-posh-dev)"},
#endif
};

#define PEERS (sizeof peers / sizeof *peers)

static const struct options *options;

static struct crew peer_crew(const struct peer *peer, uint64_t size)
{
    return (struct crew){.members = 2,
                         .foreign = true,
                         .sleeps = peer->sleeps,
                         .capacity = options->capacity,
                         .size = size,
                         .prepare = peer->prepare,
                         .open = peer->open,
                         .close = peer->close,
                         .clear = peer->clear};
}

static void add_peer(struct comparison *comparison, const struct known *known, bool round_trip)
{
    const struct peer *peer = known->peer;
    if (peer == NULL) {
        comparison_add_absent(comparison, known->name, known->absent);
        return;
    }
    struct job job = {.driver = peer->stream_out, .partner = peer->stream_in};
    if (round_trip)
        job = (struct job){.driver = peer->ping, .partner = peer->pong};
    job.waits = (peer->features & FEATURE_BLOCKING) != 0;
    struct subject *subject =
        comparison_add(comparison, known->name, plan_crew(peer_crew(peer, comparison->size)), job);
    subject->features = peer->features | FEATURES_KNOWN;
    subject->setting = peer->setting;
}

static void add_ring(struct comparison *comparison, struct crew *crew, const char *name, struct job job)
{
    comparison_add(comparison, name, crew, job)->features = RING_FEATURES;
}

static void compare_streams(struct plan *plan, uint64_t size)
{
    struct crew *crew = plan_pair(options);
    struct comparison *comparison = plan_compare(plan, "throughput beside others", UNIT_RATE, size, options->capacity);
    comparison->note =
        "one writer, one reader that verifies every byte, buffers of the same capacity where one can say";
    if (size * 8 > options->capacity) {
        comparison_add_absent(comparison, "all", "the ring is too small for such messages; see --capacity");
        return;
    }
    add_ring(comparison, crew, "mapring", (struct job){.driver = stream_publish, .partner = stream_read});
    add_ring(comparison, crew, "mapring, 16 at once",
             (struct job){.driver = stream_publish_batch, .partner = stream_read});
    add_ring(comparison, crew, "mapring, in place", (struct job){.driver = stream_compose, .partner = stream_read});
    comparison_add(comparison, "plain shared ring", crew,
                   (struct job){.driver = control_driver, .partner = control_partner})
        ->features = FEATURES_KNOWN | FEATURE_VARIABLE | FEATURE_RELIABLE | FEATURE_IN_PLACE;
    for (unsigned i = 0; i < PEERS; i++)
        add_peer(comparison, &peers[i], false);
    add_stream_limits(comparison, crew);
}

static void compare_round_trips(struct plan *plan, uint64_t size)
{
    struct crew *crew = plan_pair(options);
    struct comparison *comparison = plan_compare(plan, "round trip beside others", UNIT_TIME, size, options->capacity);
    comparison->note = "rings and iceoryx poll, and so does mapring in its first row; the kernel's and the other "
                       "libraries' readers sleep";
    add_ring(comparison, crew, "mapring, polling",
             (struct job){.driver = pingpong_driver, .partner = pingpong_partner});
    add_ring(comparison, crew, "mapring, sleeping",
             (struct job){
                 .driver = pingpong_driver, .partner = pingpong_partner, .variant = PINGPONG_SLEEPING, .waits = true});
    for (unsigned i = 0; i < PEERS; i++)
        add_peer(comparison, &peers[i], true);
    comparison_add(comparison, "two cache lines", crew,
                   (struct job){.driver = bare_pingpong_driver, .partner = bare_pingpong_partner, .size = 8})
        ->is_limit = true;
}

void compare_plan(struct plan *plan, const struct options *asked)
{
    static const uint64_t sizes[] = {8, 64, 512, 4096, 65536};
    options = asked;
    const uint64_t *chosen = options->size_count > 0 ? options->sizes : sizes;
    unsigned count = options->size_count > 0 ? options->size_count : sizeof sizes / sizeof *sizes;
    for (unsigned i = 0; i < count; i++)
        compare_streams(plan, chosen[i]);
    compare_round_trips(plan, options->size_count > 0 ? options->sizes[0] : 64);
}
