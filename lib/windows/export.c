/*
 * Segments without a name, handed over as handles. The system lets nobody make a section smaller.
 */
#include "win32.h"

#include <stdlib.h>

#include <mapring/mapring.h>

#include "../validate.h"

int32_t platform_segment_export(const struct platform_segment *segment, uint32_t flags, int64_t *descriptor)
{
    DWORD rights = SECTION_QUERY | READ_CONTROL | FILE_MAP_READ;
    if ((flags & MAPRING_READ_ONLY) == 0)
        rights |= FILE_MAP_WRITE;
    HANDLE handle;
    if (!DuplicateHandle(GetCurrentProcess(), segment->mapping, GetCurrentProcess(), &handle, rights,
                         (flags & MAPRING_INHERITABLE) != 0, 0))
        return win32_status(GetLastError());
    *descriptor = (int64_t)(intptr_t)handle;
    return MAPRING_OK;
}

/* Whether the handle gives the right to write. */
static bool is_writable(HANDLE section)
{
    void *view = MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, sizeof(struct segment_header));
    if (view == NULL)
        return false;
    UnmapViewOfFile(view);
    return true;
}

static int32_t look(struct platform_segment *segment)
{
    struct segment_header *header = &segment->header;
    int32_t status = win32_section_look(segment->mapping, &segment->size, header);
    if (status == MAPRING_WRONG_KIND || status == MAPRING_PERMISSION)
        return MAPRING_NOT_A_RING; /* no section at all, or not one of ours, which can be read */
    if (status == MAPRING_OK)
        status = validate_header(header, segment->size);
    if (status == MAPRING_OK && (header->kind != MAPRING_KIND_SEGMENT || header->name[0] != 0))
        status = MAPRING_NOT_A_RING;
    if (status == MAPRING_OK && !is_writable(segment->mapping))
        header->flags |= MAPRING_READ_ONLY;
    return status;
}

int32_t platform_segment_import(int64_t descriptor, uint32_t flags, struct platform_segment **out)
{
    /* Negative ones are the system's words for this process and this thread. */
    if (descriptor <= 0)
        return MAPRING_INVALID_ARGUMENT;
    struct platform_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    segment->flags = flags;
    int32_t status = MAPRING_OK;
    if (!DuplicateHandle(GetCurrentProcess(), (HANDLE)(intptr_t)descriptor, GetCurrentProcess(), &segment->mapping, 0,
                         FALSE, DUPLICATE_SAME_ACCESS)) {
        DWORD error = GetLastError();
        segment->mapping = NULL;
        status = error == ERROR_INVALID_HANDLE ? MAPRING_INVALID_ARGUMENT : win32_status(error);
    }
    if (status == MAPRING_OK)
        status = look(segment);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}
