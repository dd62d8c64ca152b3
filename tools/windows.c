#include "system.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <windows.h>

#include <shellapi.h>

static volatile LONG stop_asked;
static HANDLE main_thread;
static HANDLE main_done;
static DWORD last_error;

static char *to_utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *utf8 = malloc((size_t)(size > 0 ? size : 1));
    if (utf8 == NULL)
        exit(1);
    if (size <= 0 || WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, size, NULL, NULL) != size)
        utf8[0] = '\0';
    return utf8;
}

void system_start(int *argc, char ***argv)
{
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
    SetConsoleOutputCP(CP_UTF8);

    int count;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    if (wide == NULL)
        return;
    char **utf8 = calloc((size_t)count + 1, sizeof *utf8);
    if (utf8 == NULL)
        exit(1);
    for (int i = 0; i < count; i++)
        utf8[i] = to_utf8(wide[i]);
    LocalFree(wide);
    *argc = count;
    *argv = utf8;
}

/* Runs in a thread of its own; when it returns from some events, the process is ended. */
static BOOL WINAPI on_stop(DWORD event)
{
    (void)event;
    if (InterlockedExchange(&stop_asked, 1) != 0)
        return FALSE;
    /* Again and again: the read or write may begin only after the first. */
    do
        CancelSynchronousIo(main_thread);
    while (WaitForSingleObject(main_done, 50) == WAIT_TIMEOUT);
    return TRUE;
}

void system_catch_stop(void)
{
    HANDLE process = GetCurrentProcess();
    main_done = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (main_done == NULL ||
        !DuplicateHandle(process, GetCurrentThread(), process, &main_thread, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return;
    SetConsoleCtrlHandler(on_stop, TRUE);
}

bool system_stopped(void)
{
    return InterlockedCompareExchange(&stop_asked, 0, 0) != 0;
}

int system_finish(int status)
{
    if (main_done != NULL)
        SetEvent(main_done);
    return system_stopped() ? 1 : status;
}

int64_t system_read(void *buffer, size_t size)
{
    DWORD count = 0;
    DWORD limit = size > 1u << 30 ? 1u << 30 : (DWORD)size;
    BOOL done = ReadFile(GetStdHandle(STD_INPUT_HANDLE), buffer, limit, &count, NULL);
    last_error = done ? ERROR_SUCCESS : GetLastError();
    if (system_stopped())
        return SYSTEM_STOPPED;
    if (done || last_error == ERROR_BROKEN_PIPE || last_error == ERROR_HANDLE_EOF)
        return (int64_t)count;
    return SYSTEM_FAILED;
}

void system_await_input(void)
{
    /* A pipe cannot be waited for without reading it. */
}

/* What a pipe says whose readers are gone; the last is Wine's word. */
static bool is_closed(DWORD error)
{
    return error == ERROR_BROKEN_PIPE || error == ERROR_NO_DATA || error == ERROR_PIPE_NOT_CONNECTED;
}

static int write_all(const unsigned char *data, size_t length)
{
    HANDLE output = GetStdHandle(STD_OUTPUT_HANDLE);
    while (length > 0) {
        DWORD count = 0;
        DWORD limit = length > 1u << 20 ? 1u << 20 : (DWORD)length;
        BOOL done = WriteFile(output, data, limit, &count, NULL);
        last_error = done ? ERROR_SUCCESS : GetLastError();
        if (system_stopped())
            return SYSTEM_STOPPED;
        if (!done)
            return is_closed(last_error) ? SYSTEM_CLOSED : SYSTEM_FAILED;
        data += count;
        length -= count;
    }
    return 0;
}

int system_write(const struct system_piece *pieces, uint32_t count)
{
    int outcome = 0;
    for (uint32_t i = 0; i < count && outcome == 0; i++)
        outcome = write_all(pieces[i].data, pieces[i].length);
    return outcome;
}

bool system_output_closed(void)
{
    return false;
}

const char *system_error(void)
{
    static char text[256];
    DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, last_error, 0, text,
                                  sizeof text, NULL);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        text[--length] = '\0';
    if (length == 0)
        snprintf(text, sizeof text, "system error %lu", (unsigned long)last_error);
    return text;
}

bool system_is_terminal(enum system_stream stream)
{
    static const DWORD handles[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    DWORD mode;
    return GetConsoleMode(GetStdHandle(handles[stream]), &mode) != 0;
}

uint64_t system_clock_ns(void)
{
    LARGE_INTEGER frequency;
    LARGE_INTEGER now;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    uint64_t ticks = (uint64_t)now.QuadPart;
    uint64_t per_second = (uint64_t)frequency.QuadPart;
    return ticks / per_second * 1000000000u + ticks % per_second * 1000000000u / per_second;
}

bool system_is_path(const char *argument)
{
    return strpbrk(argument, "/\\:") != NULL;
}

bool system_file_exists(const char *path)
{
    wchar_t wide[4096];
    return MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, 4096) > 0 &&
           GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES;
}
