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

uint32_t platform_process_number(void)
{
    return GetCurrentProcessId();
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

/* When the kernel started, by the clock of that time: setting the clock does not change it. 0 if it is not in the list.
 */
static uint64_t kernel_start(const SYSTEM_PROCESS_INFORMATION *list)
{
    for (const SYSTEM_PROCESS_INFORMATION *process = list;;) {
        if ((uintptr_t)process->UniqueProcessId == SYSTEM_PROCESS_ID)
            return (uint64_t)process->CreateTime.QuadPart;
        if (process->NextEntryOffset == 0)
            return 0;
        process = (const SYSTEM_PROCESS_INFORMATION *)(const void *)((const char *)process + process->NextEntryOffset);
    }
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

/* Either of the two may be missing, or the count stand still: a change in one is another start. But neither must seem
 * to be missing only now, for want of memory. */
void platform_boot_id(uint64_t id[2])
{
    SYSTEM_PROCESS_INFORMATION *list = list_processes();
    id[0] = list == NULL ? 0 : kernel_start(list);
    id[1] = list == NULL ? 0 : count_of_starts();
    free(list);
}
