#include "foreign.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record.h"
#include "rings.h"
#include "validate.h"

void path_of_name(char path[512], const char *name)
{
    const char *folder = getenv("MAPRING_DIR");
    cr_assert_not_null(folder, "run it through tests/support/private.sh");
    snprintf(path, 512, "%s/%s", folder, name);
}

struct segment_view view_segment(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0);
    struct segment_view view = {.size = (uint64_t)status.st_size};
    view.bytes = mmap(NULL, view.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq((void *)view.bytes, MAP_FAILED);
    close(fd);
    view.identity = (struct identity *)(void *)view.bytes;
    struct geometry geometry = geometry_of(view.identity->capacity, view.identity->slot_count);
    view.stream = (struct stream *)(void *)(view.bytes + geometry.stream_offset);
    view.data = (uint8_t *)view.stream + STREAM_HEAD_SIZE;
    view.readers = (struct readers *)(void *)(view.bytes + geometry.readers_offset);
    view.readers_size = geometry.readers_size;
    return view;
}

void unview_segment(struct segment_view *view)
{
    munmap(view->bytes, view->size);
}

uint64_t evil_word(uint64_t *random, uint64_t position, uint64_t capacity)
{
    uint64_t some = random_next(random);
    switch (random_next(random) % 12) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return some;
    case 3:
        return position + some % (2 * capacity) - capacity;
    case 4:
        return (position + some % (2 * capacity) - capacity) & ~(uint64_t)7;
    case 5:
        return position;
    case 6:
        return UINT64_MAX - some % (4 * capacity);
    case 7:
        return message_header(some % capacity, (uint32_t)some);
    case 8:
        return message_header(HEADER_LENGTH_MASK - some % 16, 0);
    case 9:
        return padding_header(8 + some % capacity / 8 * 8);
    case 10:
        return some % 4096;
    default:
        return (uint64_t)1 << some % 64;
    }
}
