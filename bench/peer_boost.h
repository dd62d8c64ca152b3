/*
 * boost::interprocess::message_queue for C.
 */
#ifndef MAPRING_BENCH_PEER_BOOST_H
#define MAPRING_BENCH_PEER_BOOST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct boost_queue;

/* A queue that forked processes share; its name is taken away at once. NULL, with a reason, when that is not possible.
 */
struct boost_queue *boost_queue_make(const char *name, size_t depth, size_t size, char *reason, size_t room);
void boost_queue_free(struct boost_queue *queue);

/* Wait for room or for a message. False, with a reason, when something is wrong. */
bool boost_queue_send(struct boost_queue *queue, const void *data, size_t length, char *reason, size_t room);
bool boost_queue_receive(struct boost_queue *queue, void *buffer, size_t size, size_t *length, char *reason,
                         size_t room);

#ifdef __cplusplus
}
#endif

#endif
