#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

mapring_segment_options new_options(uint64_t size)
{
    return (mapring_segment_options){.struct_size = sizeof(mapring_segment_options), .size = size};
}

int32_t try_open(const char *name, const mapring_segment_options *options)
{
    mapring_segment *segment = NULL;
    int descriptors = count_descriptors();
    int32_t status = mapring_segment_open(name, options, &segment);
    cr_assert_eq(status < 0, segment == NULL, "a handle in spite of a status");
    mapring_segment_close(segment);
    cr_assert_eq(count_descriptors(), descriptors, "descriptors are left");
    return status;
}

mapring_segment *open_with(const char *name, const mapring_segment_options *options, int32_t expected)
{
    mapring_segment *segment = NULL;
    int32_t status = mapring_segment_open(name, options, &segment);
    cr_assert_eq(status, expected, "opening: %s (%d)", mapring_status_name(status), (int)status);
    return segment;
}

void *map_all(mapring_segment *segment)
{
    void *address = NULL;
    cr_assert_status(mapring_segment_map(segment, 0, 0, 0, NULL, &address), MAPRING_OK);
    return address;
}

mapring_segment_info info_of(mapring_segment *segment)
{
    mapring_segment_info info = {.struct_size = sizeof info};
    cr_assert_status(mapring_segment_stat(segment, &info), MAPRING_OK);
    return info;
}

void make_file(char path[128], uint64_t size, uint8_t byte)
{
    char name[64];
    unique_name(name);
    const char *folder = getenv("TMPDIR");
    snprintf(path, 128, "%s/mapring-%s", folder != NULL ? folder : "/tmp", name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (uint64_t i = 0; i < size; i++)
        cr_assert_eq(fputc(byte, file), byte);
    cr_assert_eq(fclose(file), 0);
}

uint64_t size_of_file(const char *path)
{
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    cr_assert_not_null(folder);
    int count = 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}
