/*
 * iceoryx's daemon, RouDi: it makes the shared memory, and brings those together who use it. A machine has one at most.
 */
#ifndef MAPRING_BENCH_ROUDI_H
#define MAPRING_BENCH_ROUDI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ROUDI_USERS 2u

/* What a member of the crew is to call itself: a file of this name is taken away with the daemon. */
void roudi_user(char *name, size_t room, pid_t conductor, unsigned member);

/* By the conductor: starts one, with so many chunks for messages up to this length, and waits until it is ready. Says
 * why it cannot, or NULL. One that runs already is left alone. */
const char *roudi_start(uint64_t message_bytes, uint64_t chunks);

/* When all who used it have ended. */
void roudi_end(void);

#endif
