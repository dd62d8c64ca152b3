#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define CACHE "/sys/devices/system/cpu/cpu0/cache/index"

/* The first line of a file, without its end; "" if there is none. */
static void first_line(const char *path, char *line, size_t size)
{
    line[0] = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    if (fgets(line, (int)size, file) == NULL)
        line[0] = 0;
    line[strcspn(line, "\n")] = 0;
    fclose(file);
}

static void describe_processor(struct machine *machine)
{
    char line[4096];
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        const char *value = strchr(line, ':');
        if (value == NULL)
            continue;
        value += value[1] == ' ' ? 2 : 1;
        if (strncmp(line, "model name", 10) == 0 && machine->model[0] == 0)
            snprintf(machine->model, sizeof machine->model, "%.*s", (int)sizeof machine->model - 1, value);
        else if (strncmp(line, "flags", 5) == 0 && strstr(value, " hypervisor") != NULL)
            machine->virtualised = true;
    }
    fclose(file);
}

static void describe_caches(struct machine *machine)
{
    size_t used = 0;
    for (unsigned index = 0; index < 8; index++) {
        char path[128], level[8], type[16], size[16];
        snprintf(path, sizeof path, CACHE "%u/level", index);
        first_line(path, level, sizeof level);
        snprintf(path, sizeof path, CACHE "%u/type", index);
        first_line(path, type, sizeof type);
        snprintf(path, sizeof path, CACHE "%u/size", index);
        first_line(path, size, sizeof size);
        if (level[0] == 0 || strcmp(type, "Instruction") == 0)
            continue;
        int written = snprintf(machine->caches + used, sizeof machine->caches - used, "%sL%s %s", used > 0 ? ", " : "",
                               level, size);
        if (written < 0 || used + (size_t)written >= sizeof machine->caches)
            break;
        used += (size_t)written;
    }
}

/* The one in brackets is in force. */
static void describe_huge_pages(struct machine *machine)
{
    char line[128];
    first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", line, sizeof line);
    const char *open = strchr(line, '[');
    const char *close = strchr(line, ']');
    if (open != NULL && close > open)
        snprintf(machine->huge_pages, sizeof machine->huge_pages, "%.*s", (int)(close - open - 1), open + 1);
}

/* What the kernel does against faults of the processor, where it does something. */
static void describe_mitigations(struct machine *machine)
{
    static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
    size_t used = 0;
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[512], line[256];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        first_line(path, line, sizeof line);
        if (strncmp(line, "Mitigation", 10) != 0)
            continue;
        int written = snprintf(machine->mitigations + used, sizeof machine->mitigations - used, "%s%s",
                               used > 0 ? ", " : "", entry->d_name);
        if (written < 0 || used + (size_t)written >= sizeof machine->mitigations)
            break;
        used += (size_t)written;
    }
    closedir(entries);
}

void machine_describe(struct machine *machine)
{
    *machine = (struct machine){.cores = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    struct utsname system;
    if (uname(&system) == 0)
        snprintf(machine->kernel, sizeof machine->kernel, "%.31s %.79s", system.sysname, system.release);
    describe_processor(machine);
    describe_caches(machine);
    describe_huge_pages(machine);
    describe_mitigations(machine);
    first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", machine->clock,
               sizeof machine->clock);
}
