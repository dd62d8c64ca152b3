/*
 * Segments on Windows: named sections, backed by the paging file or by a file.
 *
 * The system itself keeps a name as long as somebody has a handle, and takes it
 * away when the last one is closed or dies; so each handle of ours keeps one. A name is taken the moment a
 * section is created: that its contents are complete is what its creator stores last.
 *
 * A ring in a file is a section of that file. A segment in a file has no byte in it that says so: its name belongs to a
 * section of its own, a control block, and the section of the file goes by a random number that is written there.
 */
#include "win32.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <mapring/mapring.h>

#include "../validate.h"

/* How long a file that somebody else has open may be without a name, and a name without its contents. */
#define BUSY_NS 100000000u
#define COMPLETION_NS 1000000000u

/* Sections. */

int32_t win32_section_look(HANDLE section, uint64_t *size, struct segment_header *header)
{
    const struct segment_header *view = MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0);
    if (view == NULL)
        return win32_status(GetLastError());
    MEMORY_BASIC_INFORMATION region = {.State = MEM_FREE};
    VirtualQuery(view, &region, sizeof region);
    int32_t status = region.State == MEM_COMMIT ? MAPRING_OK : MAPRING_NOT_A_RING;
    if (status == MAPRING_OK && header != NULL) {
        /* Pairs with the release store in write_header(): who sees the magic sees what is behind it. */
        uint64_t magic = load64_acquire(&view->magic);
        memcpy(header, view, sizeof *header);
        header->magic.word = magic;
    }
    UnmapViewOfFile(view);
    *size = region.RegionSize;
    return status;
}

/* The section that has the bytes: of the file, if there is one. `size` 0: that of the file; `name` NULL: none. */
static int32_t create_section(struct platform_segment *segment, DWORD protection, uint64_t size, const wchar_t *name)
{
    struct win32_access access;
    int32_t status = win32_access_of(segment->permissions, &access);
    if (status < 0)
        return status;
    HANDLE file = segment->file != NULL ? segment->file : INVALID_HANDLE_VALUE;
    segment->mapping = CreateFileMappingW(file, &access.attributes, protection, (DWORD)(size >> 32), (DWORD)size, name);
    DWORD error = GetLastError();
    if (segment->mapping == NULL)
        return win32_status(error);
    return name != NULL && error == ERROR_ALREADY_EXISTS ? MAPRING_EXISTS
                                                         : win32_section_look(segment->mapping, &segment->size, NULL);
}

/* In large pages, if the system gives any: it needs a privilege for that, which only the caller can switch on. */
static int32_t create_memory(struct platform_segment *segment, uint64_t size, const wchar_t *name)
{
    uint64_t large = GetLargePageMinimum();
    if ((segment->flags & MAPRING_LARGE_PAGES) != 0 && large != 0) {
        uint64_t rounded = (size + large - 1) / large * large;
        int32_t status = create_section(segment, PAGE_READWRITE | SEC_COMMIT | SEC_LARGE_PAGES, rounded, name);
        if (status == MAPRING_OK || status == MAPRING_EXISTS || status == MAPRING_WRONG_KIND)
            return status;
        if (segment->mapping != NULL)
            CloseHandle(segment->mapping);
        segment->mapping = NULL;
    }
    return create_section(segment, PAGE_READWRITE, size, name);
}

int32_t win32_section_open(const wchar_t *object_name, DWORD rights, uint32_t flags, HANDLE *section)
{
    HANDLE opened = OpenFileMappingW(rights | READ_CONTROL, FALSE, object_name);
    if (opened == NULL)
        return win32_status(GetLastError());
    if ((flags & MAPRING_OTHER_OWNERS) == 0 && !win32_is_own(opened)) {
        CloseHandle(opened);
        return MAPRING_UNTRUSTED;
    }
    *section = opened;
    return MAPRING_OK;
}

/* Creation. */

static struct platform_segment *segment_new(const struct platform_target *target)
{
    struct platform_segment *segment = calloc(1, sizeof *segment);
    if (segment != NULL) {
        segment->flags = target->flags;
        segment->permissions = target->permissions;
    }
    return segment;
}

/* Opens the file for ourselves alone, or for us to write and others to read. It is deleted again with the handle if it
 * is new and is not published. */
static int32_t open_or_create_file(struct platform_segment *segment, const wchar_t *path, DWORD rights, DWORD share,
                                   DWORD disposition)
{
    struct win32_access access;
    int32_t status = win32_access_of(segment->permissions, &access);
    if (status < 0)
        return status;
    SetLastError(0);
    status = win32_file_open(path, rights, share, disposition, &access.attributes, &segment->file);
    if (status < 0 || disposition == OPEN_EXISTING ||
        (disposition == OPEN_ALWAYS && GetLastError() == ERROR_ALREADY_EXISTS))
        return status;
    segment->unpublished = win32_full_path(path);
    if (segment->unpublished == NULL) {
        CloseHandle(segment->file);
        segment->file = NULL;
        DeleteFileW(path);
        return MAPRING_NO_MEMORY;
    }
    return MAPRING_OK;
}

static int32_t create_file(struct platform_segment *segment, const char *file)
{
    wchar_t *path;
    int32_t status = win32_wide_path(file, &path);
    if (status < 0)
        return status;
    status = open_or_create_file(segment, path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, CREATE_NEW);
    free(path);
    return status;
}

int32_t platform_segment_create(const struct platform_target *target, uint64_t size,
                                const struct platform_extent *extents, uint32_t count, struct platform_segment **out)
{
    /* A section is committed as a whole, and so is a file that it extends. */
    (void)extents;
    (void)count;
    /* Names and the paging file last no longer than the processes that use them. */
    if ((target->flags & MAPRING_PERSISTENT) != 0)
        return MAPRING_UNSUPPORTED;
    struct platform_segment *segment = segment_new(target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    wchar_t object_name[WIN32_NAME_SIZE];
    int32_t status = target->name == NULL ? MAPRING_OK : win32_object_name(target->name, object_name);
    if (status == MAPRING_OK && target->file != NULL) {
        wcscpy(segment->name, object_name);
        status = create_file(segment, target->file);
    }
    if (status == MAPRING_OK && target->file != NULL)
        status = create_section(segment, PAGE_READWRITE, size, object_name);
    else if (status == MAPRING_OK)
        status = create_memory(segment, size, target->name == NULL ? NULL : object_name);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

/* What became of opening a file that is to be a segment's alone. */
static int32_t file_status(int32_t status)
{
    if (status != MAPRING_PERMISSION)
        return status;
    DWORD error = GetLastError();
    bool in_use = error == ERROR_SHARING_VIOLATION || error == ERROR_LOCK_VIOLATION || error == ERROR_USER_MAPPED_FILE;
    return in_use ? MAPRING_BUSY : status;
}

static int32_t check_file_size(struct platform_segment *segment, uint64_t size)
{
    segment->size = win32_file_size(segment->file);
    segment->old_size = segment->size;
    if (segment->size >= size)
        return segment->size == 0 ? MAPRING_INVALID_SIZE : MAPRING_OK;
    if (segment->unpublished == NULL && (segment->flags & MAPRING_GROW_FILE) == 0)
        return MAPRING_TOO_SMALL;
    segment->new_size = size;
    return MAPRING_OK;
}

int32_t platform_segment_open_file(const struct platform_target *target, uint64_t size, struct platform_segment **out)
{
    if ((target->flags & MAPRING_PERSISTENT) != 0)
        return MAPRING_UNSUPPORTED;
    struct platform_segment *segment = segment_new(target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    bool reads_only = (target->flags & MAPRING_READ_ONLY) != 0;
    DWORD rights = reads_only ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE;
    wchar_t *path = NULL;
    int32_t status = win32_object_name(target->name, segment->name);
    if (status == MAPRING_OK)
        status = win32_wide_path(target->file, &path);
    if (status == MAPRING_OK)
        status = file_status(
            open_or_create_file(segment, path, rights, 0, size == 0 || reads_only ? OPEN_EXISTING : OPEN_ALWAYS));
    if (status == MAPRING_OK)
        status = check_file_size(segment, size);
    free(path);
    if (status < 0) {
        platform_segment_close(segment);
        return status;
    }
    *out = segment;
    return MAPRING_OK;
}

/* Publishing. */

static void write_header(struct segment_header *shared, const struct segment_header *header)
{
    const size_t behind = offsetof(struct segment_header, kind);
    memcpy((uint8_t *)shared + behind, (const uint8_t *)header + behind, sizeof *header - behind);
    /* Pairs with the load in win32_section_look(). */
    store64_release(&shared->magic, header->magic.word);
}

static int32_t publish_memory(struct platform_segment *segment, const struct segment_header *header)
{
    struct segment_header *shared = MapViewOfFile(segment->mapping, FILE_MAP_WRITE, 0, 0, sizeof *shared);
    if (shared == NULL)
        return win32_status(GetLastError());
    write_header(shared, header);
    UnmapViewOfFile(shared);
    return MAPRING_OK;
}

/* The name of the section of a segment's file. */
static void data_name(const wchar_t *object_name, const struct segment_header *header, wchar_t name[WIN32_NAME_SIZE])
{
    wchar_t use[48];
    _snwprintf(use, sizeof use / sizeof use[0], L"data-%016I64x%016I64x", header->segment_id[0], header->segment_id[1]);
    win32_companion_name(object_name, use, name);
}

static int32_t map_control(struct platform_segment *segment, HANDLE section)
{
    segment->control = MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, sizeof *segment->control);
    return segment->control == NULL ? win32_status(GetLastError()) : MAPRING_OK;
}

static int32_t publish_in_file(struct platform_segment *segment, const struct segment_header *header)
{
    struct win32_access access;
    int32_t status = win32_access_of(segment->permissions, &access);
    if (status < 0)
        return status;
    segment->named = CreateFileMappingW(INVALID_HANDLE_VALUE, &access.attributes, PAGE_READWRITE, 0,
                                        sizeof *segment->control, segment->name);
    DWORD error = GetLastError();
    if (segment->named == NULL)
        return win32_status(error);
    if (error == ERROR_ALREADY_EXISTS)
        return MAPRING_EXISTS;
    status = map_control(segment, segment->named);
    if (status == MAPRING_OK && !win32_file_identify(segment->file, &segment->control->file))
        status = MAPRING_UNSUPPORTED;
    if (status == MAPRING_OK) {
        wchar_t name[WIN32_NAME_SIZE];
        data_name(segment->name, header, name);
        DWORD protection = (segment->flags & MAPRING_READ_ONLY) != 0 ? PAGE_READONLY : PAGE_READWRITE;
        status = create_section(segment, protection, segment->new_size, name);
    }
    if (status == MAPRING_OK) {
        win32_file_hold(segment->control, segment->file);
        write_header(&segment->control->header, header);
    }
    return status;
}

/* The section beside a ring's name that says who has its file. */
static int32_t holders_name(struct platform_segment *segment, wchar_t name[WIN32_NAME_SIZE])
{
    uint64_t id[2];
    int32_t status = win32_ring_id(segment, id);
    if (status < 0)
        return status;
    wchar_t use[48];
    _snwprintf(use, sizeof use / sizeof use[0], L"file-%016I64x%016I64x", id[0], id[1]);
    win32_companion_name(segment->name, use, name);
    return MAPRING_OK;
}

static int32_t share_ring_file(struct platform_segment *segment, SECURITY_ATTRIBUTES *attributes)
{
    wchar_t name[WIN32_NAME_SIZE];
    int32_t status = holders_name(segment, name);
    if (status < 0)
        return status;
    /* It is there already if somebody of an earlier producer's time is. */
    segment->control_section =
        CreateFileMappingW(INVALID_HANDLE_VALUE, attributes, PAGE_READWRITE, 0, sizeof *segment->control, name);
    if (segment->control_section == NULL)
        return win32_status(GetLastError());
    status = map_control(segment, segment->control_section);
    if (status == MAPRING_OK && win32_file_identify(segment->file, &segment->control->file))
        win32_file_hold(segment->control, segment->file);
    return status;
}

static int32_t publish_ring_file(struct platform_segment *segment)
{
    struct win32_access access;
    int32_t status = win32_access_of(segment->permissions, &access);
    if (status < 0)
        return status;
    /* Of a file that was opened: a second section, which shows the same pages, has the name. */
    if (segment->unpublished == NULL) {
        segment->named = CreateFileMappingW(segment->file, &access.attributes, PAGE_READWRITE, 0, 0, segment->name);
        DWORD error = GetLastError();
        if (segment->named == NULL)
            return win32_status(error);
        if (error == ERROR_ALREADY_EXISTS)
            return MAPRING_EXISTS;
    }
    return share_ring_file(segment, &access.attributes);
}

void win32_ring_attached(struct platform_segment *segment)
{
    wchar_t name[WIN32_NAME_SIZE];
    if (segment->file != NULL || segment->control_section != NULL || segment->name[0] == 0 ||
        holders_name(segment, name) < 0 ||
        win32_section_open(name, FILE_MAP_READ | FILE_MAP_WRITE, segment->flags, &segment->control_section) < 0)
        return;
    if (map_control(segment, segment->control_section) == MAPRING_OK)
        segment->file = win32_file_take(segment->control);
    if (segment->file != NULL)
        win32_file_hold(segment->control, segment->file);
}

int32_t platform_segment_publish(struct platform_segment *segment, const struct segment_header *header)
{
    int32_t status = MAPRING_OK;
    if (header != NULL && segment->file != NULL)
        status = publish_in_file(segment, header);
    else if (header != NULL)
        status = publish_memory(segment, header);
    else if (segment->file != NULL)
        status = publish_ring_file(segment);
    if (status < 0)
        return status;
    if (header != NULL)
        segment->header = *header;
    segment->new_size = 0;
    free(segment->unpublished);
    segment->unpublished = NULL;
    return MAPRING_OK;
}

/* Opening rings. */

static bool name_exists(const wchar_t *name)
{
    HANDLE mapping = OpenFileMappingW(FILE_MAP_READ, FALSE, name);
    if (mapping == NULL)
        return false;
    CloseHandle(mapping);
    return true;
}

static int32_t open_ring(struct platform_segment *segment, enum platform_access access, const wchar_t *name)
{
    DWORD rights = access == PLATFORM_OBSERVE ? FILE_MAP_READ : FILE_MAP_READ | FILE_MAP_WRITE;
    wcscpy(segment->name, name);
    int32_t status = win32_section_open(name, rights, segment->flags, &segment->mapping);
    return status < 0 ? status : win32_section_look(segment->mapping, &segment->size, NULL);
}

static int32_t attach_file(struct platform_segment *segment, const wchar_t *path, const wchar_t *name)
{
    uint64_t deadline = platform_clock_ns() + BUSY_NS;
    for (;;) {
        int32_t status =
            open_or_create_file(segment, path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, OPEN_EXISTING);
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
    int32_t status = win32_file_open(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                     OPEN_EXISTING, NULL, &segment->file);
    return status < 0 ? status : create_section(segment, PAGE_READONLY, 0, NULL);
}

/* Opening segments that are no ring. */

/* Opens what has the name, and reads its header, as soon as that is complete. Its handle is closed meanwhile: else
 * those who wait would keep the name of one who died before it was. */
static int32_t open_complete(struct platform_segment *segment, const wchar_t *name, HANDLE *section)
{
    uint64_t deadline = platform_clock_ns() + COMPLETION_NS;
    DWORD rights = (segment->flags & MAPRING_READ_ONLY) != 0 ? FILE_MAP_READ : FILE_MAP_READ | FILE_MAP_WRITE;
    for (;;) {
        int32_t status = win32_section_open(name, rights, segment->flags, section);
        if (status == MAPRING_OK)
            status = win32_section_look(*section, &segment->size, &segment->header);
        if (status < 0 || segment->header.magic.word != 0)
            return status;
        if (platform_clock_ns() >= deadline)
            return MAPRING_NOT_A_RING;
        CloseHandle(*section);
        *section = NULL;
        Sleep(1);
    }
}

/* Joins those who keep others from the file, by a handle with the right to write that down. Who has no such right need
 * not: somebody else keeps the file. */
static void join_holders(struct platform_segment *segment, const wchar_t *object_name)
{
    HANDLE writable = NULL;
    if (win32_section_open(object_name, FILE_MAP_READ | FILE_MAP_WRITE, segment->flags, &writable) < 0)
        return;
    if (map_control(segment, writable) == MAPRING_OK)
        segment->file = win32_file_take(segment->control);
    if (segment->file != NULL)
        win32_file_hold(segment->control, segment->file);
    CloseHandle(writable);
}

/* The control block has been opened as the bytes. */
static int32_t open_in_file(struct platform_segment *segment, const wchar_t *object_name)
{
    segment->named = segment->mapping;
    segment->mapping = NULL;
    if (segment->size < sizeof *segment->control)
        return MAPRING_TRUNCATED;
    bool reads_only = ((segment->flags | segment->header.flags) & MAPRING_READ_ONLY) != 0;
    wchar_t name[WIN32_NAME_SIZE];
    data_name(object_name, &segment->header, name);
    int32_t status = win32_section_open(name, reads_only ? FILE_MAP_READ : FILE_MAP_READ | FILE_MAP_WRITE,
                                        segment->flags, &segment->mapping);
    if (status == MAPRING_OK)
        status = win32_section_look(segment->mapping, &segment->size, NULL);
    if (status == MAPRING_OK)
        join_holders(segment, object_name);
    return status;
}

static int32_t open_segment(struct platform_segment *segment, const struct platform_target *target,
                            const wchar_t *object_name)
{
    int32_t status = open_complete(segment, object_name, &segment->mapping);
    const struct segment_header *header = &segment->header;
    if (status < 0)
        return status;
    if (header->magic.word == IDENTITY_MAGIC && (header->kind & KIND_MASK) != target->kind)
        return MAPRING_WRONG_KIND;
    status = validate_header(header, segment->size);
    if (status == MAPRING_OK && strcmp(header->name, canonical_name(target->name)) != 0)
        status = MAPRING_WRONG_NAME;
    if (status == MAPRING_OK && (header->kind & KIND_IN_FILE) != 0)
        status = open_in_file(segment, object_name);
    return status;
}

int32_t platform_segment_open(const struct platform_target *target, enum platform_access access,
                              struct platform_segment **out)
{
    struct platform_segment *segment = segment_new(target);
    if (segment == NULL)
        return MAPRING_NO_MEMORY;
    wchar_t object_name[WIN32_NAME_SIZE];
    wchar_t *path = NULL;
    int32_t status = target->name == NULL ? MAPRING_OK : win32_object_name(target->name, object_name);
    if (status == MAPRING_OK && target->file != NULL)
        status = win32_wide_path(target->file, &path);
    if (status == MAPRING_OK && target->kind != MAPRING_KIND_RING)
        status = open_segment(segment, target, object_name);
    else if (status == MAPRING_OK && target->file == NULL)
        status = open_ring(segment, access, object_name);
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

/* Of a file that was made larger and did not get its name. */
static void shrink_back(const struct platform_segment *segment)
{
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)segment->old_size};
    SetFileInformationByHandle(segment->file, FileEndOfFileInfo, &end, sizeof end);
}

void platform_segment_close(struct platform_segment *segment)
{
    if (segment == NULL)
        return;
    for (uint32_t i = 0; i < PLATFORM_LOCKS; i++)
        platform_unlock(segment, i);
    if (segment->control != NULL) {
        if (segment->file != NULL)
            win32_file_leave(segment->control, segment->file);
        UnmapViewOfFile(segment->control);
    }
    if (segment->control_section != NULL)
        CloseHandle(segment->control_section);
    if (segment->mapping != NULL)
        CloseHandle(segment->mapping);
    if (segment->file != NULL) {
        if (segment->new_size != 0)
            shrink_back(segment);
        CloseHandle(segment->file);
    }
    if (segment->named != NULL)
        CloseHandle(segment->named);
    if (segment->unpublished != NULL)
        DeleteFileW(segment->unpublished);
    free(segment->unpublished);
    free(segment);
}

/* What a handle tells. */

bool platform_segment_is_ours(const struct platform_segment *segment)
{
    (void)segment;
    return true;
}

const struct segment_header *platform_segment_header(const struct platform_segment *segment)
{
    return &segment->header;
}

uint64_t platform_segment_size(const struct platform_segment *segment)
{
    /* Of a segment in a file, which says nothing of its size itself, the exact one. */
    bool exact = segment->control != NULL || segment->name[0] != 0;
    return exact && segment->file != NULL ? win32_file_size(segment->file) : segment->size;
}

uint64_t platform_segment_allocated(const struct platform_segment *segment)
{
    FILE_STANDARD_INFO info;
    if (segment->file != NULL && GetFileInformationByHandleEx(segment->file, FileStandardInfo, &info, sizeof info))
        return (uint64_t)info.AllocationSize.QuadPart;
    return segment->size;
}

int32_t platform_segment_is_in_file(const struct platform_segment *segment, const char *file)
{
    if (segment->control == NULL)
        return 0;
    wchar_t *path;
    int32_t status = win32_wide_path(file, &path);
    if (status < 0)
        return status;
    /* Without any right to its contents it can be opened though it is closed to others. */
    HANDLE other = NULL;
    FILE_ID_INFO wanted = segment->control->file, found;
    status = win32_file_open(path, FILE_READ_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                             OPEN_EXISTING, NULL, &other);
    free(path);
    if (status < 0)
        return status == MAPRING_NOT_FOUND ? 0 : status;
    bool same = win32_file_identify(other, &found) && memcmp(&found, &wanted, sizeof found) == 0;
    CloseHandle(other);
    return same;
}
