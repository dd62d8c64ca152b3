/*
 * The producer and the consumers of stream.c, each a process of its own.
 *
 * What is streamed is a file, cut into messages whose lengths follow from their
 * sequence numbers alone, so that a producer who takes over knows where to go on.
 */
#ifndef MAPRING_TESTS_WINDOWS_ROLES_H
#define MAPRING_TESTS_WINDOWS_ROLES_H

#include <stdint.h>

/*
 * Publishes the file from where the ring stands to the end, and ends the stream.
 * `ring_file` "-": in memory. Waits for `consumers` of them first. Tells "created" or "continued", and "done". Before
 * message number `pause` it stops and waits for the parent, if `pause` is not 0.
 */
int produce(const char *name, const char *ring_file, const char *source, const char *consumers, const char *pause);

/*
 * Writes what it receives to a file. Tells "attached", and at the end of the stream "ended" and how many
 * messages there were. `way` is how it reads: "place", "one" (in place, a message at a time), "copy"; or "never":
 * attaches and waits for the parent.
 */
int consume(const char *name, const char *way, const char *target);

/* Tries to become the producer when the parent says so, tells "created", "continued" or the name of the status, and
 * closes when the parent says so. */
int apply(const char *name, const char *ring_file);

/* A pace for the slow: consumes from one ring, each message slowly, and answers in another if that is not "-". */
int echo(const char *name, const char *answers, const char *delay_ms);

#endif
