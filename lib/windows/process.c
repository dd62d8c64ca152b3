/*
 * Who a process is, and which start of the machine this is.
 */
#include "win32.h"

#include <stdlib.h>
#include <winternl.h>

/* Locks are handles here, which no other process keeps: they need no second opinion. */
void platform_process_self(struct platform_process *self)
{
    *self = (struct platform_process){.pid = GetCurrentProcessId()};
}

bool platform_process_gone(const struct platform_process *process)
{
    (void)process;
    return false;
}

/* The process that the kernel's own threads belong to is made at the start, with a number that never changes. */
#define SYSTEM_PROCESS_ID 4u

#define LIST_SIZE ((ULONG)256 << 10)
#define LIST_GROWTHS 10
#define LIST_TOO_SMALL ((NTSTATUS)0xc0000004) /* STATUS_INFO_LENGTH_MISMATCH */

typedef NTSTATUS(NTAPI *query_system_function)(ULONG, void *, ULONG, ULONG *);

/* The system's list of processes, which the caller frees, or NULL. */
static SYSTEM_PROCESS_INFORMATION *list_processes(void)
{
    query_system_function query = (query_system_function)win32_native_function("NtQuerySystemInformation");
    ULONG size = LIST_SIZE;
    for (int i = 0; query != NULL && i < LIST_GROWTHS; i++, size *= 2) {
        void *list = malloc(size);
        ULONG needed;
        NTSTATUS status = list == NULL ? LIST_TOO_SMALL : query(SystemProcessInformation, list, size, &needed);
        if (NT_SUCCESS(status))
            return list;
        free(list);
        if (list == NULL || status != LIST_TOO_SMALL)
            break;
    }
    return NULL;
}

/* When the kernel started, by the clock of that time: setting the clock does not change it. 0 if unknown. */
static uint64_t kernel_start(void)
{
    SYSTEM_PROCESS_INFORMATION *list = list_processes();
    uint64_t start = 0;
    for (const SYSTEM_PROCESS_INFORMATION *process = list; process != NULL;) {
        if ((uintptr_t)process->UniqueProcessId == SYSTEM_PROCESS_ID)
            start = (uint64_t)process->CreateTime.QuadPart;
        process = process->NextEntryOffset == 0
                      ? NULL
                      : (const SYSTEM_PROCESS_INFORMATION *)((const char *)process + process->NextEntryOffset);
    }
    free(list);
    return start;
}

/* Windows counts its starts, on most machines. */
static DWORD count_of_starts(void)
{
    DWORD count = 0, size = sizeof count;
    RegGetValueW(HKEY_LOCAL_MACHINE,
                 L"SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Memory Management\\PrefetchParameters",
                 L"BootId", RRF_RT_REG_DWORD, NULL, &count, &size);
    return count;
}

/* Either of the two may be missing, or the count stand still: a change in one is another start. */
void platform_boot_id(uint64_t id[2])
{
    id[0] = kernel_start();
    id[1] = count_of_starts();
}
