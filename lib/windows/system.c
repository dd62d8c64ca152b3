/*
 * Clocks, fences across processes, random words; names, errors and native functions of the system.
 */
#include "win32.h"

#include <bcrypt.h>
#include <stdio.h>
#include <wchar.h>

#include <mapring/mapring.h>

#include "../validate.h"

#define SESSION_PREFIX L"Local\\"
#define MACHINE_PREFIX L"Global\\"

int32_t win32_status(DWORD error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_DRIVE:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
        return MAPRING_NOT_FOUND;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS:
        return MAPRING_EXISTS;
    case ERROR_INVALID_HANDLE: /* a name that belongs to an object of another type */
        return MAPRING_WRONG_KIND;
    case ERROR_FILE_INVALID: /* an empty file */
    case ERROR_DIRECTORY:
        return MAPRING_NOT_A_RING;
    case ERROR_ACCESS_DENIED:
    case ERROR_WRITE_PROTECT:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_USER_MAPPED_FILE:
    case ERROR_DELETE_PENDING:
    case ERROR_PRIVILEGE_NOT_HELD:
        return MAPRING_PERMISSION;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
    case ERROR_FILE_TOO_LARGE:
        return MAPRING_NO_SPACE;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_COMMITMENT_MINIMUM:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_NOT_ENOUGH_QUOTA:
        return MAPRING_NO_MEMORY;
    case ERROR_TOO_MANY_OPEN_FILES:
        return MAPRING_NO_DESCRIPTORS;
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_FILENAME_EXCED_RANGE:
        return MAPRING_INVALID_NAME;
    case ERROR_INVALID_FUNCTION:
    case ERROR_NOT_SUPPORTED:
    case ERROR_CALL_NOT_IMPLEMENTED:
        return MAPRING_UNSUPPORTED;
    default:
        return MAPRING_SYSTEM_ERROR;
    }
}

int32_t win32_object_name(const char *name, wchar_t object_name[WIN32_NAME_SIZE])
{
    bool global;
    const char *plain = plain_name(name, &global);
    const wchar_t *prefix = global ? MACHINE_PREFIX : SESSION_PREFIX;
    const int length = (int)wcslen(prefix);
    wmemcpy(object_name, prefix, (size_t)length);
    int written =
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, plain, -1, object_name + length, WIN32_NAME_SIZE - length);
    return written > 0 ? MAPRING_OK : MAPRING_INVALID_NAME;
}

const wchar_t *win32_plain_name(const wchar_t *object_name)
{
    return wcschr(object_name, L'\\') + 1;
}

void win32_companion_name(const wchar_t *object_name, const wchar_t *use, wchar_t name[WIN32_NAME_SIZE])
{
    _snwprintf(name, WIN32_NAME_SIZE, L"%.*ls.mapring-%ls", (int)(win32_plain_name(object_name) - object_name),
               object_name, use);
    name[WIN32_NAME_SIZE - 1] = 0;
}

void win32_ring_name(const uint64_t ring_id[2], const wchar_t *use, uint32_t number,
                     wchar_t object_name[WIN32_NAME_SIZE])
{
    _snwprintf(object_name, WIN32_NAME_SIZE, MACHINE_PREFIX L".mapring-%016I64x%016I64x-%ls-%u", ring_id[0], ring_id[1],
               use, number);
    object_name[WIN32_NAME_SIZE - 1] = 0;
}

/* Through a type without arguments, as the compiler asks for. */
void (*win32_native_function(const char *name))(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    return ntdll == NULL ? NULL : (void (*)(void))GetProcAddress(ntdll, name);
}

uint64_t platform_clock_ns(void)
{
    LARGE_INTEGER frequency, counter;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&counter);
    uint64_t per_second = (uint64_t)frequency.QuadPart;
    uint64_t ticks = (uint64_t)counter.QuadPart;
    /* In two parts, so that the product stays within 64 bits. */
    return ticks / per_second * 1000000000u + ticks % per_second * 1000000000u / per_second;
}

uint64_t platform_time_ns(void)
{
    /* In units of 100 ns, since 1601. */
    const uint64_t unix_epoch = 116444736000000000u;
    FILETIME now;
    GetSystemTimePreciseAsFileTime(&now);
    return (((uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime) - unix_epoch) * 100;
}

DWORD win32_milliseconds_until(uint64_t deadline_ns)
{
    uint64_t now = platform_clock_ns();
    uint64_t left_ms = now < deadline_ns ? (deadline_ns - now - 1) / 1000000u + 1 : 0;
    return left_ms < INFINITE ? (DWORD)left_ms : INFINITE - 1;
}

#define SLEEP_MAX_MS 60000u

void platform_sleep(uint64_t ns)
{
    uint64_t ms = ns / 1000000u;
    Sleep(ms == 0 ? 1 : ms < SLEEP_MAX_MS ? (DWORD)ms : SLEEP_MAX_MS);
}

/* FlushProcessWriteBuffers() reaches the threads of this process alone. */
bool platform_heavy_fence_register(void)
{
    return false;
}

bool platform_heavy_fence(void)
{
    fence_full();
    return false;
}

int32_t platform_random(uint64_t words[2])
{
    NTSTATUS status = BCryptGenRandom(NULL, (UCHAR *)words, 2 * sizeof words[0], BCRYPT_USE_SYSTEM_PREFERRED_RNG);
    return BCRYPT_SUCCESS(status) ? MAPRING_OK : MAPRING_SYSTEM_ERROR;
}
