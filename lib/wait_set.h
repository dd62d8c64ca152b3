/*
 * Members that leave their wait set since they are closed.
 */
#ifndef MAPRING_LIB_WAIT_SET_H
#define MAPRING_LIB_WAIT_SET_H

#include "namespace.h"

struct mapring_consumer;
struct mapring_producer;

void wait_set_forget_consumer(struct mapring_consumer *consumer);
void wait_set_forget_producer(struct mapring_producer *producer);

#endif
