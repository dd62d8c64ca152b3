/*
 * Segments on Windows: named sections, backed by the paging file or by a file.
 *
 * The system itself keeps a name as long as somebody has a handle, and takes it
 * away when the last one is closed or dies; so each handle of ours keeps one. A name is taken the moment a
 * section is created: that its contents are complete is what the ring's creator stores last.
 */
#include "win32.h"

#include <stdlib.h>
#include <wchar.h>

#include <mapring/mapring.h>

#define PAGE_BYTES 4096u

/* How long a file that somebody else has open may be without a name. */
#define BUSY_NS 100000000u

/* Paths. */

/* The caller frees it. */
static int32_t wide_path(const char *path, wchar_t **out)
{
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    if (length <= 0)
        return MAPRING_INVALID_ARGUMENT;
    *out = malloc((size_t)length * sizeof **out);
    if (*out == NULL)
        return MAPRING_NO_MEMORY;
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, *out, length);
    return MAPRING_OK;
}

/* The same path, whatever the current folder will be. The caller frees it. */
static wchar_t *full_path(const wchar_t *path)
{
    DWORD size = GetFullPathNameW(path, 0, NULL, NULL);
    wchar_t *full = malloc((size_t)size * sizeof *full);
    DWORD length = full == NULL ? 0 : GetFullPathNameW(path, size, full, NULL);
    if (length == 0 || length >= size) {
        free(full);
        return NULL;
    }
    return full;
}

/* After MAPRING_PERMISSION GetLastError() tells more. */
static int32_t open_file(const wchar_t *path, DWORD access, DWORD share, DWORD disposition, HANDLE *out)
{
    HANDLE file = CreateFileW(path, access, share, NULL, disposition, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        DWORD error = GetLastError();
        DWORD attributes = error == ERROR_ACCESS_DENIED ? GetFileAttributesW(path) : INVALID_FILE_ATTRIBUTES;
        if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
            return MAPRING_NOT_A_RING;
        return win32_status(error);
    }
    if (GetFileType(file) != FILE_TYPE_DISK) {
        CloseHandle(file);
        return MAPRING_NOT_A_RING;
    }
    *out = file;
    return MAPRING_OK;
}

/* Sections. */

/* How much of the section can be read, which is all of it but for strangers' sections that are only reserved. */
static int32_t measure(struct platform_segment *segment)
{
    void *view = MapViewOfFile(segment->mapping, FILE_MAP_READ, 0, 0, 0);
    if (view == NULL)
        return win32_status(GetLastError());
    MEMORY_BASIC_INFORMATION region = {.State = MEM_FREE};
    VirtualQuery(view, &region, sizeof region);
    UnmapViewOfFile(view);
    if (region.State != MEM_COMMIT)
        return MAPRING_NOT_A_RING;
    segment->size = region.RegionSize;
    return MAPRING_OK;
}

/* A new section, of the file if there is one. `size` 0: that of the file; `name` NULL: none. */
static int32_t create_section(struct platform_segment *segment, DWORD protection, uint64_t size, const wchar_t *name)
{
    struct win32_access access;
    int32_t status = win32_access_of_mode(WIN32_OWNER_ALONE, &access);
    if (status < 0)
        return status;
    HANDLE file = segment->file != NULL ? segment->file : INVALID_HANDLE_VALUE;
    segment->mapping = CreateFileMappingW(file, &access.attributes, protection, (DWORD)(size >> 32), (DWORD)size, name);
    DWORD error = GetLastError();
    if (segment->mapping == NULL)
        return win32_status(error);
    return name != NULL && error == ERROR_ALREADY_EXISTS ? MAPRING_EXISTS : measure(segment);
}

static int32_t open_section(struct platform_segment *segment, enum platform_access access, const wchar_t *name)
{
    DWORD rights = access == PLATFORM_OBSERVE ? FILE_MAP_READ : FILE_MAP_READ | FILE_MAP_WRITE;
    segment->mapping = OpenFileMappingW(rights, FALSE, name);
    return segment->mapping == NULL ? win32_status(GetLastError()) : measure(segment);
}

/* Creation. */

static int32_t create_file(struct platform_segment *segment, const char *file)
{
    wchar_t *path;
    int32_t status = wide_path(file, &path);
    if (status < 0)
        return status;
    status = open_file(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, CREATE_NEW, &segment->file);
    if (status == MAPRING_OK) {
        segment->unpublished = full_path(path);
        if (segment->unpublished == NULL) {
            CloseHandle(segment->file);
            segment->file = NULL;
            DeleteFileW(path);
            status = MAPRING_NO_MEMORY;
        }
    }
    free(path);
    return status;
}

int32_t platform_segment_create(const struct platform_target *target, uint64_t size,
                                const struct platform_extent *extents, uint32_t count, struct platform_segment **out)
{
    /* A section is committed as a whole, and so is a file that it extends. */
    (void)extents;
    (void)count;
    const char *file = target->file;
    struct platform_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    wchar_t object_name[WIN32_NAME_SIZE];
    int32_t status = win32_segment_name(target->name, object_name);
    if (status == MAPRING_OK && file != NULL)
        status = create_file(segment, file);
    if (status == MAPRING_OK)
        status = create_section(segment, PAGE_READWRITE, size, object_name);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

int32_t platform_segment_publish(struct platform_segment *segment, const struct segment_header *header)
{
    if (header != NULL)
        return MAPRING_UNSUPPORTED;
    if (segment->unpublished != NULL || segment->name[0] == 0) {
        free(segment->unpublished);
        segment->unpublished = NULL;
        return MAPRING_OK;
    }
    /* Of a file that was opened: a second section, which shows the same pages, has the name. */
    struct win32_access access;
    int32_t status = win32_access_of_mode(WIN32_OWNER_ALONE, &access);
    if (status < 0)
        return status;
    segment->named = CreateFileMappingW(segment->file, &access.attributes, PAGE_READWRITE, 0, 0, segment->name);
    DWORD error = GetLastError();
    if (segment->named == NULL)
        return win32_status(error);
    return error == ERROR_ALREADY_EXISTS ? MAPRING_EXISTS : MAPRING_OK;
}

/* Opening. */

static bool name_exists(const wchar_t *name)
{
    HANDLE mapping = OpenFileMappingW(FILE_MAP_READ, FALSE, name);
    if (mapping == NULL)
        return false;
    CloseHandle(mapping);
    return true;
}

static int32_t attach_file(struct platform_segment *segment, const wchar_t *path, const wchar_t *name)
{
    uint64_t deadline = platform_clock_ns() + BUSY_NS;
    for (;;) {
        int32_t status = open_file(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, OPEN_EXISTING, &segment->file);
        if (status == MAPRING_OK) {
            wcscpy(segment->name, name);
            return create_section(segment, PAGE_READWRITE, 0, NULL);
        }
        if (status != MAPRING_PERMISSION || GetLastError() != ERROR_SHARING_VIOLATION)
            return status;
        /* Who has it open gives it the name next, or has just given it up. */
        if (name_exists(name))
            return MAPRING_EXISTS;
        if (platform_clock_ns() >= deadline)
            return status;
        Sleep(1);
    }
}

static int32_t observe_file(struct platform_segment *segment, const wchar_t *path)
{
    int32_t status = open_file(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                               OPEN_EXISTING, &segment->file);
    return status < 0 ? status : create_section(segment, PAGE_READONLY, 0, NULL);
}

int32_t platform_segment_open(const struct platform_target *target, enum platform_access access,
                              struct platform_segment **out)
{
    const char *name = target->name, *file = target->file;
    if (target->kind != MAPRING_KIND_RING)
        return MAPRING_UNSUPPORTED;
    struct platform_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    wchar_t object_name[WIN32_NAME_SIZE];
    wchar_t *path = NULL;
    int32_t status = name == NULL ? MAPRING_OK : win32_segment_name(name, object_name);
    if (status == MAPRING_OK && file != NULL)
        status = wide_path(file, &path);
    if (status == MAPRING_OK && file == NULL)
        status = open_section(segment, access, object_name);
    else if (status == MAPRING_OK && access == PLATFORM_ATTACH)
        status = attach_file(segment, path, object_name);
    else if (status == MAPRING_OK)
        status = observe_file(segment, path);
    free(path);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

/* Closing. */

void platform_segment_close(struct platform_segment *segment)
{
    if (segment == NULL)
        return;
    for (uint32_t i = 0; i < PLATFORM_LOCKS; i++)
        platform_unlock(segment, i);
    if (segment->mapping != NULL)
        CloseHandle(segment->mapping);
    if (segment->named != NULL)
        CloseHandle(segment->named);
    if (segment->file != NULL)
        CloseHandle(segment->file);
    if (segment->unpublished != NULL)
        DeleteFileW(segment->unpublished);
    free(segment->unpublished);
    free(segment);
}

/* What a handle tells and maps. */

bool platform_segment_is_ours(const struct platform_segment *segment)
{
    (void)segment;
    return true;
}

uint64_t platform_segment_size(const struct platform_segment *segment)
{
    return segment->size;
}

uint64_t platform_segment_allocated(const struct platform_segment *segment)
{
    FILE_STANDARD_INFO info;
    if (segment->file != NULL && GetFileInformationByHandleEx(segment->file, FileStandardInfo, &info, sizeof info))
        return (uint64_t)info.AllocationSize.QuadPart;
    return segment->size;
}

int32_t platform_map(const struct platform_segment *segment, uint64_t offset, uint64_t size, bool writable,
                     void **address)
{
    if (size == 0 || offset > segment->size || size > segment->size - offset)
        return MAPRING_TRUNCATED;
    /* How much of its last page a file fills is not known here, and asking for more is refused: 0 takes what there is.
     */
    bool takes_last_page = segment->size - (offset + size) < PAGE_BYTES;
    void *view = MapViewOfFile(segment->mapping, writable ? FILE_MAP_WRITE : FILE_MAP_READ, (DWORD)(offset >> 32),
                               (DWORD)offset, takes_last_page ? 0 : (SIZE_T)size);
    if (view == NULL)
        return win32_status(GetLastError());
    *address = view;
    return MAPRING_OK;
}

void platform_unmap(void *address, uint64_t size)
{
    (void)size;
    UnmapViewOfFile(address);
}

int32_t platform_flush(const struct platform_segment *segment, void *address, uint64_t size)
{
    if (!FlushViewOfFile(address, (SIZE_T)size))
        return win32_status(GetLastError());
    if (segment->file != NULL && !FlushFileBuffers(segment->file))
        return win32_status(GetLastError());
    return MAPRING_OK;
}

/* Segments that are no ring. */

int32_t platform_segment_open_file(const struct platform_target *target, uint64_t size, struct platform_segment **out)
{
    (void)target;
    (void)size;
    (void)out;
    return MAPRING_UNSUPPORTED;
}

const struct segment_header *platform_segment_header(const struct platform_segment *segment)
{
    (void)segment;
    return NULL;
}

int32_t platform_segment_is_in_file(const struct platform_segment *segment, const char *file)
{
    (void)segment;
    (void)file;
    return MAPRING_UNSUPPORTED;
}

int32_t platform_name_kind(const struct platform_target *target)
{
    (void)target;
    return MAPRING_UNSUPPORTED;
}

int32_t platform_segment_remove(const struct platform_target *target)
{
    (void)target;
    return MAPRING_UNSUPPORTED;
}

int32_t platform_sweep(void)
{
    return 0;
}

int32_t platform_segment_export(const struct platform_segment *segment, uint32_t flags, int64_t *descriptor)
{
    (void)segment;
    (void)flags;
    (void)descriptor;
    return MAPRING_UNSUPPORTED;
}

int32_t platform_segment_import(int64_t descriptor, uint32_t flags, struct platform_segment **out)
{
    (void)descriptor;
    (void)flags;
    (void)out;
    return MAPRING_UNSUPPORTED;
}

int32_t platform_map_view(const struct platform_segment *segment, uint64_t offset, uint64_t size, uint32_t flags,
                          void *wanted, void **address)
{
    (void)segment;
    (void)offset;
    (void)size;
    (void)flags;
    (void)wanted;
    (void)address;
    return MAPRING_UNSUPPORTED;
}

uint64_t platform_large_pages(const void *address, uint64_t size)
{
    (void)address;
    (void)size;
    return 0;
}

int32_t platform_flush_view(const struct platform_segment *segment, const void *address, uint64_t size, bool wait)
{
    (void)segment;
    (void)address;
    (void)size;
    (void)wait;
    return MAPRING_UNSUPPORTED;
}
