#include "opening.h"

#include "harness.h"

int32_t open_with(const char *name, uint32_t mode, uint64_t size, uint32_t flags, mapring_segment **segment)
{
    mapring_segment_options options = {.struct_size = sizeof options, .mode = mode, .size = size, .flags = flags};
    *segment = NULL;
    return mapring_segment_open(name, &options, segment);
}

int32_t status_of(const char *name, uint32_t mode, uint64_t size, uint32_t flags)
{
    mapring_segment *segment;
    int32_t status = open_with(name, mode, size, flags, &segment);
    CHECK((status < 0) == (segment == NULL));
    mapring_segment_close(segment);
    return status;
}

bool is_free(const char *name)
{
    ULONGLONG deadline = GetTickCount64() + 5000;
    int32_t kind = mapring_kind(name);
    while (kind > 0 && GetTickCount64() < deadline) {
        Sleep(1);
        kind = mapring_kind(name);
    }
    return CHECK_IS(kind, MAPRING_NOT_FOUND);
}

uint8_t *map_all(mapring_segment *segment, uint32_t flags)
{
    void *address = NULL;
    CHECK_IS(mapring_segment_map(segment, 0, 0, flags, NULL, &address), MAPRING_OK);
    return address;
}

mapring_segment_info stat_of(mapring_segment *segment)
{
    mapring_segment_info info = {.struct_size = sizeof info};
    CHECK_IS(mapring_segment_stat(segment, &info), MAPRING_OK);
    return info;
}

uint32_t protection_of(const void *address)
{
    MEMORY_BASIC_INFORMATION region = {.Protect = 0};
    return VirtualQuery(address, &region, sizeof region) != 0 && region.State == MEM_COMMIT ? region.Protect : 0;
}
