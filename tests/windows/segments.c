#include "segments.h"

#include <string.h>

#include <mapring/status.h>

#include "harness.h"

struct platform_segment *create_ring_segment(const char *name, const char *file)
{
    struct platform_segment *segment = NULL;
    const struct platform_extent extent = {0, RING_SEGMENT_SIZE};
    if (!CHECK_IS(platform_segment_create(RING_TARGET(name, file), RING_SEGMENT_SIZE, &extent, 1, &segment),
                  MAPRING_OK))
        return NULL;
    struct identity *identity = map_bytes(segment, 0, sizeof *identity, true);
    if (identity != NULL) {
        identity->kind = MAPRING_KIND_RING;
        CHECK_IS(platform_random(identity->ring_id), MAPRING_OK);
        store64_release(&identity->magic, IDENTITY_MAGIC);
        platform_unmap(identity, sizeof *identity);
    }
    CHECK_IS(platform_segment_publish(segment, NULL), MAPRING_OK);
    return segment;
}

void *map_bytes(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable)
{
    void *address = NULL;
    CHECK_IS(platform_map(segment, offset, size, writable, &address), MAPRING_OK);
    return address;
}

static int32_t look_for(void *context, const char *name)
{
    return strcmp(name, context) == 0 ? 1 : MAPRING_OK;
}

bool is_listed(const char *name)
{
    char wanted[256];
    strcpy(wanted, name);
    int32_t status = platform_segment_list(look_for, wanted);
    CHECK(status == 0 || status == 1);
    return status == 1;
}

bool delete_file(const char *path)
{
    wchar_t wide[PATH_SIZE];
    return MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, PATH_SIZE) > 0 && DeleteFileW(wide);
}
