/*
 * Names of segments and of everything else: who creates, what they belong to, who may use them, and how long they live.
 */
#include <stdio.h>
#include <string.h>

#include <mapring/mapring.h>

#include "harness.h"
#include "opening.h"

/* Creating and opening. */

static void three_modes(void)
{
    char name[NAME_SIZE];
    unique_name(name, "modes");
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, 0), MAPRING_NOT_FOUND);
    CHECK_IS(mapring_segment_open(name, NULL, &(mapring_segment *){NULL}), MAPRING_NOT_FOUND);
    mapring_segment *creator, *other;
    if (!CHECK_IS(open_with(name, MAPRING_CREATE_NEW, ODD_SIZE, 0, &creator), 0))
        return;
    CHECK_IS(status_of(name, MAPRING_CREATE_NEW, ODD_SIZE, 0), MAPRING_EXISTS);
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, ODD_SIZE, 0), 1);
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, ODD_SIZE - 1, 0), 1);
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, ODD_SIZE + 1, 0), MAPRING_TOO_SMALL);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, ODD_SIZE + 1, 0), MAPRING_TOO_SMALL);
    CHECK_IS(open_with(name, MAPRING_OPEN_EXISTING, 0, 0, &other), 1);

    mapring_segment_info made = stat_of(creator), seen = stat_of(other);
    CHECK_IS((int64_t)made.size, ODD_SIZE);
    CHECK_IS((int64_t)seen.size, ODD_SIZE);
    CHECK(made.created == 1 && seen.created == 0);
    CHECK(made.created_ns != 0 && made.created_ns == seen.created_ns);
    CHECK(seen.backing == MAPRING_IN_MEMORY && seen.allocated >= ODD_SIZE && seen.views == 0 && seen.flags == 0);
    CHECK(strcmp(seen.name, name) == 0);

    uint8_t *first = map_all(creator, 0), *second = map_all(other, 0);
    size_t set = 0;
    for (size_t i = 0; i < ODD_SIZE; i++)
        set += second[i] != 0;
    CHECK_IS((int64_t)set, 0);
    first[0] = 1;
    second[ODD_SIZE - 1] = 2;
    CHECK(second[0] == 1 && first[ODD_SIZE - 1] == 2);
    mapring_segment_close(creator);
    CHECK(second[0] == 1);
    CHECK_IS(mapring_kind(name), MAPRING_KIND_SEGMENT);
    mapring_segment_close(other);
    CHECK(is_free(name));
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, 5, 0), 0);
}

/* Kinds. */

static int32_t open_kind(uint32_t kind, const char *name, void **out)
{
    mapring_producer_options ring = {.struct_size = sizeof ring, .capacity = 4096};
    mapring_segment_options segment = {.struct_size = sizeof segment, .size = 4096};
    switch (kind) {
    case MAPRING_KIND_RING:
        return mapring_producer_open(name, &ring, (mapring_producer **)out);
    case MAPRING_KIND_SEGMENT:
        return mapring_segment_open(name, &segment, (mapring_segment **)out);
    case MAPRING_KIND_EVENT:
        return mapring_event_open(name, NULL, (mapring_event **)out);
    case MAPRING_KIND_SEMAPHORE:
        return mapring_semaphore_open(name, NULL, (mapring_semaphore **)out);
    default:
        return mapring_mutex_open(name, NULL, (mapring_mutex **)out);
    }
}

static void close_kind(uint32_t kind, void *opened)
{
    switch (kind) {
    case MAPRING_KIND_RING:
        mapring_producer_close(opened);
        break;
    case MAPRING_KIND_SEGMENT:
        mapring_segment_close(opened);
        break;
    case MAPRING_KIND_EVENT:
        mapring_event_close(opened);
        break;
    case MAPRING_KIND_SEMAPHORE:
        mapring_semaphore_close(opened);
        break;
    default:
        mapring_mutex_close(opened);
    }
}

static void one_name_space(void)
{
    for (uint32_t kind = MAPRING_KIND_RING; kind <= MAPRING_KIND_MUTEX; kind++) {
        char name[NAME_SIZE];
        unique_name(name, "kind");
        void *opened = NULL;
        if (!CHECK_IS(open_kind(kind, name, &opened), 0))
            continue;
        CHECK_IS(mapring_kind(name), kind);
        for (uint32_t other = MAPRING_KIND_RING; other <= MAPRING_KIND_MUTEX; other++) {
            void *wrong = NULL;
            int32_t status = open_kind(other, name, &wrong);
            int32_t expected = other != kind               ? MAPRING_WRONG_KIND
                               : kind == MAPRING_KIND_RING ? MAPRING_PRODUCER_EXISTS
                                                           : 1;
            if (!CHECK_IS(status, expected))
                printf("a name of kind %u, opened as kind %u\n", kind, other);
            if (status >= 0)
                close_kind(other, wrong);
        }
        CHECK_IS(mapring_kind(name), kind);
        close_kind(kind, opened);
        CHECK(is_free(name));
    }
}

static void strangers_are_told_apart(void)
{
    char name[NAME_SIZE];
    unique_name(name, "timer");
    HANDLE timer = CreateWaitableTimerA(NULL, FALSE, name);
    CHECK_IS(mapring_kind(name), MAPRING_FOREIGN);
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, 4096, 0), MAPRING_WRONG_KIND);
    CloseHandle(timer);

    unique_name(name, "text");
    HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 5000, name);
    char *text = MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, 0);
    strcpy(text, "somebody else's bytes");
    UnmapViewOfFile(text);
    CHECK_IS(mapring_kind(name), MAPRING_FOREIGN);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, 0), MAPRING_FOREIGN);
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, 4096, 0), MAPRING_FOREIGN);
    CloseHandle(section);

    /* Whoever made this one never says what it is: that is waited for, but not long. */
    unique_name(name, "zeros");
    section = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 5000, name);
    ULONGLONG start = GetTickCount64();
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, 0), MAPRING_FOREIGN);
    CHECK(GetTickCount64() - start < 10000);
    CHECK_IS(mapring_kind(name), MAPRING_FOREIGN);
    CloseHandle(section);
    CHECK(is_free(name));
}

/* Names. */

static void names_are_local_or_global(void)
{
    char name[NAME_SIZE], local[NAME_SIZE + 8], global[NAME_SIZE + 8];
    unique_name(name, "scope");
    snprintf(local, sizeof local, "Local\\%s", name);
    snprintf(global, sizeof global, "Global\\%s", name);
    for (uint32_t kind = MAPRING_KIND_RING; kind <= MAPRING_KIND_MUTEX; kind++) {
        void *opened = NULL, *machine = NULL;
        CHECK_IS(open_kind(kind, local, &opened), 0);
        CHECK_IS(mapring_kind(name), kind);
        CHECK_IS(mapring_kind(global), MAPRING_NOT_FOUND);
        uint32_t other = kind == MAPRING_KIND_MUTEX ? MAPRING_KIND_RING : kind + 1;
        CHECK_IS(open_kind(other, global, &machine), 0);
        CHECK_IS(mapring_kind(global), other);
        close_kind(kind, opened);
        CHECK(is_free(local));
        close_kind(other, machine);
        CHECK(is_free(global));
    }
    mapring_segment *segment;
    CHECK_IS(open_with(global, MAPRING_CREATE_NEW, 10, 0, &segment), 0);
    CHECK(strcmp(stat_of(segment).name, global) == 0);
    mapring_segment_close(segment);
    CHECK_IS(open_with(local, MAPRING_CREATE_NEW, 10, 0, &segment), 0);
    CHECK(strcmp(stat_of(segment).name, name) == 0);
    mapring_segment_close(segment);
}

static void names_at_the_limit(void)
{
    char unique[NAME_SIZE], longest[MAPRING_NAME_MAX + 20];
    unique_name(unique, "");
    for (int global = 0; global < 2; global++) {
        strcpy(longest, global ? "Global\\" : "");
        char *plain = longest + strlen(longest);
        memset(plain, 'x', MAPRING_NAME_MAX + 1);
        memcpy(plain, unique, strlen(unique));
        plain[MAPRING_NAME_MAX + 1] = 0;
        CHECK_IS(status_of(longest, MAPRING_CREATE_NEW, 10, 0), MAPRING_INVALID_NAME);
        plain[MAPRING_NAME_MAX] = 0;
        for (uint32_t kind = MAPRING_KIND_RING; kind <= MAPRING_KIND_MUTEX; kind++) {
            void *opened = NULL;
            if (CHECK_IS(open_kind(kind, longest, &opened), 0))
                close_kind(kind, opened);
            CHECK(is_free(longest));
        }
    }
    char name[NAME_SIZE + 32], other[NAME_SIZE + 32];
    snprintf(name, sizeof name, "%s\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xa1-a", unique);
    snprintf(other, sizeof other, "%s\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xa1-A", unique);
    mapring_segment *segment;
    CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 10, 0, &segment), 0);
    CHECK(strcmp(stat_of(segment).name, name) == 0);
    CHECK(is_free(other));
    mapring_segment_close(segment);
    const char *bad[] = {"", "a/b", "a\\b", "Local\\", "Session\\1", ".hidden", "bad\xff", "bad\xc3", "tab\tname"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_IS(status_of(bad[i], MAPRING_CREATE_NEW, 10, 0), MAPRING_INVALID_NAME);
        CHECK_IS(mapring_kind(bad[i]), MAPRING_INVALID_NAME);
    }
}

/* The life of a name. */

/* A child: creates or opens, says which, and stays. */
static int hold(const char *name)
{
    mapring_segment *segment;
    int32_t status = open_with(name, MAPRING_CREATE_OR_OPEN, 65536, 0, &segment);
    tell(status == 0 ? "created" : status == 1 ? "opened" : mapring_status_name(status));
    await_parent();
    mapring_segment_close(segment);
    return 0;
}

static void a_name_goes_with_its_last_holder(void)
{
    char name[NAME_SIZE];
    unique_name(name, "life");
    const char *arguments[] = {"hold", name, NULL};
    for (int round = 0; round < 4; round++) {
        struct child holders[3];
        for (int i = 0; i < 3; i++) {
            holders[i] = start_child(NULL, arguments);
            expect_line(&holders[i], i == 0 ? "created" : "opened");
        }
        /* In turn, the last one by force or in good order; or all at once. */
        for (int i = 0; i < 3; i++) {
            if (round >= 2)
                TerminateProcess(holders[i].process, 99);
            else if (i + round == 2)
                kill_child(&holders[i]);
            else
                end_child(&holders[i]);
            if (round < 2 && i < 2)
                CHECK_IS(mapring_kind(name), MAPRING_KIND_SEGMENT);
        }
        for (int i = 0; i < 3; i++) {
            if (round >= 2)
                WaitForSingleObject(holders[i].process, INFINITE);
            if (round >= 2 || i + round == 2)
                end_child(&holders[i]);
        }
        CHECK(is_free(name));
    }
    CHECK_IS(mapring_sweep(), 0);
    CHECK_IS(status_of(name, MAPRING_CREATE_NEW, 10, 0), 0);
}

static void nothing_persists(void)
{
    char name[NAME_SIZE];
    unique_name(name, "persistent");
    CHECK_IS(status_of(name, MAPRING_CREATE_NEW, 4096, MAPRING_PERSISTENT), MAPRING_UNSUPPORTED);
    CHECK(is_free(name));
    CHECK_IS(mapring_segment_remove(name), MAPRING_NOT_FOUND);
    mapring_segment *segment;
    CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 4096, 0, &segment), 0);
    CHECK_IS(mapring_segment_remove(name), 1);
    CHECK_IS(mapring_kind(name), MAPRING_KIND_SEGMENT);
    mapring_segment_close(segment);
    CHECK(is_free(name));
    CHECK_IS(mapring_segment_remove(name), MAPRING_NOT_FOUND);
}

/* Rights. */

static void rights(void)
{
    char name[NAME_SIZE];
    unique_name(name, "rights");
    mapring_segment *segment, *reader;
    if (!CHECK_IS(open_with(name, MAPRING_CREATE_NEW, 4096, 0, &segment), 0))
        return;
    CHECK_IS(open_with(name, MAPRING_OPEN_EXISTING, 0, MAPRING_READ_ONLY, &reader), 1);
    void *view = NULL;
    CHECK_IS(mapring_segment_map(reader, 0, 0, 0, NULL, &view), MAPRING_PERMISSION);
    CHECK_IS(protection_of(map_all(reader, MAPRING_READ_ONLY)), PAGE_READONLY);
    CHECK_IS(stat_of(reader).flags, MAPRING_READ_ONLY);
    CHECK_IS(mapring_segment_flush(reader, NULL, 0, 1), MAPRING_PERMISSION);
    mapring_segment_close(reader);
    mapring_segment_close(segment);

    /* Readable by its owner only: to write is refused. */
    mapring_segment_options options = {.struct_size = sizeof options, .size = 4096, .permissions = 0400};
    CHECK_IS(mapring_segment_open(name, &options, &segment), 0);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, 0), MAPRING_PERMISSION);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, MAPRING_READ_ONLY), 1);
    mapring_segment_close(segment);
    options.permissions = 0006;
    CHECK_IS(mapring_segment_open(name, &options, &segment), 0);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, 0), 1);
    mapring_segment_close(segment);
}

/* Another user's, as far as one can make one: its owner is the system. */
static void other_owners_are_not_trusted(void)
{
    char name[NAME_SIZE];
    unique_name(name, "owner");
    SID_IDENTIFIER_AUTHORITY authority = {SECURITY_NT_AUTHORITY};
    PSID owner = NULL;
    SECURITY_DESCRIPTOR descriptor;
    CHECK(AllocateAndInitializeSid(&authority, 1, SECURITY_LOCAL_SYSTEM_RID, 0, 0, 0, 0, 0, 0, 0, &owner));
    CHECK(InitializeSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION));
    CHECK(SetSecurityDescriptorOwner(&descriptor, owner, FALSE));
    CHECK(SetSecurityDescriptorDacl(&descriptor, TRUE, NULL, FALSE));
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes, .lpSecurityDescriptor = &descriptor};
    HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, &attributes, PAGE_READWRITE, 0, 100000, name);
    if (section == NULL) {
        printf("not tested: other owners, which this user may not set\n");
        FreeSid(owner);
        return;
    }
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, 0), MAPRING_UNTRUSTED);
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, 4096, 0), MAPRING_UNTRUSTED);
    CHECK_IS(mapring_kind(name), MAPRING_UNTRUSTED);
    /* With a segment of our own in it. */
    mapring_segment *model;
    CHECK_IS(open_with(NULL, MAPRING_CREATE_NEW, 4096, 0, &model), 0);
    int64_t handle = 0;
    CHECK_IS(mapring_segment_export(model, 0, &handle), MAPRING_OK);
    char *from = MapViewOfFile((HANDLE)(intptr_t)handle, FILE_MAP_READ, 0, 0, 4096);
    char *to = MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, 4096);
    memcpy(to, from, 4096);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, MAPRING_OTHER_OWNERS), MAPRING_WRONG_NAME);
    strcpy(to + 120, name);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, 0), MAPRING_UNTRUSTED);
    CHECK_IS(status_of(name, MAPRING_OPEN_EXISTING, 0, MAPRING_OTHER_OWNERS), 1);
    UnmapViewOfFile(from);
    UnmapViewOfFile(to);
    CloseHandle((HANDLE)(intptr_t)handle);
    mapring_segment_close(model);
    CloseHandle(section);

    HANDLE mutex = CreateMutexA(&attributes, FALSE, name);
    mapring_mutex *opened = NULL;
    mapring_mutex_options options = {.struct_size = sizeof options};
    CHECK_IS(mapring_mutex_open(name, &options, &opened), MAPRING_UNTRUSTED);
    options.flags = MAPRING_OTHER_OWNERS;
    CHECK_IS(mapring_mutex_open(name, &options, &opened), 1);
    mapring_mutex_close(opened);
    CloseHandle(mutex);
    FreeSid(owner);
}

/* Bad input. */

static void bad_input(void)
{
    char name[NAME_SIZE];
    unique_name(name, "bad");
    mapring_segment *segment = NULL;
    CHECK_IS(status_of(name, MAPRING_CREATE_NEW, 0, 0), MAPRING_INVALID_SIZE);
    CHECK_IS(status_of(name, MAPRING_CREATE_OR_OPEN, 0, 0), MAPRING_INVALID_SIZE);
    CHECK_IS(status_of(name, MAPRING_CREATE_NEW, UINT64_MAX, 0), MAPRING_INVALID_SIZE);
    int32_t status = status_of(name, MAPRING_CREATE_NEW, (uint64_t)1 << 46, 0);
    CHECK(status == MAPRING_NO_MEMORY || status == MAPRING_NO_SPACE);
    CHECK_IS(status_of(name, 3, 4096, 0), MAPRING_INVALID_OPTIONS);
    CHECK_IS(status_of(name, MAPRING_CREATE_NEW, 4096, 0x1), MAPRING_INVALID_OPTIONS);
    CHECK_IS(status_of(name, MAPRING_CREATE_NEW, 4096, MAPRING_GROW_FILE), MAPRING_INVALID_OPTIONS);
    mapring_segment_options options = {.struct_size = sizeof options, .size = 4096};
    CHECK_IS(mapring_segment_open(name, &options, NULL), MAPRING_INVALID_ARGUMENT);
    options.permissions = 0700;
    CHECK_IS(mapring_segment_open(name, &options, &segment), MAPRING_INVALID_OPTIONS);
    options.permissions = 0;
    options.reserved[3] = 1;
    CHECK_IS(mapring_segment_open(name, &options, &segment), MAPRING_INVALID_OPTIONS);
    options.reserved[3] = 0;
    options.struct_size--;
    CHECK_IS(mapring_segment_open(name, &options, &segment), MAPRING_INVALID_OPTIONS);
    CHECK(segment == NULL);
    CHECK(is_free(name));
    CHECK_IS(mapring_kind(NULL), MAPRING_INVALID_ARGUMENT);
}

int main(int argc, char **argv)
{
    start_tests(120);
    if (argc == 3 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2]);
    run_test("three modes", three_modes);
    run_test("one name space", one_name_space);
    run_test("strangers are told apart", strangers_are_told_apart);
    run_test("names are local or global", names_are_local_or_global);
    run_test("names at the limit", names_at_the_limit);
    run_test("a name goes with its last holder", a_name_goes_with_its_last_holder);
    run_test("nothing persists", nothing_persists);
    run_test("rights", rights);
    run_test("other owners are not trusted", other_owners_are_not_trusted);
    run_test("bad input", bad_input);
    return finish_tests();
}
