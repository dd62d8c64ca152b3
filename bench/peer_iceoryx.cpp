#include "peer_iceoryx.h"

#include <algorithm>
#include <cstring>

#include "iceoryx_hoofs/error_handling/error_handling.hpp"
#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/mepoo/chunk_header.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

using iox::capro::IdString_t;
using iox::popo::ChunkReceiveResult;

static void (*refuse_with)(const char *reason);

static iox::capro::ServiceDescription service(const char *name)
{
    return {"mapring-bench", IdString_t(iox::cxx::TruncateToCapacity, name), "messages"};
}

static iox::popo::PublisherOptions waits_for_consumer()
{
    iox::popo::PublisherOptions options;
    options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    return options;
}

static iox::popo::SubscriberOptions blocks_producer(uint64_t depth)
{
    iox::popo::SubscriberOptions options;
    options.queueCapacity = depth;
    options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    return options;
}

struct iceoryx_end {
    iox::popo::UntypedPublisher publisher;
    iox::popo::UntypedSubscriber subscriber;
    iceoryx_end(const char *published, const char *subscribed, uint64_t depth)
        : publisher(service(published), waits_for_consumer()), subscriber(service(subscribed), blocks_producer(depth))
    {
    }
};

/* Instead of a text on standard error and an abort. What is moderate comes back as a result as well. */
static void on_error(iox::Error error, const std::function<void()> &, iox::ErrorLevel level)
{
    if (level != iox::ErrorLevel::MODERATE)
        refuse_with(iox::ErrorHandler::toString(error));
}

uint64_t iceoryx_depth(uint64_t messages)
{
    return std::min<uint64_t>(messages, iox::MAX_SUBSCRIBER_QUEUE_CAPACITY);
}

iceoryx_end *iceoryx_open(const char *user, const char *published, const char *subscribed, uint64_t depth,
                          void (*refuse)(const char *reason))
{
    refuse_with = refuse;
    static auto handling = iox::ErrorHandler::setTemporaryErrorHandler(on_error);
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kOff,
                                                             iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(iox::cxx::TruncateToCapacity, user));
    return new iceoryx_end(published, subscribed, depth);
}

bool iceoryx_is_connected(iceoryx_end *end)
{
    return end->subscriber.getSubscriptionState() == iox::SubscribeState::SUBSCRIBED && end->publisher.hasSubscribers();
}

void iceoryx_send(iceoryx_end *end, const void *data, uint64_t length)
{
    auto loaned = end->publisher.loan(static_cast<uint32_t>(length));
    if (loaned.has_error())
        refuse_with(iox::popo::asStringLiteral(loaned.get_error()));
    std::memcpy(loaned.value(), data, length);
    end->publisher.publish(loaned.value());
}

const void *iceoryx_take(iceoryx_end *end, uint64_t *length)
{
    auto taken = end->subscriber.take();
    if (taken.has_error()) {
        if (taken.get_error() != ChunkReceiveResult::NO_CHUNK_AVAILABLE)
            refuse_with(iox::popo::asStringLiteral(taken.get_error()));
        return nullptr;
    }
    *length = iox::mepoo::ChunkHeader::fromUserPayload(taken.value())->userPayloadSize();
    return taken.value();
}

void iceoryx_release(iceoryx_end *end, const void *data)
{
    end->subscriber.release(data);
}
