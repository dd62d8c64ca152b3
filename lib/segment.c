/*
 * Segments as callers see them: what they ask for is checked here, and views are kept account of.
 */
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "foreign.h"
#include "options.h"
#include "platform.h"
#include "validate.h"

#define ALIGNMENT ((uint64_t)REGION_ALIGNMENT)

struct view {
    void *address;
    uint64_t size;
};

struct mapring_segment {
    struct platform_segment *segment;
    bool created;
    bool read_only;
    struct view *views;
    uint32_t view_count;
    uint32_t view_room;
};

/* Opening. */

static bool is_for_file(const mapring_segment_options *options)
{
    return options->file != NULL;
}

static int32_t open_existing(const struct platform_target *target, const mapring_segment_options *options,
                             struct platform_segment **out)
{
    struct platform_target by_name = *target;
    by_name.file = NULL;
    struct platform_segment *segment;
    int32_t status = platform_segment_open(&by_name, PLATFORM_ATTACH, &segment);
    if (status < 0)
        return status;
    if (options->mode == MAPRING_CREATE_NEW)
        status = MAPRING_EXISTS;
    else if (options->size > platform_segment_header(segment)->size)
        status = MAPRING_TOO_SMALL;
    else if (is_for_file(options))
        status = platform_segment_is_in_file(segment, options->file);
    if (is_for_file(options) && status == 0)
        status = MAPRING_WRONG_GEOMETRY;
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

static int32_t create_bytes(const struct platform_target *target, const mapring_segment_options *options,
                            struct segment_header *header, struct platform_segment **out)
{
    if (is_for_file(options)) {
        int32_t status = platform_segment_open_file(target, options->size, out);
        header->kind |= KIND_IN_FILE;
        header->size = options->size != 0 ? options->size : status < 0 ? 0 : platform_segment_size(*out);
        return status;
    }
    if (options->size == 0)
        return MAPRING_INVALID_SIZE;
    header->size = options->size;
    header->data_offset = (options->flags & MAPRING_LARGE_PAGES) != 0 ? LARGE_PAGE_SIZE : ALIGNMENT;
    header->segment_size = segment_size_of(header->size, header->data_offset);
    const struct platform_extent extents[] = {
        {0, 4096},
        {header->data_offset, header->segment_size - header->data_offset},
    };
    return platform_segment_create(target, header->segment_size, extents, 2, out);
}

static int32_t create_new(const struct platform_target *target, const mapring_segment_options *options,
                          struct platform_segment **out)
{
    struct segment_header header = {
        .magic = {IDENTITY_MAGIC},
        .kind = MAPRING_KIND_SEGMENT,
        .format_version = MAPRING_FORMAT_VERSION,
        .flags = options->flags & (MAPRING_PERSISTENT | MAPRING_READ_ONLY | MAPRING_LARGE_PAGES),
        .created_ns = platform_time_ns(),
    };
    if (target->name != NULL)
        memcpy(header.name, canonical_name(target->name), strlen(canonical_name(target->name)));
    int32_t status = platform_random(header.segment_id);
    if (status < 0)
        return status;
    struct platform_segment *segment;
    status = create_bytes(target, options, &header, &segment);
    if (status < 0)
        return status;
    status = header.size > SEGMENT_SIZE_MAX ? MAPRING_INVALID_SIZE : platform_segment_publish(segment, &header);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

/* Others may create, leave and clear away the same name at any moment, so that the next attempt finds something else.
 */
#define OPEN_ROUNDS 50
#define OPEN_PAUSE_NS 1000000u

static int32_t open_among_others(const struct platform_target *target, const mapring_segment_options *options,
                                 struct platform_segment **out)
{
    for (int round = 1;; round++) {
        int32_t status = target->name == NULL ? MAPRING_NOT_FOUND : open_existing(target, options, out);
        if (status == MAPRING_OK)
            return 1;
        if (status == MAPRING_NOT_FOUND && options->mode != MAPRING_OPEN_EXISTING)
            status = create_new(target, options, out);
        bool again = status == MAPRING_BUSY || (status == MAPRING_EXISTS && options->mode != MAPRING_CREATE_NEW);
        if (!again || round == OPEN_ROUNDS)
            return status;
        /* Nothing tells when a file gets free. */
        if (status == MAPRING_BUSY)
            platform_sleep(OPEN_PAUSE_NS);
        else
            platform_segment_await(target->name, platform_clock_ns() + OPEN_PAUSE_NS);
    }
}

static int32_t check_options(const char *name, const mapring_segment_options *options)
{
    const uint32_t known =
        MAPRING_READ_ONLY | MAPRING_OTHER_OWNERS | MAPRING_PERSISTENT | MAPRING_GROW_FILE | MAPRING_LARGE_PAGES;
    if (options->struct_size != sizeof *options || options->mode > MAPRING_OPEN_EXISTING ||
        (options->flags & ~known) != 0 || (options->permissions & ~0666u) != 0 ||
        !all_zero(options->reserved, sizeof options->reserved))
        return MAPRING_INVALID_OPTIONS;
    bool creates = options->mode != MAPRING_OPEN_EXISTING;
    bool read_only = (options->flags & MAPRING_READ_ONLY) != 0;
    bool grows = (options->flags & MAPRING_GROW_FILE) != 0;
    if ((grows && (read_only || !is_for_file(options))) || (read_only && creates && !is_for_file(options)))
        return MAPRING_INVALID_OPTIONS;
    if (name == NULL && (!creates || is_for_file(options) || (options->flags & MAPRING_PERSISTENT) != 0))
        return MAPRING_INVALID_OPTIONS;
    if (is_for_file(options) && options->file[0] == 0)
        return MAPRING_INVALID_ARGUMENT;
    if (options->size > SEGMENT_SIZE_MAX)
        return MAPRING_INVALID_SIZE;
    return name == NULL ? MAPRING_OK : validate_name(name);
}

/* A handle is made before what it is for: nothing can fail afterwards. */
static mapring_segment *fill(mapring_segment *segment, struct platform_segment *platform, bool created, uint32_t flags)
{
    segment->segment = platform;
    segment->created = created;
    segment->read_only = ((flags | platform_segment_header(platform)->flags) & MAPRING_READ_ONLY) != 0;
    return segment;
}

int32_t mapring_segment_open(const char *name, const mapring_segment_options *options, mapring_segment **segment)
{
    static const mapring_segment_options defaults = {.struct_size = sizeof defaults, .mode = MAPRING_OPEN_EXISTING};
    if (segment == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (options == NULL)
        options = &defaults;
    int32_t status = check_options(name, options);
    if (status < 0)
        return status;
    struct platform_target target = {
        .name = name,
        .file = options->file,
        .kind = MAPRING_KIND_SEGMENT,
        .flags = options->flags,
        .permissions = options->permissions,
    };
    struct mapring_segment *handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return MAPRING_NO_MEMORY;
    struct platform_segment *platform;
    status = open_among_others(&target, options, &platform);
    if (status < 0)
        free(handle);
    else
        *segment = fill(handle, platform, status == 0, options->flags);
    return foreign(status);
}

int32_t mapring_segment_import(int64_t descriptor, uint32_t flags, mapring_segment **segment)
{
    if (segment == NULL || (flags & ~(uint32_t)MAPRING_READ_ONLY) != 0)
        return MAPRING_INVALID_ARGUMENT;
    struct mapring_segment *handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return MAPRING_NO_MEMORY;
    struct platform_segment *platform;
    int32_t status = platform_segment_import(descriptor, flags, &platform);
    if (status < 0)
        free(handle);
    else
        *segment = fill(handle, platform, false, flags);
    return foreign(status);
}

/* A handle that this process may use. */
static bool is_usable(const mapring_segment *segment)
{
    return segment != NULL && platform_segment_is_ours(segment->segment);
}

void mapring_segment_close(mapring_segment *segment)
{
    if (segment == NULL)
        return;
    /* A child of fork() has no views, and something else may lie there by now. */
    if (platform_segment_is_ours(segment->segment))
        for (uint32_t i = 0; i < segment->view_count; i++)
            platform_unmap(segment->views[i].address, segment->views[i].size);
    platform_segment_close(segment->segment);
    free(segment->views);
    free(segment);
}

int32_t mapring_segment_remove(const char *name)
{
    int32_t status = validate_name(name);
    if (status < 0)
        return status;
    struct platform_target target = {.name = name, .kind = MAPRING_KIND_SEGMENT};
    return foreign(platform_segment_remove(&target));
}

int32_t mapring_segment_export(mapring_segment *segment, uint32_t flags, int64_t *descriptor)
{
    if (!is_usable(segment) || descriptor == NULL ||
        (flags & ~(uint32_t)(MAPRING_READ_ONLY | MAPRING_INHERITABLE)) != 0)
        return MAPRING_INVALID_ARGUMENT;
    if (platform_segment_header(segment->segment)->name[0] != 0)
        return MAPRING_UNSUPPORTED;
    if (segment->read_only && (flags & MAPRING_READ_ONLY) == 0)
        return MAPRING_PERMISSION;
    return platform_segment_export(segment->segment, flags, descriptor);
}

/* Looking. */

static bool is_in_file(const mapring_segment *segment)
{
    return (platform_segment_header(segment->segment)->kind & KIND_IN_FILE) != 0;
}

static bool is_truncated(const mapring_segment *segment)
{
    const struct segment_header *header = platform_segment_header(segment->segment);
    return platform_segment_size(segment->segment) < header->data_offset + header->size;
}

int32_t mapring_segment_stat(mapring_segment *segment, mapring_segment_info *info)
{
    if (!is_usable(segment) || info == NULL)
        return MAPRING_INVALID_ARGUMENT;
    if (info->struct_size != sizeof *info)
        return MAPRING_INVALID_OPTIONS;
    const struct segment_header *header = platform_segment_header(segment->segment);
    *info = (mapring_segment_info){
        .struct_size = sizeof *info,
        .flags = (header->flags & MAPRING_PERSISTENT) | (segment->read_only ? MAPRING_READ_ONLY : 0),
        .size = header->size,
        .allocated = platform_segment_allocated(segment->segment),
        .created_ns = header->created_ns,
        .created = segment->created,
        .backing = is_in_file(segment) ? MAPRING_IN_FILE : MAPRING_IN_MEMORY,
        .views = segment->view_count,
    };
    for (uint32_t i = 0; i < segment->view_count; i++)
        info->large_pages += platform_large_pages(segment->views[i].address, segment->views[i].size);
    memcpy(info->name, header->name, strlen(header->name));
    return is_truncated(segment) ? MAPRING_TRUNCATED : MAPRING_OK;
}

/* Views. */

static bool make_room(mapring_segment *segment)
{
    if (segment->view_count < segment->view_room)
        return true;
    uint32_t room = segment->view_room == 0 ? 4 : 2 * segment->view_room;
    struct view *views = room > segment->view_room ? realloc(segment->views, room * sizeof *views) : NULL;
    if (views == NULL)
        return false;
    segment->views = views;
    segment->view_room = room;
    return true;
}

int32_t mapring_segment_map(mapring_segment *segment, uint64_t offset, uint64_t size, uint32_t flags, void *wanted,
                            void **address)
{
    const uint32_t known = MAPRING_READ_ONLY | MAPRING_PREFAULT | MAPRING_LOCK_PAGES;
    if (!is_usable(segment) || address == NULL || (flags & ~known) != 0)
        return MAPRING_INVALID_ARGUMENT;
    if (offset % ALIGNMENT != 0)
        return MAPRING_MISALIGNED;
    if (segment->read_only && (flags & MAPRING_READ_ONLY) == 0)
        return MAPRING_PERMISSION;
    const struct segment_header *header = platform_segment_header(segment->segment);
    if (offset >= header->size || size > header->size - offset)
        return MAPRING_INVALID_SIZE;
    struct view view = {.size = size != 0 ? size : header->size - offset};
    if (!make_room(segment))
        return MAPRING_NO_MEMORY;
    int32_t status =
        platform_map_view(segment->segment, header->data_offset + offset, view.size, flags, wanted, &view.address);
    if (status < 0)
        return status;
    segment->views[segment->view_count++] = view;
    *address = view.address;
    return MAPRING_OK;
}

int32_t mapring_segment_unmap(mapring_segment *segment, void *address)
{
    if (!is_usable(segment))
        return MAPRING_INVALID_ARGUMENT;
    for (uint32_t i = 0; i < segment->view_count; i++)
        if (segment->views[i].address == address) {
            platform_unmap(address, segment->views[i].size);
            segment->views[i] = segment->views[--segment->view_count];
            return MAPRING_OK;
        }
    return MAPRING_NOT_MAPPED;
}

/* Whether the view holds these bytes. A size of 0 becomes that of all to its end. */
static bool holds(const struct view *view, const void *address, uint64_t *size)
{
    uintptr_t first = (uintptr_t)view->address, start = (uintptr_t)address;
    if (start < first || start - first >= view->size || *size > view->size - (start - first))
        return false;
    if (*size == 0)
        *size = view->size - (start - first);
    return true;
}

static int32_t flush_range(const mapring_segment *segment, const void *address, uint64_t size, bool wait)
{
    for (uint32_t i = 0; i < segment->view_count; i++)
        if (holds(&segment->views[i], address, &size))
            return is_in_file(segment) ? platform_flush_view(segment->segment, address, size, wait) : MAPRING_OK;
    return MAPRING_NOT_MAPPED;
}

int32_t mapring_segment_flush(mapring_segment *segment, const void *address, uint64_t size, uint32_t wait)
{
    if (!is_usable(segment) || wait > 1 || (address == NULL && size != 0))
        return MAPRING_INVALID_ARGUMENT;
    if (segment->read_only)
        return MAPRING_PERMISSION;
    if (is_in_file(segment) && is_truncated(segment))
        return MAPRING_TRUNCATED;
    if (address != NULL)
        return flush_range(segment, address, size, wait == 1);
    if (!is_in_file(segment))
        return MAPRING_OK;
    /* What other views and other processes wrote is in the file already; of these, the system may not know yet. */
    int32_t status = MAPRING_OK;
    for (uint32_t i = 0; i < segment->view_count && status == MAPRING_OK; i++)
        status = platform_flush_view(segment->segment, segment->views[i].address, segment->views[i].size, wait == 1);
    return status < 0 ? status : platform_flush_view(segment->segment, NULL, 0, wait == 1);
}

uint64_t mapring_view_alignment(void)
{
    return ALIGNMENT;
}
