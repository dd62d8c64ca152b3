#include "segments.h"

mapring_segment_options segment_options(uint32_t mode, uint64_t size)
{
    return (mapring_segment_options){.struct_size = sizeof(mapring_segment_options), .mode = mode, .size = size};
}

mapring_segment *create_segment(const char *name, uint64_t size, uint32_t flags)
{
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, size);
    options.flags = flags;
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open(name, &options, &segment), 0);
    return segment;
}

mapring_segment *open_segment(const char *name)
{
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open(name, NULL, &segment), 1);
    return segment;
}

void *map_segment(mapring_segment *segment)
{
    void *address;
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, 0, NULL, &address), MAPRING_OK);
    return address;
}

mapring_segment_info stat_segment(mapring_segment *segment)
{
    mapring_segment_info info = {.struct_size = sizeof info};
    CHECK_STATUS(mapring_segment_stat(segment, &info), MAPRING_OK);
    return info;
}

int32_t status_of_open(const char *name, const mapring_segment_options *options)
{
    mapring_segment *segment = NULL;
    int32_t status = mapring_segment_open(name, options, &segment);
    mapring_segment_close(segment);
    return status;
}

bool segment_exists(const char *name)
{
    int32_t status = status_of_open(name, NULL);
    CHECK(status == 1 || status == MAPRING_NOT_FOUND, "opening %s: %s", name, mapring_status_name(status));
    return status == 1;
}
