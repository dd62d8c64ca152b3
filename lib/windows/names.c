/*
 * Waiting for a name to appear, and listing the names there are.
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

/* A function of the native interface, or NULL. Through a type without arguments, as the compiler asks for. */
static void (*native_function(const char *name))(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    return ntdll == NULL ? NULL : (void (*)(void))GetProcAddress(ntdll, name);
}

static int32_t open_folder(HANDLE *folder)
{
    open_folder_function open = (open_folder_function)native_function("NtOpenDirectoryObject");
    DWORD session;
    if (open == NULL || !ProcessIdToSessionId(GetCurrentProcessId(), &session))
        return MAPRING_UNSUPPORTED;
    wchar_t path[64];
    if (session == 0)
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

/* Other programs have names here too, and we keep our hands off what may not be ours: it is read as one reads the
 * memory of a stranger, which fails where a load would fault. */
static bool is_ring(const char *name)
{
    struct platform_segment *segment;
    if (platform_segment_open(name, NULL, PLATFORM_OBSERVE, &segment) < 0)
        return false;
    uint64_t magic = 0;
    void *address;
    if (platform_map(segment, 0, sizeof magic, false, &address) == MAPRING_OK) {
        ReadProcessMemory(GetCurrentProcess(), address, &magic, sizeof magic, NULL);
        platform_unmap(address, sizeof magic);
    }
    platform_segment_close(segment);
    return magic == IDENTITY_MAGIC;
}

static bool is_section(const struct folder_entry *entry)
{
    static const wchar_t section[] = L"Section";
    return entry->type.Length == sizeof section - sizeof section[0] &&
           memcmp(entry->type.Buffer, section, entry->type.Length) == 0;
}

/* The name of a ring that this entry stands for. */
static bool ring_name(const struct folder_entry *entry, char name[MAPRING_NAME_MAX + 1])
{
    if (!is_section(entry))
        return false;
    int length = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, entry->name.Buffer,
                                     entry->name.Length / (int)sizeof(wchar_t), name, MAPRING_NAME_MAX, NULL, NULL);
    if (length <= 0)
        return false;
    name[length] = 0;
    return strlen(name) == (size_t)length && validate_name(name) == MAPRING_OK && is_ring(name);
}

int32_t platform_segment_list(int32_t (*each)(void *context, const char *name), void *context)
{
    query_folder_function query = (query_folder_function)native_function("NtQueryDirectoryObject");
    HANDLE folder;
    int32_t status = query == NULL ? MAPRING_UNSUPPORTED : open_folder(&folder);
    if (status < 0)
        return status;
    struct folder_entry *entry = malloc(ENTRY_SIZE);
    if (entry == NULL)
        status = MAPRING_NO_MEMORY;
    ULONG place = 0;
    ULONG needed;
    while (status == MAPRING_OK && NT_SUCCESS(query(folder, entry, ENTRY_SIZE, TRUE, FALSE, &place, &needed))) {
        char name[MAPRING_NAME_MAX + 1];
        if (ring_name(entry, name))
            status = each(context, name);
    }
    free(entry);
    CloseHandle(folder);
    return status;
}
