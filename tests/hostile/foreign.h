/*
 * What the hostile tests share: the files of rings, seen as bytes.
 */
#ifndef MAPRING_TESTS_FOREIGN_H
#define MAPRING_TESTS_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* The path of the file that a name is. */
void path_of_name(char path[512], const char *name);

/* A whole file of a ring, mapped for writing: what a peer with write permission can reach. */
struct segment_view {
    uint8_t *bytes;
    uint64_t size;
    struct identity *identity;
    struct stream *stream;
    uint8_t *data;
    struct readers *readers;
    uint64_t readers_size;
};

struct segment_view view_segment(const char *path);
void unview_segment(struct segment_view *view);

/* A value that a peer could choose to do harm, near the position where the stream is, or anything. */
uint64_t evil_word(uint64_t *random, uint64_t position, uint64_t capacity);

#endif
