/*
 * Segments in files on disk: their contents, their sizes, who else gets at the file, flushing, and what is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "opening.h"

static int32_t open_file(const char *name, const char *path, uint64_t size, uint32_t flags, mapring_segment **segment)
{
    mapring_segment_options options = {.struct_size = sizeof options, .file = path, .size = size, .flags = flags};
    *segment = NULL;
    return mapring_segment_open(name, &options, segment);
}

/* Opens and closes. */
static int32_t status_of_file(const char *name, const char *path, uint64_t size, uint32_t flags)
{
    mapring_segment *segment;
    int32_t status = open_file(name, path, size, flags, &segment);
    CHECK((status < 0) == (segment == NULL));
    mapring_segment_close(segment);
    return status;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* The size of a file and its first bytes; -1: there is none, or it cannot be read. */
static int64_t read_file(const char *path, void *bytes, size_t size)
{
    memset(bytes, 0, size);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    size_t got = fread(bytes, 1, size, file);
    CHECK(got <= size);
    _fseeki64(file, 0, SEEK_END);
    int64_t length = _ftelli64(file);
    fclose(file);
    return length;
}

/* What the system answers somebody else who opens the file; 0: he gets it. */
static DWORD error_of_other(const char *path, DWORD rights)
{
    HANDLE file = CreateFileA(path, rights, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    CloseHandle(file);
    return 0;
}

static void new_files(void)
{
    char name[NAME_SIZE], path[PATH_SIZE], bytes[10];
    unique_name(name, "new");
    unique_path(path, "new");
    mapring_segment *segment, *other;
    CHECK_IS(status_of_file(name, path, 0, 0), MAPRING_NOT_FOUND);
    CHECK_IS(status_of_file(name, path, ODD_SIZE, MAPRING_READ_ONLY), MAPRING_NOT_FOUND);
    CHECK_IS(read_file(path, bytes, sizeof bytes), -1);
    if (!CHECK_IS(open_file(name, path, ODD_SIZE, 0, &segment), 0))
        return;
    CHECK_IS(open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &other), 1);
    mapring_segment_info info = stat_of(other);
    CHECK(info.size == ODD_SIZE && info.backing == MAPRING_IN_FILE && info.created == 0);
    uint8_t *first = map_all(segment, 0), *second = map_all(other, 0);
    CHECK(second[0] == 0 && second[ODD_SIZE - 1] == 0);
    first[0] = 'a';
    second[ODD_SIZE - 1] = 'z';
    CHECK(second[0] == 'a' && first[ODD_SIZE - 1] == 'z');
    void *part = NULL;
    CHECK_IS(mapring_segment_map(other, 65536, ODD_SIZE - 65536, MAPRING_PREFAULT, NULL, &part), MAPRING_OK);
    CHECK(((uint8_t *)part)[ODD_SIZE - 65537] == 'z');
    CHECK_IS(mapring_segment_map(other, 65536, ODD_SIZE - 65535, 0, NULL, &part), MAPRING_INVALID_SIZE);
    mapring_segment_close(segment);
    mapring_segment_close(other);
    CHECK(is_free(name));

    /* The file has that size, exactly, and stays. */
    static uint8_t all[ODD_SIZE];
    CHECK_IS(read_file(path, all, sizeof all), ODD_SIZE);
    CHECK(all[0] == 'a' && all[1] == 0 && all[ODD_SIZE - 1] == 'z');
    CHECK(DeleteFileA(path));
}

static void existing_files(void)
{
    char name[NAME_SIZE], path[PATH_SIZE], bytes[16];
    unique_name(name, "existing");
    unique_path(path, "existing");
    write_file(path, "some contents", 13);
    mapring_segment *segment;
    CHECK_IS(status_of_file(name, path, 14, 0), MAPRING_TOO_SMALL);
    CHECK_IS(read_file(path, bytes, sizeof bytes), 13);

    if (CHECK_IS(open_file(name, path, 0, 0, &segment), 0)) {
        CHECK_IS((int64_t)stat_of(segment).size, 13);
        char *view = (char *)map_all(segment, 0);
        CHECK(memcmp(view, "some contents", 13) == 0);
        memcpy(view, "SOME", 4);
        mapring_segment_close(segment);
    }
    if (CHECK_IS(open_file(name, path, 4, MAPRING_READ_ONLY, &segment), 0)) {
        mapring_segment_info info = stat_of(segment);
        CHECK(info.size == 4 && info.flags == MAPRING_READ_ONLY);
        void *view = NULL;
        CHECK_IS(mapring_segment_map(segment, 0, 0, 0, NULL, &view), MAPRING_PERMISSION);
        CHECK(memcmp(map_all(segment, MAPRING_READ_ONLY), "SOME", 4) == 0);
        mapring_segment *other;
        CHECK_IS(open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &other), 1);
        CHECK_IS(mapring_segment_map(other, 0, 0, 0, NULL, &view), MAPRING_PERMISSION);
        CHECK_IS(protection_of(map_all(other, MAPRING_READ_ONLY)), PAGE_READONLY);
        mapring_segment_close(other);
        mapring_segment_close(segment);
    }
    if (CHECK_IS(open_file(name, path, ODD_SIZE, MAPRING_GROW_FILE, &segment), 0)) {
        uint8_t *view = map_all(segment, 0);
        CHECK(memcmp(view, "SOME contents", 13) == 0 && view[13] == 0 && view[ODD_SIZE - 1] == 0);
        mapring_segment_close(segment);
    }
    CHECK_IS(read_file(path, bytes, sizeof bytes), ODD_SIZE);
    CHECK(DeleteFileA(path));
}

static void others_do_not_get_the_file(void)
{
    char name[NAME_SIZE], other_name[NAME_SIZE], path[PATH_SIZE], other_path[PATH_SIZE];
    unique_name(name, "exclusive");
    unique_name(other_name, "intruder");
    unique_path(path, "exclusive");
    unique_path(other_path, "elsewhere");
    mapring_segment *segment, *second;
    if (!CHECK_IS(open_file(name, path, 4096, 0, &segment), 0))
        return;
    CHECK_IS(status_of_file(other_name, path, 0, 0), MAPRING_BUSY);
    CHECK_IS(status_of_file(other_name, path, 0, MAPRING_READ_ONLY), MAPRING_BUSY);
    CHECK(is_free(other_name));
    CHECK_IS(error_of_other(path, GENERIC_READ), ERROR_SHARING_VIOLATION);
    CHECK_IS(error_of_other(path, GENERIC_WRITE), ERROR_SHARING_VIOLATION);
    CHECK(!DeleteFileA(path));

    /* The same name and the same file, whatever the path; another file, none, and another path. */
    char folder[MAX_PATH + 1], detour[2 * PATH_SIZE];
    GetTempPathA(sizeof folder, folder);
    snprintf(detour, sizeof detour, "%s.\\%s", folder, strrchr(path, '\\') + 1);
    CHECK_IS(status_of_file(name, path, 0, 0), 1);
    CHECK_IS(status_of_file(name, detour, 0, 0), 1);
    CHECK_IS(status_of_file(name, other_path, 0, 0), MAPRING_WRONG_GEOMETRY);
    write_file(other_path, "x", 1);
    CHECK_IS(status_of_file(name, other_path, 0, 0), MAPRING_WRONG_GEOMETRY);
    CHECK_IS(status_of_file(name, folder, 0, 0), MAPRING_FOREIGN);
    CHECK(DeleteFileA(other_path));

    /* Who opened it by its name keeps others out when its creator has gone. */
    CHECK_IS(open_with(name, MAPRING_OPEN_EXISTING, 0, MAPRING_READ_ONLY, &second), 1);
    mapring_segment_close(segment);
    CHECK_IS(error_of_other(path, GENERIC_READ), ERROR_SHARING_VIOLATION);
    CHECK_IS(status_of_file(name, path, 0, 0), 1);
    mapring_segment_close(second);
    CHECK_IS(error_of_other(path, GENERIC_READ), 0);
    CHECK(DeleteFileA(path));
}

static void flushing(void)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    unique_name(name, "flush");
    unique_path(path, "flush");
    mapring_segment *segment;
    if (!CHECK_IS(open_file(name, path, ODD_SIZE, 0, &segment), 0))
        return;
    CHECK_IS(mapring_segment_flush(segment, NULL, 0, 1), MAPRING_OK);
    uint8_t *view = map_all(segment, 0);
    memset(view, 'f', ODD_SIZE);
    for (uint32_t wait = 0; wait < 2; wait++) {
        CHECK_IS(mapring_segment_flush(segment, view, ODD_SIZE, wait), MAPRING_OK);
        CHECK_IS(mapring_segment_flush(segment, view, 0, wait), MAPRING_OK);
        CHECK_IS(mapring_segment_flush(segment, view + 5, 1, wait), MAPRING_OK);
        CHECK_IS(mapring_segment_flush(segment, view + ODD_SIZE - 1, 1, wait), MAPRING_OK);
        CHECK_IS(mapring_segment_flush(segment, NULL, 0, wait), MAPRING_OK);
    }
    CHECK_IS(mapring_segment_flush(segment, view + ODD_SIZE - 1, 2, 1), MAPRING_NOT_MAPPED);
    CHECK_IS(mapring_segment_flush(segment, view + ODD_SIZE, 0, 1), MAPRING_NOT_MAPPED);
    CHECK_IS(mapring_segment_flush(segment, &segment, 1, 1), MAPRING_NOT_MAPPED);
    CHECK_IS(mapring_segment_flush(segment, NULL, 1, 1), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(mapring_segment_flush(segment, view, 1, 2), MAPRING_INVALID_ARGUMENT);
    mapring_segment_close(segment);
    CHECK(DeleteFileA(path));

    CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 4096, 0, &segment), 0);
    CHECK_IS(mapring_segment_flush(segment, map_all(segment, 0), 0, 1), MAPRING_OK);
    mapring_segment_close(segment);
}

/* A child: creates the segment in the file, or opens it, writes into it, and stays. */
static int hold(const char *name, const char *path, const char *text)
{
    mapring_segment *segment;
    int32_t status = strcmp(path, "-") == 0 ? open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &segment)
                                            : open_file(name, path, 4096, 0, &segment);
    if (status < 0)
        return 1;
    strcpy((char *)map_all(segment, 0), text);
    tell(status == 0 ? "created" : "opened");
    await_parent();
    mapring_segment_close(segment);
    return 0;
}

static void killed_holders(void)
{
    char name[NAME_SIZE], path[PATH_SIZE], bytes[32];
    unique_name(name, "killed");
    unique_path(path, "killed");
    const char *creates[] = {"hold", name, path, "first", NULL}, *opens[] = {"hold", name, "-", "second", NULL};
    for (int round = 0; round < 3; round++) {
        struct child creator = start_child(NULL, creates);
        expect_line(&creator, "created");
        mapring_segment *segment = NULL;
        /* The file goes from hand to hand, and each who dies leaves it to the others. */
        if (round > 0)
            CHECK_IS(open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &segment), 1);
        kill_child(&creator);
        end_child(&creator);
        if (round > 0) {
            CHECK_IS(error_of_other(path, GENERIC_READ), ERROR_SHARING_VIOLATION);
            CHECK_IS(mapring_segment_flush(segment, map_all(segment, 0), 0, 1), MAPRING_OK);
        }
        if (round > 1) {
            struct child other = start_child(NULL, opens);
            expect_line(&other, "opened");
            mapring_segment_close(segment);
            CHECK_IS(error_of_other(path, GENERIC_READ), ERROR_SHARING_VIOLATION);
            segment = NULL;
            kill_child(&other);
            end_child(&other);
        }
        mapring_segment_close(segment);
        CHECK(is_free(name));
        CHECK_IS(read_file(path, bytes, sizeof bytes), 4096);
        CHECK(strcmp(bytes, round > 1 ? "second" : "first") == 0);
        CHECK(DeleteFileA(path));
    }
}

static void failures_leave_the_file_alone(void)
{
    char name[NAME_SIZE], path[PATH_SIZE], bytes[16];
    unique_name(name, "refused");
    unique_path(path, "refused");
    mapring_mutex *mutex = NULL;
    CHECK_IS(mapring_mutex_open(name, NULL, &mutex), 0);
    CHECK_IS(status_of_file(name, path, 4096, 0), MAPRING_WRONG_KIND);
    CHECK_IS(read_file(path, bytes, sizeof bytes), -1);
    write_file(path, "kept", 4);
    CHECK_IS(status_of_file(name, path, 4096, MAPRING_GROW_FILE), MAPRING_WRONG_KIND);
    CHECK_IS(read_file(path, bytes, sizeof bytes), 4);
    CHECK(memcmp(bytes, "kept", 4) == 0);
    mapring_mutex_close(mutex);

    CHECK_IS(status_of_file(name, path, 0, MAPRING_PERSISTENT), MAPRING_UNSUPPORTED);
    int32_t status = status_of_file(name, path, (uint64_t)1 << 46, MAPRING_GROW_FILE);
    CHECK(status == MAPRING_NO_SPACE || status == MAPRING_NO_MEMORY);
    CHECK_IS(read_file(path, bytes, sizeof bytes), 4);
    CHECK(DeleteFileA(path));
    status = status_of_file(name, path, (uint64_t)1 << 46, 0);
    CHECK(status == MAPRING_NO_SPACE || status == MAPRING_NO_MEMORY);
    CHECK_IS(read_file(path, bytes, sizeof bytes), -1);
    CHECK(is_free(name));
}

static void what_is_no_file(void)
{
    char name[NAME_SIZE], path[PATH_SIZE], folder[MAX_PATH + 1];
    unique_name(name, "strange");
    unique_path(path, "strange-\xc3\xbc");
    GetTempPathA(sizeof folder, folder);
    CHECK_IS(status_of_file(name, folder, 4096, 0), MAPRING_FOREIGN);
    CHECK_IS(status_of_file(name, "NUL", 4096, 0), MAPRING_FOREIGN);
    CHECK_IS(status_of_file(name, "C:\\no\\such\\folder\\file", 4096, 0), MAPRING_NOT_FOUND);
    CHECK_IS(status_of_file(name, "bad\xff", 4096, 0), MAPRING_INVALID_ARGUMENT);
    CHECK_IS(status_of_file(name, "", 4096, 0), MAPRING_INVALID_ARGUMENT);
    char pipe[NAME_SIZE + 16];
    snprintf(pipe, sizeof pipe, "\\\\.\\pipe\\%s", name);
    HANDLE server = CreateNamedPipeA(pipe, PIPE_ACCESS_DUPLEX, 0, 1, 0, 0, 0, NULL);
    CHECK(server != INVALID_HANDLE_VALUE);
    CHECK_IS(status_of_file(name, pipe, 4096, 0), MAPRING_FOREIGN);
    CloseHandle(server);

    write_file(path, "", 0);
    CHECK(DeleteFileA(path));
    CHECK_IS(status_of_file(name, path, 10, 0), 0);
    wchar_t wide[PATH_SIZE];
    CHECK(MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, PATH_SIZE) > 0);
    SetFileAttributesW(wide, FILE_ATTRIBUTE_READONLY);
    HANDLE writer = CreateFileW(wide, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (writer == INVALID_HANDLE_VALUE)
        CHECK_IS(status_of_file(name, path, 0, 0), MAPRING_PERMISSION);
    else
        printf("not tested: read-only files, which this user may write to under Wine\n");
    if (writer != INVALID_HANDLE_VALUE)
        CloseHandle(writer);
    CHECK_IS(status_of_file(name, path, 0, MAPRING_READ_ONLY), 0);
    SetFileAttributesW(wide, FILE_ATTRIBUTE_NORMAL);
    CHECK(DeleteFileW(wide));

    char empty[PATH_SIZE];
    unique_path(empty, "empty");
    write_file(empty, "", 0);
    CHECK_IS(status_of_file(name, empty, 0, 0), MAPRING_INVALID_SIZE);
    CHECK_IS(status_of_file(name, empty, 10, 0), MAPRING_TOO_SMALL);
    CHECK_IS(status_of_file(name, empty, 10, MAPRING_GROW_FILE), 0);
    CHECK(DeleteFileA(empty));
    CHECK(is_free(name));
}

static void nothing_leaks(void)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    unique_name(name, "leak");
    unique_path(path, "leak");
    unsigned before = 0, after = 0;
    for (int round = 0; round < 60; round++) {
        mapring_segment *segment, *other;
        open_file(name, path, 65536, 0, &segment);
        open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &other);
        map_all(other, 0);
        status_of_file("leak-intruder", path, 0, 0);
        status_of_file(name, path, 65537, 0);
        status_of_file(name, "NUL", 10, 0);
        mapring_segment_close(segment);
        mapring_segment_close(other);
        if (round == 9)
            before = count_handles();
    }
    after = count_handles();
    CHECK_IS(after, before);
    CHECK(DeleteFileA(path));
}

int main(int argc, char **argv)
{
    start_tests(120);
    if (argc == 5 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2], argv[3], argv[4]);
    run_test("new files", new_files);
    run_test("existing files", existing_files);
    run_test("others do not get the file", others_do_not_get_the_file);
    run_test("flushing", flushing);
    run_test("killed holders", killed_holders);
    run_test("failures leave the file alone", failures_leave_the_file_alone);
    run_test("what is no file", what_is_no_file);
    run_test("nothing leaks", nothing_leaks);
    return finish_tests();
}
