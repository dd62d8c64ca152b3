/*
 * iceoryx for C. Its own binding for C does not tell how long a message is that came.
 */
#ifndef MAPRING_BENCH_PEER_ICEORYX_H
#define MAPRING_BENCH_PEER_ICEORYX_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iceoryx_end;

/* The longest queue for so many messages that the library was built for. */
uint64_t iceoryx_depth(uint64_t messages);

/* An end that publishes one service and subscribes to another; both wait for the slower rather than lose anything. What
 * the library finds wrong from here on is told to `refuse`, which does not return. */
struct iceoryx_end *iceoryx_open(const char *user, const char *published, const char *subscribed, uint64_t depth,
                                 void (*refuse)(const char *reason));
bool iceoryx_is_connected(struct iceoryx_end *end);

/* Copies into a chunk of shared memory, and waits while the queue is full. */
void iceoryx_send(struct iceoryx_end *end, const void *data, uint64_t length);

/* The next message, where it lies, or NULL; it is to be released. */
const void *iceoryx_take(struct iceoryx_end *end, uint64_t *length);
void iceoryx_release(struct iceoryx_end *end, const void *data);

#ifdef __cplusplus
}
#endif

#endif
