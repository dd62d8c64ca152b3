#include "peer_boost.h"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstring>

using boost::interprocess::create_only;
using boost::interprocess::message_queue;

struct boost_queue {
    message_queue queue;
    boost_queue(const char *name, size_t depth, size_t size) : queue(create_only, name, depth, size)
    {
    }
};

static bool fails(char *reason, size_t room, const char *what)
{
    std::strncpy(reason, what, room - 1);
    reason[room - 1] = 0;
    return false;
}

boost_queue *boost_queue_make(const char *name, size_t depth, size_t size, char *reason, size_t room)
{
    try {
        boost_queue *made = new boost_queue(name, depth, size);
        message_queue::remove(name);
        return made;
    } catch (const std::exception &error) {
        message_queue::remove(name);
        fails(reason, room, error.what());
        return nullptr;
    }
}

void boost_queue_free(boost_queue *queue)
{
    delete queue;
}

bool boost_queue_send(boost_queue *queue, const void *data, size_t length, char *reason, size_t room)
{
    try {
        queue->queue.send(data, length, 0);
        return true;
    } catch (const std::exception &error) {
        return fails(reason, room, error.what());
    }
}

bool boost_queue_receive(boost_queue *queue, void *buffer, size_t size, size_t *length, char *reason, size_t room)
{
    try {
        unsigned priority;
        message_queue::size_type received;
        queue->queue.receive(buffer, size, received, priority);
        *length = received;
        return true;
    } catch (const std::exception &error) {
        return fails(reason, room, error.what());
    }
}
