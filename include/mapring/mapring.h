/*
 * mapring: messages between processes, through a ring in shared memory.
 *
 * One producer publishes messages of any length under a name; any number of
 * consumers in other processes read them where they lie.
 */
#ifndef MAPRING_MAPRING_H
#define MAPRING_MAPRING_H

#include "consumer.h"
#include "event.h"
#include "inspect.h"
#include "message.h"
#include "mutex.h"
#include "names.h"
#include "producer.h"
#include "segment.h"
#include "semaphore.h"
#include "status.h"
#include "version.h"
#include "wait.h"
#include "wait_set.h"

#endif
