/*
 * A program of another project: sends itself a message.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mapring/mapring.h>

int main(void)
{
    char name[64];
    mapring_producer *producer;
    mapring_consumer *consumer;
    mapring_message message;
    snprintf(name, sizeof name, "embedding-%d", (int)getpid());
    if (mapring_producer_open(name, NULL, &producer) != 0)
        return 1;
    if (mapring_consumer_open(name, NULL, &consumer) != MAPRING_OK)
        return 2;
    if (mapring_publish(producer, "embedded", 8, 0, 0, 0) != MAPRING_OK)
        return 3;
    if (mapring_read(consumer, &message, 1, 0) != 1 || message.length != 8 || memcmp(message.data, "embedded", 8) != 0)
        return 4;
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
    puts("embedded");
    return 0;
}
