/*
 * What is found under a name, or given as a file, and is no ring: a status, and not a byte of it changed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "foreign.h"
#include "rings.h"

TestSuite(files, .timeout = 60);

struct found {
    char name[64];
    char path[512]; /* of what the name, or the file, is */
    bool is_file;   /* outside the folder of names, given as a file */
    int fd;         /* holds the name as another process would; -1: not held */
    uint8_t *bytes; /* what it must still be afterwards; NULL: not a regular file */
    uint64_t size;
};

static struct found new_found(bool is_file)
{
    struct found found = {.is_file = is_file, .fd = -1};
    unique_name(found.name);
    if (is_file) {
        const char *folder = getenv("TMPDIR");
        snprintf(found.path, sizeof found.path, "%s/mapring-%s", folder != NULL ? folder : "/tmp", found.name);
    } else {
        path_of_name(found.path, found.name);
    }
    unlink(found.path);
    return found;
}

static struct found found_with(bool is_file, const void *bytes, uint64_t size)
{
    struct found found = new_found(is_file);
    FILE *file = fopen(found.path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
    found.bytes = malloc(size + 1);
    memcpy(found.bytes, bytes, size);
    found.size = size;
    return found;
}

static bool is_unchanged(const struct found *found)
{
    struct stat status;
    if (lstat(found->path, &status) != 0)
        return false;
    if (found->bytes == NULL)
        return true;
    FILE *file = fopen(found->path, "r");
    uint8_t *now = malloc(found->size + 1);
    bool same = fread(now, 1, found->size + 1, file) == found->size && memcmp(now, found->bytes, found->size) == 0;
    fclose(file);
    free(now);
    return same;
}

static bool one_of(int32_t status, const int32_t *allowed)
{
    for (; *allowed != 0; allowed++)
        if (status == *allowed)
            return true;
    return false;
}

/* Tells of everybody who opens what is no file: already that would let go who waits at the other end of a FIFO. */
static int watch_opening(const struct found *found)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    cr_assert_geq(fd, 0);
    if (found->bytes == NULL)
        cr_assert_geq(inotify_add_watch(fd, found->path, IN_OPEN), 0);
    return fd;
}

static bool was_opened(int watch)
{
    char events[4096];
    return read(watch, events, sizeof events) > 0;
}

/* Tries everything on it. `allowed` ends with a 0. Removes it. */
static void refuse(struct found *found, const int32_t *allowed, const char *what)
{
    int watch = watch_opening(found);
    const char *file = found->is_file ? found->path : NULL;
    for (uint32_t mode = MAPRING_CREATE_OR_OPEN; mode <= MAPRING_OPEN_EXISTING; mode++) {
        mapring_producer_options options = {
            .struct_size = sizeof options, .mode = mode, .capacity = 4096, .file = file};
        mapring_producer *producer = NULL;
        int32_t status = mapring_producer_open(found->name, &options, &producer);
        cr_assert(one_of(status, allowed), "%s: a producer gets %s", what, mapring_status_name(status));
        cr_assert(is_unchanged(found), "%s: changed by a producer", what);
    }
    if (file == NULL) {
        mapring_consumer *consumer = NULL;
        int32_t status = mapring_consumer_open(found->name, NULL, &consumer);
        cr_assert(one_of(status, allowed), "%s: a consumer gets %s", what, mapring_status_name(status));
        cr_assert(is_unchanged(found), "%s: changed by a consumer", what);
    } else {
        char name_path[512];
        path_of_name(name_path, found->name);
        cr_assert_neq(access(name_path, F_OK), 0, "%s: it was given a name", what);
    }
    mapring_ring_info info = {.struct_size = sizeof info};
    int32_t status = mapring_stat(found->name, file, &info, NULL, 0);
    /* A file can be looked at under any name. */
    if (file == NULL || status != 0 || !one_of(MAPRING_WRONG_NAME, allowed))
        cr_assert(one_of(status, allowed), "%s: an observer gets %s", what, mapring_status_name(status));
    cr_assert(is_unchanged(found), "%s: changed by an observer", what);
    cr_assert(!was_opened(watch), "%s: opened", what);
    close(watch);

    if (found->fd >= 0)
        close(found->fd);
    free(found->bytes);
    cr_assert(unlink(found->path) == 0 || rmdir(found->path) == 0);
}

#define REFUSE(found, what, ...) refuse(found, (const int32_t[]){__VA_ARGS__, 0}, what)

Test(files, bytes_that_are_no_ring)
{
    static uint8_t bytes[200000];
    payload_fill(bytes, sizeof bytes, 1);
    const uint64_t sizes[] = {0, 1, 7, 8, 9, 375, 376, 377, 4095, 4096, 4097, 65536, sizeof bytes};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int is_file = 0; is_file < 2; is_file++) {
            struct found found = found_with(is_file, bytes, sizes[i]);
            REFUSE(&found, "random bytes", MAPRING_NOT_A_RING);
        }
    }
}

Test(files, zeros)
{
    static const uint8_t zeros[200000];
    const uint64_t sizes[] = {8, 4096, sizeof zeros};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int is_file = 0; is_file < 2; is_file++) {
            struct found found = found_with(is_file, zeros, sizes[i]);
            REFUSE(&found, "zeros", MAPRING_NOT_A_RING);
        }
    }
}

Test(files, other_things)
{
    for (int is_file = 0; is_file < 2; is_file++) {
        struct found found = new_found(is_file);
        cr_assert_eq(mkdir(found.path, 0700), 0);
        REFUSE(&found, "a folder", MAPRING_NOT_A_RING);

        found = new_found(is_file);
        cr_assert_eq(mkfifo(found.path, 0600), 0);
        REFUSE(&found, "a FIFO", MAPRING_NOT_A_RING);

        found = new_found(is_file);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        cr_assert_lt(strlen(found.path), sizeof address.sun_path);
        strcpy(address.sun_path, found.path);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        REFUSE(&found, "a socket", MAPRING_NOT_A_RING);
        close(fd);
    }

    struct found link = new_found(false);
    struct found target = found_with(true, "untouched", 9);
    cr_assert_eq(symlink(target.path, link.path), 0);
    REFUSE(&link, "a symbolic link", MAPRING_UNTRUSTED);
    cr_assert(is_unchanged(&target));
    REFUSE(&target, "its target", MAPRING_NOT_A_RING);
}

Test(files, devices)
{
    const char *devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/mem"};
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        if (access(devices[i], F_OK) != 0)
            continue;
        char name[64];
        unique_name(name);
        mapring_producer_options options = {.struct_size = sizeof options, .capacity = 4096, .file = devices[i]};
        mapring_producer *producer;
        int32_t status = mapring_producer_open(name, &options, &producer);
        cr_assert(status == MAPRING_NOT_A_RING || status == MAPRING_PERMISSION, "%s: %s", devices[i],
                  mapring_status_name(status));
        mapring_ring_info info = {.struct_size = sizeof info};
        status = mapring_stat(NULL, devices[i], &info, NULL, 0);
        cr_assert(status == MAPRING_NOT_A_RING || status == MAPRING_PERMISSION, "%s: %s", devices[i],
                  mapring_status_name(status));
    }
}

/* The bytes of a real ring with this name, and a message in it. */
static uint8_t *real_ring(const char *name, uint64_t *size)
{
    mapring_producer *producer = open_producer(name, 4096);
    cr_assert_status(mapring_publish(producer, "real", 4, 0, 0, 0), MAPRING_OK);
    char path[512];
    path_of_name(path, name);
    struct segment_view view = view_segment(path);
    uint8_t *bytes = malloc(view.size);
    memcpy(bytes, view.bytes, view.size);
    *size = view.size;
    unview_segment(&view);
    mapring_producer_close(producer);
    return bytes;
}

/* Where a ring is found. */
enum place { HELD, LEFT, IN_FILE, PLACES }; /* under its name, held by somebody or left by the dead; or in a file */

static const char *const place_names[PLACES] = {"held", "left by the dead", "in a file"};

/* A ring after `change` has had its way with it. */
static struct found changed_ring(enum place place, void (*change)(struct identity *identity, uint64_t *size))
{
    struct found empty = new_found(place == IN_FILE);
    uint64_t size;
    uint8_t *bytes = real_ring(empty.name, &size);
    struct identity *identity = (struct identity *)(void *)bytes;
    identity->backing = place == IN_FILE ? BACKING_FILE : BACKING_MEMORY;
    change(identity, &size);
    struct found found = found_with(place == IN_FILE, bytes, size);
    free(bytes);
    if (place == HELD) {
        found.fd = open(found.path, O_RDWR | O_CLOEXEC);
        cr_assert_eq(flock(found.fd, LOCK_SH), 0);
    }
    return found;
}

static uint64_t length_left; /* for cut_off() */

static void other_kind(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->kind = 77;
}

static void other_version(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->format_version++;
}

static void other_capacity(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->capacity = (uint64_t)1 << 33;
}

static void no_capacity(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->capacity = 0;
}

static void larger_and_consistent(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->capacity = (uint64_t)1 << 30;
    identity->readers_offset = identity->stream_offset + identity->capacity + 65536;
    identity->segment_size = identity->readers_offset + (identity->segment_size & 65535);
}

static void many_slots(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->slot_count = UINT32_MAX;
}

static void far_stream(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->stream_offset = UINT64_MAX - 4096;
}

static void near_readers(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->readers_offset = identity->stream_offset;
}

static void odd_start(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->first_position = 3;
}

static void other_name(struct identity *identity, uint64_t *size)
{
    (void)size;
    identity->name[0] ^= 1;
}

static void bad_name(struct identity *identity, uint64_t *size)
{
    (void)size;
    memset(identity->name, '/', sizeof identity->name);
}

static void cut_off(struct identity *identity, uint64_t *size)
{
    (void)identity;
    *size = length_left;
}

Test(files, rings_that_are_something_else)
{
    struct {
        const char *what;
        void (*change)(struct identity *identity, uint64_t *size);
        int32_t expected;
    } changes[] = {
        {"another kind", other_kind, MAPRING_WRONG_KIND},
        {"another version", other_version, MAPRING_WRONG_VERSION},
        {"another capacity", other_capacity, MAPRING_CORRUPT},
        {"no capacity", no_capacity, MAPRING_CORRUPT},
        {"a larger geometry", larger_and_consistent, MAPRING_TRUNCATED},
        {"too many slots", many_slots, MAPRING_CORRUPT},
        {"a stream far away", far_stream, MAPRING_CORRUPT},
        {"readers in the stream", near_readers, MAPRING_CORRUPT},
        {"an odd first position", odd_start, MAPRING_CORRUPT},
        {"another name", other_name, MAPRING_WRONG_NAME},
        {"a bad name", bad_name, MAPRING_CORRUPT},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        for (enum place place = HELD; place < PLACES; place++) {
            struct found found = changed_ring(place, changes[i].change);
            char what[128];
            snprintf(what, sizeof what, "%s, %s", changes[i].what, place_names[place]);
            REFUSE(&found, what, changes[i].expected);
        }
    }
}

Test(files, truncated_rings)
{
    const uint64_t lengths[] = {376, 4096, 65535, 65536, 65537, 69632, 73728, 131071, 131072, 135168};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (enum place place = HELD; place < PLACES; place++) {
            length_left = lengths[i];
            struct found found = changed_ring(place, cut_off);
            REFUSE(&found, "a truncated ring", MAPRING_TRUNCATED);
        }
    }
    /* Cut off within the identity it can look like anything that it is not. */
    for (length_left = 0; length_left < 376; length_left++) {
        for (enum place place = HELD; place < PLACES; place++) {
            struct found found = changed_ring(place, cut_off);
            REFUSE(&found, "a truncated identity", MAPRING_TRUNCATED, MAPRING_CORRUPT, MAPRING_NOT_A_RING,
                   MAPRING_WRONG_KIND, MAPRING_WRONG_VERSION, MAPRING_WRONG_NAME);
        }
    }
}

static void unchanged(struct identity *identity, uint64_t *size)
{
    (void)identity;
    (void)size;
}

Test(files, a_ring_under_another_name)
{
    /* The copy of a ring, which says itself what it is called. */
    for (enum place place = HELD; place <= LEFT; place++) {
        struct found found = changed_ring(place, unchanged);
        char other[64], path[512];
        unique_name(other);
        path_of_name(path, other);
        cr_assert_eq(rename(found.path, path), 0);
        strcpy(found.name, other);
        strcpy(found.path, path);
        REFUSE(&found, "a renamed ring", MAPRING_WRONG_NAME);
    }
}

/* A name that is held, and says this of itself. */
static struct found entry_with(struct segment_header *header, uint64_t size)
{
    struct found found = new_found(false);
    strcpy(header->name, found.name);
    FILE *file = fopen(found.path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(header, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
    found.bytes = malloc(size + 1);
    memcpy(found.bytes, header, size);
    found.size = size;
    found.fd = open(found.path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(flock(found.fd, LOCK_SH), 0);
    return found;
}

Test(files, a_name_that_leads_elsewhere)
{
    struct entry {
        struct segment_header header;
        char path[4096];
    } entry = {.header = {
                   .magic = {IDENTITY_MAGIC},
                   .kind = MAPRING_KIND_RING | KIND_IN_FILE,
                   .format_version = MAPRING_FORMAT_VERSION,
                   .segment_size = sizeof entry,
               }};
    const struct {
        const char *path;
        int32_t expected;
    } targets[] = {
        {"/dev/null", MAPRING_NOT_A_RING},       {"/", MAPRING_NOT_A_RING},
        {"/etc/passwd", MAPRING_NOT_A_RING},     {"/dev/zero", MAPRING_NOT_A_RING},
        {"/proc/self/maps", MAPRING_NOT_A_RING},
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        memset(entry.path, 0, sizeof entry.path);
        strcpy(entry.path, targets[i].path);
        struct found found = entry_with(&entry.header, sizeof entry);
        REFUSE(&found, targets[i].path, targets[i].expected, MAPRING_PERMISSION);
    }
    memset(entry.path, 'x', sizeof entry.path); /* without an end */
    struct found found = entry_with(&entry.header, sizeof entry);
    REFUSE(&found, "an endless path", MAPRING_CORRUPT);
}
