/*
 * Disk files behind segments: paths, opening them for ourselves alone, and
 * passing the handle on.
 *
 * A file is closed to others as long as somebody has a handle of it that shares nothing. But nobody else can open
 * it then, a process of ours included: so who finds a segment by its name gets its handle of the file from one of the
 * holders, who are written down in the segment's control block. The last of them gives the file free.
 */
#include "win32.h"

#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

/* Paths. */

int32_t win32_wide_path(const char *path, wchar_t **out)
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

wchar_t *win32_full_path(const wchar_t *path)
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

/* Opening. */

int32_t win32_file_open(const wchar_t *path, DWORD rights, DWORD share, DWORD disposition,
                        SECURITY_ATTRIBUTES *attributes, HANDLE *out)
{
    HANDLE file = CreateFileW(path, rights, share, attributes, disposition, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        DWORD error = GetLastError();
        DWORD found = error == ERROR_ACCESS_DENIED ? GetFileAttributesW(path) : INVALID_FILE_ATTRIBUTES;
        if (found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY) != 0)
            return MAPRING_NOT_A_RING;
        SetLastError(error);
        return error == ERROR_INVALID_HANDLE ? MAPRING_NOT_A_RING : win32_status(error); /* a device */
    }
    if (GetFileType(file) != FILE_TYPE_DISK) {
        CloseHandle(file);
        return MAPRING_NOT_A_RING;
    }
    *out = file;
    return MAPRING_OK;
}

uint64_t win32_file_size(HANDLE file)
{
    LARGE_INTEGER size;
    return GetFileSizeEx(file, &size) ? (uint64_t)size.QuadPart : 0;
}

/* Passing on. */

bool win32_file_identify(HANDLE file, FILE_ID_INFO *id)
{
    memset(id, 0, sizeof *id);
    return GetFileType(file) == FILE_TYPE_DISK && GetFileInformationByHandleEx(file, FileIdInfo, id, sizeof *id);
}

static uint64_t holder_word(HANDLE file)
{
    return (uint64_t)(uintptr_t)file << 32 | GetCurrentProcessId();
}

void win32_file_hold(struct win32_control *control, HANDLE file)
{
    for (uint32_t i = 0; i < WIN32_FILE_HOLDERS; i++)
        if (compare_and_swap64(&control->holders[i], 0, holder_word(file)))
            return;
}

void win32_file_leave(struct win32_control *control, HANDLE file)
{
    for (uint32_t i = 0; i < WIN32_FILE_HOLDERS; i++)
        if (compare_and_swap64(&control->holders[i], holder_word(file), 0))
            return;
}

/* A number of a process or of a handle can be somebody else's by now: so what was got must be that file. */
static HANDLE take_from(HANDLE process, uint64_t word, const FILE_ID_INFO *wanted)
{
    HANDLE file;
    if (!DuplicateHandle(process, (HANDLE)(uintptr_t)(word >> 32), GetCurrentProcess(), &file, 0, FALSE,
                         DUPLICATE_SAME_ACCESS))
        return NULL;
    FILE_ID_INFO found;
    if (win32_file_identify(file, &found) && memcmp(&found, wanted, sizeof found) == 0)
        return file;
    CloseHandle(file);
    return NULL;
}

HANDLE win32_file_take(struct win32_control *control)
{
    FILE_ID_INFO wanted = control->file;
    HANDLE file = NULL;
    for (uint32_t i = 0; i < WIN32_FILE_HOLDERS && file == NULL; i++) {
        uint64_t word = load64_relaxed(&control->holders[i]);
        HANDLE process = word == 0 ? NULL : OpenProcess(PROCESS_DUP_HANDLE, FALSE, (DWORD)word);
        if (process != NULL) {
            file = take_from(process, word, &wanted);
            CloseHandle(process);
        } else if (word != 0 && GetLastError() == ERROR_INVALID_PARAMETER) {
            /* There is no such process: it died without leaving. */
            compare_and_swap64(&control->holders[i], word, 0);
        }
    }
    return file;
}
