#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static HANDLE children_job;
static unsigned passed, failed;
static unsigned failed_checks;

bool check(bool condition, const char *text, const char *file, int line)
{
    if (!condition) {
        failed_checks++;
        printf("%s:%d: not so: %s\n", file, line, text);
        fflush(stdout);
    }
    return condition;
}

bool check_is(int64_t number, int64_t wanted, const char *text, const char *file, int line)
{
    if (number != wanted) {
        failed_checks++;
        printf("%s:%d: %s is %lld, not %lld\n", file, line, text, (long long)number, (long long)wanted);
        fflush(stdout);
    }
    return number == wanted;
}

static DWORD WINAPI watch(void *milliseconds)
{
    Sleep((DWORD)(uintptr_t)milliseconds);
    printf("time is up\n");
    fflush(stdout);
    /* The job closes with us, and ends the children. */
    TerminateProcess(GetCurrentProcess(), 1);
    return 0;
}

void start_tests(unsigned seconds)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    };
    children_job = CreateJobObjectW(NULL, NULL);
    HANDLE watcher = CreateThread(NULL, 0, watch, (void *)(uintptr_t)(seconds * 1000u), 0, NULL);
    if (children_job == NULL || watcher == NULL ||
        !SetInformationJobObject(children_job, JobObjectExtendedLimitInformation, &limits, sizeof limits)) {
        printf("the tests cannot be bounded: error %lu\n", GetLastError());
        exit(1);
    }
    CloseHandle(watcher);
}

void run_test(const char *name, void (*test)(void))
{
    unsigned before = failed_checks;
    ULONGLONG start = GetTickCount64();
    test();
    bool good = failed_checks == before;
    *(good ? &passed : &failed) += 1;
    printf("%s: %s (%lu ms)\n", good ? "passed" : "FAILED", name, (unsigned long)(GetTickCount64() - start));
    fflush(stdout);
}

int finish_tests(void)
{
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}

void unique_name(char name[NAME_SIZE], const char *use)
{
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    snprintf(name, NAME_SIZE, "test-%lu-%llx-%s", GetCurrentProcessId(), (unsigned long long)now.QuadPart, use);
}

void unique_path(char path[PATH_SIZE], const char *use)
{
    char folder[MAX_PATH + 1];
    char name[NAME_SIZE];
    if (GetTempPathA(sizeof folder, folder) == 0)
        strcpy(folder, ".\\");
    unique_name(name, use);
    snprintf(path, PATH_SIZE, "%smapring-%s", folder, name);
}

/* Handles are multiples of 4, the lowest that is free. */
#define HANDLES_MAX 4096

static unsigned look_for_handles(void)
{
    unsigned count = 0;
    for (uintptr_t handle = 4; handle < 4 * HANDLES_MAX; handle += 4) {
        DWORD flags;
        count += GetHandleInformation((HANDLE)handle, &flags) != 0;
    }
    return count;
}

unsigned count_handles(void)
{
    unsigned count = look_for_handles();
    /* A count that does not see a new handle would see no leak. */
    HANDLE one_more = CreateEventW(NULL, FALSE, FALSE, NULL);
    CHECK_IS(look_for_handles(), count + 1);
    CloseHandle(one_more);
    return count;
}

/* Children. */

static _Noreturn void stop(const char *what)
{
    printf("%s: error %lu\n", what, GetLastError());
    fflush(stdout);
    exit(1);
}

static struct child start(const char *program, const char *const *arguments, bool with_errors)
{
    char self[MAX_PATH];
    if (program == NULL) {
        GetModuleFileNameA(NULL, self, sizeof self);
        program = self;
    }
    char line[4096];
    size_t used = (size_t)snprintf(line, sizeof line, "\"%s\"", program);
    for (; *arguments != NULL && used < sizeof line; arguments++)
        used += (size_t)snprintf(line + used, sizeof line - used, " %s", *arguments);
    if (used >= sizeof line)
        stop("a command line is too long");

    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    struct child child;
    HANDLE its_input, its_output;
    if (!CreatePipe(&its_input, &child.input, &inherited, 0) || !CreatePipe(&child.output, &its_output, &inherited, 0))
        stop("CreatePipe");
    SetHandleInformation(child.input, HANDLE_FLAG_INHERIT, 0);
    SetHandleInformation(child.output, HANDLE_FLAG_INHERIT, 0);
    STARTUPINFOA startup = {
        .cb = sizeof startup,
        .dwFlags = STARTF_USESTDHANDLES,
        .hStdInput = its_input,
        .hStdOutput = its_output,
        .hStdError = with_errors ? its_output : GetStdHandle(STD_ERROR_HANDLE),
    };
    PROCESS_INFORMATION information;
    if (!CreateProcessA(program, line, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL, &startup, &information))
        stop(program);
    if (!AssignProcessToJobObject(children_job, information.hProcess)) {
        TerminateProcess(information.hProcess, 1);
        stop("AssignProcessToJobObject");
    }
    ResumeThread(information.hThread);
    CloseHandle(information.hThread);
    CloseHandle(its_input);
    CloseHandle(its_output);
    child.process = information.hProcess;
    return child;
}

struct child start_child(const char *program, const char *const *arguments)
{
    return start(program, arguments, false);
}

struct child start_child_with_errors(const char *program, const char *const *arguments)
{
    return start(program, arguments, true);
}

size_t read_child(struct child *child, void *buffer, size_t size)
{
    size_t used = 0;
    DWORD got;
    while (used < size && ReadFile(child->output, (char *)buffer + used, (DWORD)(size - used), &got, NULL) && got > 0)
        used += got;
    return used;
}

void read_line(struct child *child, char line[LINE_SIZE])
{
    size_t used = 0;
    char byte;
    while (used < LINE_SIZE - 1 && read_child(child, &byte, 1) == 1 && byte != '\n')
        if (byte != '\r')
            line[used++] = byte;
    line[used] = 0;
}

bool expect_line(struct child *child, const char *wanted)
{
    char line[LINE_SIZE];
    read_line(child, line);
    if (strcmp(line, wanted) == 0)
        return true;
    failed_checks++;
    printf("a child said '%s', not '%s'\n", line, wanted);
    fflush(stdout);
    return false;
}

static bool write_all(HANDLE to, const void *bytes, size_t size)
{
    DWORD written;
    while (size > 0) {
        if (!WriteFile(to, bytes, (DWORD)size, &written, NULL))
            return false;
        bytes = (const char *)bytes + written;
        size -= written;
    }
    return true;
}

bool write_child(struct child *child, const void *bytes, size_t size)
{
    return write_all(child->input, bytes, size);
}

struct feeding {
    HANDLE to;
    const void *bytes;
    size_t size;
};

static DWORD WINAPI feed(void *context)
{
    struct feeding *feeding = context;
    write_all(feeding->to, feeding->bytes, feeding->size);
    CloseHandle(feeding->to);
    free(feeding);
    return 0;
}

void feed_child(struct child *child, const void *bytes, size_t size)
{
    struct feeding *feeding = malloc(sizeof *feeding);
    if (feeding == NULL)
        stop("malloc");
    *feeding = (struct feeding){child->input, bytes, size};
    child->input = NULL;
    HANDLE thread = CreateThread(NULL, 0, feed, feeding, 0, NULL);
    if (thread == NULL)
        stop("CreateThread");
    CloseHandle(thread);
}

void close_input(struct child *child)
{
    if (child->input != NULL)
        CloseHandle(child->input);
    child->input = NULL;
}

void kill_child(struct child *child)
{
    TerminateProcess(child->process, 99);
    WaitForSingleObject(child->process, INFINITE);
}

uint32_t end_child(struct child *child)
{
    close_input(child);
    WaitForSingleObject(child->process, INFINITE);
    DWORD code = 1;
    GetExitCodeProcess(child->process, &code);
    CloseHandle(child->process);
    CloseHandle(child->output);
    return code;
}

void tell(const char *line)
{
    puts(line);
    fflush(stdout);
}

void await_parent(void)
{
    int byte;
    do
        byte = getchar();
    while (byte != EOF && byte != '\n');
}
