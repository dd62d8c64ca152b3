/*
 * What names there are, and what they belong to.
 */
#include "win32.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <winternl.h>

#include <mapring/mapring.h>

#include "../validate.h"

#define AWAIT_NS 10000000u

/* The system tells nobody of new names, so the caller looks again after a moment. */
void platform_segment_await(const char *name, uint64_t deadline_ns)
{
    (void)name;
    uint64_t now = platform_clock_ns();
    if (now >= deadline_ns)
        return;
    uint64_t left = deadline_ns - now < AWAIT_NS ? deadline_ns - now : AWAIT_NS;
    Sleep((DWORD)((left + 999999) / 1000000u));
}

/* Names are entries of the session's folder of objects, which only the native interface reads. */

#define FOLDER_QUERY 0x0001u

struct folder_entry {
    UNICODE_STRING name;
    UNICODE_STRING type;
};

/* An entry, and two strings of the greatest length. */
#define ENTRY_SIZE (sizeof(struct folder_entry) + 2 * 65536)

typedef NTSTATUS(NTAPI *open_folder_function)(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *);
typedef NTSTATUS(NTAPI *query_folder_function)(HANDLE, void *, ULONG, BOOLEAN, BOOLEAN, ULONG *, ULONG *);

static int32_t open_folder(bool global, HANDLE *folder)
{
    open_folder_function open = (open_folder_function)win32_native_function("NtOpenDirectoryObject");
    DWORD session;
    if (open == NULL || !ProcessIdToSessionId(GetCurrentProcessId(), &session))
        return MAPRING_UNSUPPORTED;
    /* In session 0 the names of the session are those of the machine. */
    if (global && session == 0)
        return MAPRING_NOT_FOUND;
    wchar_t path[64];
    if (global || session == 0)
        wcscpy(path, L"\\BaseNamedObjects");
    else
        _snwprintf(path, sizeof path / sizeof path[0], L"\\Sessions\\%lu\\BaseNamedObjects", session);
    UNICODE_STRING string = {
        .Length = (USHORT)(wcslen(path) * sizeof path[0]),
        .MaximumLength = sizeof path,
        .Buffer = path,
    };
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &string, 0, NULL, NULL);
    return NT_SUCCESS(open(folder, FOLDER_QUERY, &attributes)) ? MAPRING_OK : MAPRING_UNSUPPORTED;
}

/* Of the longest name, with its prefix and the zero at the end. */
#define NAME_BYTES (MAPRING_NAME_MAX + 8)

/* Names that a ring could have, one behind the other. */
struct name_list {
    char *names;
    size_t size;
    size_t used;
    uint64_t sum; /* of all that was read, to see whether the folder changed */
};

static int32_t add_name(struct name_list *list, const char *name)
{
    size_t bytes = strlen(name) + 1;
    if (bytes > list->size - list->used) {
        size_t size = 2 * list->size + bytes;
        char *names = realloc(list->names, size);
        if (names == NULL)
            return MAPRING_NO_MEMORY;
        list->names = names;
        list->size = size;
    }
    memcpy(list->names + list->used, name, bytes);
    list->used += bytes;
    return MAPRING_OK;
}

static bool is_section(const struct folder_entry *entry)
{
    static const wchar_t section[] = L"Section";
    return entry->type.Length == sizeof section - sizeof section[0] &&
           memcmp(entry->type.Buffer, section, entry->type.Length) == 0;
}

#define GLOBAL_PREFIX "Global\\"

/* With the prefix in front if it is of the machine. */
static bool utf8_name(const struct folder_entry *entry, bool global, char name[NAME_BYTES])
{
    strcpy(name, global ? GLOBAL_PREFIX : "");
    char *plain = name + strlen(name);
    int length = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, entry->name.Buffer,
                                     entry->name.Length / (int)sizeof(wchar_t), plain, MAPRING_NAME_MAX, NULL, NULL);
    if (length <= 0)
        return false;
    plain[length] = 0;
    return strlen(plain) == (size_t)length && strchr(plain, '\\') == NULL && validate_name(name) == MAPRING_OK;
}

/* FNV-1a. */
static uint64_t add_to_sum(uint64_t sum, const UNICODE_STRING *string)
{
    for (size_t i = 0; i < string->Length / sizeof string->Buffer[0]; i++)
        sum = (sum ^ string->Buffer[i]) * 0x100000001b3u;
    return (sum ^ 0xffff) * 0x100000001b3u;
}

static int32_t read_folder(HANDLE folder, bool global, query_folder_function query, struct folder_entry *entry,
                           struct name_list *list)
{
    int32_t status = MAPRING_OK;
    list->used = 0;
    list->sum = 0;
    ULONG place = 0;
    ULONG needed;
    while (status == MAPRING_OK && NT_SUCCESS(query(folder, entry, ENTRY_SIZE, TRUE, FALSE, &place, &needed))) {
        char name[NAME_BYTES];
        list->sum = add_to_sum(list->sum, &entry->name);
        if (is_section(entry) && utf8_name(entry, global, name))
            status = add_name(list, name);
    }
    return status;
}

/* The system counts entries, so one that goes makes the reader miss another: who reads the same twice has missed none.
 * In a folder that never rests the last reading has to do. */
#define READINGS 20

static int32_t read_names(bool global, struct name_list *list)
{
    query_folder_function query = (query_folder_function)win32_native_function("NtQueryDirectoryObject");
    HANDLE folder;
    int32_t status = query == NULL ? MAPRING_UNSUPPORTED : open_folder(global, &folder);
    if (status < 0)
        return status;
    struct folder_entry *entry = malloc(ENTRY_SIZE);
    status = entry == NULL ? MAPRING_NO_MEMORY : read_folder(folder, global, query, entry, list);
    bool changed = true;
    for (int i = 1; i < READINGS && status == MAPRING_OK && changed; i++) {
        uint64_t sum = list->sum;
        status = read_folder(folder, global, query, entry, list);
        changed = list->sum != sum;
    }
    free(entry);
    CloseHandle(folder);
    return status;
}

/* Other programs have names here too, and we keep our hands off what may not be ours: it is read as one reads the
 * memory of a stranger, which fails where a load would fault. */
static bool is_ring(const char *name)
{
    struct platform_target target = {.name = name, .kind = MAPRING_KIND_RING};
    struct platform_segment *segment;
    if (platform_segment_open(&target, PLATFORM_OBSERVE, &segment) < 0)
        return false;
    struct {
        uint64_t magic;
        uint32_t kind;
    } start = {0};
    void *address;
    if (platform_map(segment, 0, sizeof start, false, &address) == MAPRING_OK) {
        ReadProcessMemory(GetCurrentProcess(), address, &start, sizeof start, NULL);
        platform_unmap(address, sizeof start);
    }
    platform_segment_close(segment);
    return start.magic == IDENTITY_MAGIC && start.kind == MAPRING_KIND_RING;
}

static int32_t list_folder(bool global, int32_t (*each)(void *context, const char *name), void *context)
{
    struct name_list list = {.names = NULL};
    int32_t status = read_names(global, &list);
    for (size_t i = 0; i < list.used && status == MAPRING_OK; i += strlen(list.names + i) + 1)
        if (is_ring(list.names + i))
            status = each(context, list.names + i);
    free(list.names);
    return status;
}

int32_t platform_segment_list(int32_t (*each)(void *context, const char *name), void *context)
{
    int32_t status = list_folder(false, each, context);
    if (status == MAPRING_OK)
        status = list_folder(true, each, context);
    return status == MAPRING_NOT_FOUND ? MAPRING_OK : status;
}

/* What a name belongs to. */

/* How long to look at a name whose contents are not there yet. */
#define LOOKS 10

static int32_t section_kind(const wchar_t *name, uint32_t flags)
{
    struct segment_header header = {.magic = {0}};
    uint64_t size = 0;
    int32_t status = MAPRING_OK;
    for (int look = 0; look < LOOKS && header.magic.word == 0 && status == MAPRING_OK; look++) {
        HANDLE section;
        if (look > 0)
            Sleep(1);
        status = win32_section_open(name, FILE_MAP_READ, flags, &section);
        if (status < 0)
            return status == MAPRING_WRONG_KIND ? MAPRING_NOT_A_RING : status;
        status = win32_section_look(section, &size, &header);
        CloseHandle(section);
    }
    if (status < 0)
        return status;
    if (header.magic.word != IDENTITY_MAGIC)
        return MAPRING_NOT_A_RING;
    if (header.format_version != MAPRING_FORMAT_VERSION)
        return MAPRING_WRONG_VERSION;
    if (header.kind == MAPRING_KIND_RING)
        return MAPRING_KIND_RING;
    status = validate_header(&header, size);
    return status < 0 ? status : (int32_t)(header.kind & KIND_MASK);
}

typedef HANDLE(WINAPI *open_function)(DWORD, BOOL, const wchar_t *);

int32_t platform_name_kind(const struct platform_target *target)
{
    const struct {
        int32_t kind;
        open_function open;
    } natives[] = {
        {MAPRING_KIND_EVENT, OpenEventW},
        {MAPRING_KIND_SEMAPHORE, OpenSemaphoreW},
        {MAPRING_KIND_MUTEX, OpenMutexW},
    };
    wchar_t name[WIN32_NAME_SIZE];
    int32_t status = win32_object_name(target->name, name);
    if (status < 0)
        return status;
    for (size_t i = 0; i < sizeof natives / sizeof natives[0]; i++) {
        HANDLE object = natives[i].open(READ_CONTROL, FALSE, name);
        if (object != NULL) {
            bool allowed = (target->flags & MAPRING_OTHER_OWNERS) != 0 || win32_is_own(object);
            CloseHandle(object);
            return allowed ? natives[i].kind : MAPRING_UNTRUSTED;
        }
        /* It is another kind's: then the next one knows. */
        if (GetLastError() != ERROR_INVALID_HANDLE)
            return win32_status(GetLastError());
    }
    return section_kind(name, target->flags);
}

/* There is no persistence to end: who has it open keeps it. */
int32_t platform_segment_remove(const struct platform_target *target)
{
    struct platform_target to_look = *target;
    to_look.flags |= MAPRING_READ_ONLY;
    struct platform_segment *segment;
    int32_t status = platform_segment_open(&to_look, PLATFORM_ATTACH, &segment);
    if (status < 0)
        return status;
    platform_segment_close(segment);
    return 1;
}

/* Nobody dies here and leaves a name. */
int32_t platform_sweep(void)
{
    return 0;
}
