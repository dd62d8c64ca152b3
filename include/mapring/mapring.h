/*
 * mapring: messages between processes, through a ring in shared memory.
 *
 * One producer publishes messages of any length under a name; any number of
 * consumers in other processes read them where they lie.
 */
#ifndef MAPRING_MAPRING_H
#define MAPRING_MAPRING_H

#include "consumer.h"
#include "inspect.h"
#include "message.h"
#include "producer.h"
#include "status.h"
#include "version.h"

#endif
