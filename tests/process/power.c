/*
 * Power cuts. The disk may hold, of each sector, anything that was there since it was last flushed: writeback has no
 * order. So the file is copied at many moments, images are mixed out of the copies, sector by sector or page by page,
 * and opened as if the machine had been started anew.
 *
 * msync() and fsync() are replaced here by functions that note what is on the disk from then on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"
#include "traffic.h"

#define CAPACITY 8192u
#define MAX 512u
#define SECTOR 512u
#define SLACK (CAPACITY / 64 + 2 * (MAX + 8)) /* a stride and what begins or ends in it */
#define STREAM_OFFSET 65536u
#define BOOT_ID_OFFSET (STREAM_OFFSET + 208u) /* lib/layout.h */
#define BOOT_ID_SIZE 16u
#define COPIES_MAX 400

/* The file as it was at some moments, the sectors it may be mixed of. */
static struct {
    const char *path;
    size_t size;
    uint8_t *copies[COPIES_MAX];
    int count;
    int *flushed; /* of each sector: the first copy that it may be from, */
    int *before;  /* and before the last flush was done */
} disk;

static void copy_now(void)
{
    CHECK(disk.count < COPIES_MAX, "too many copies");
    int fd = open(disk.path, O_RDONLY);
    CHECK(fd >= 0, "%s: %s", disk.path, strerror(errno));
    uint8_t *copy = malloc(disk.size);
    CHECK(copy != NULL && pread(fd, copy, disk.size, 0) == (ssize_t)disk.size, "the file is short");
    close(fd);
    disk.copies[disk.count++] = copy;
}

/* Before the file has a name it cannot be copied. */
static bool identity_flushed;

/* Whatever is there now will not be older after the cut. */
static void note_flush(size_t first, size_t end)
{
    if (disk.size == 0) {
        identity_flushed = identity_flushed || first == 0;
        return;
    }
    copy_now();
    memcpy(disk.before, disk.flushed, disk.size / SECTOR * sizeof *disk.flushed);
    for (size_t sector = first / SECTOR; sector < (end + SECTOR - 1) / SECTOR && sector < disk.size / SECTOR; sector++)
        disk.flushed[sector] = disk.count - 1;
}

/* Where in the file an address is mapped. */
static size_t file_offset(const void *address)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL, "/proc/self/maps: %s", strerror(errno));
    char line[4096 + 128];
    size_t offset = SIZE_MAX;
    while (offset == SIZE_MAX && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start, end;
        size_t base;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %zx", &start, &end, &base) == 3 &&
            start <= (uintptr_t)address && (uintptr_t)address < end)
            offset = base + ((uintptr_t)address - start);
    }
    fclose(maps);
    CHECK(offset != SIZE_MAX, "what is flushed is not mapped");
    return offset;
}

static bool disk_fails;

int msync(void *address, size_t length, int flags)
{
    CHECK((flags & MS_SYNC) != 0, "a flush that does not wait");
    if (disk_fails) {
        errno = EIO;
        return -1;
    }
    size_t offset = file_offset(address);
    note_flush(offset, offset + length);
    return 0;
}

int fsync(int fd)
{
    struct stat file, ring;
    if (fstat(fd, &file) == 0 && stat(disk.path, &ring) == 0 && file.st_ino == ring.st_ino)
        note_flush(0, disk.size);
    return 0;
}

/* The disk took them while they were written to. Where the readers write, order counts: there this is not so. */
static void mix_words(uint8_t *bytes, const uint8_t *later, size_t size, uint64_t *random)
{
    for (size_t i = 0; i < size; i += 8)
        if (random_next(random) % 2 == 0)
            memcpy(bytes + i, later + i, 8);
}

/* A file as it may be after the cut; by sectors, or by pages. Of a machine that was started since. */
static void write_image(const char *path, const int *flushed, uint64_t *random)
{
    size_t grain = random_next(random) % 2 == 0 ? SECTOR : 4096;
    uint64_t mode = random_next(random) % 4;
    uint8_t *image = malloc(disk.size);
    CHECK(image != NULL, "no memory");
    for (size_t start = 0; start < disk.size; start += grain) {
        int first = 0;
        for (size_t sector = start / SECTOR; sector < (start + grain) / SECTOR; sector++)
            first = flushed[sector] > first ? flushed[sector] : first;
        int span = disk.count - first;
        /* All old, all new, one or the other, or anything. */
        int place = mode == 0 ? 0 : mode == 1 ? span - 1 : (int)(random_next(random) % (uint64_t)span);
        if (mode == 2)
            place = place % 2 == 0 ? 0 : span - 1;
        memcpy(image + start, disk.copies[first + place] + start, grain);
        bool in_stream = start >= STREAM_OFFSET && start < STREAM_OFFSET + 4096 + CAPACITY;
        if (in_stream && place + 1 < span && random_next(random) % 4 == 0)
            mix_words(image + start, disk.copies[first + place + 1] + start, grain, random);
    }
    for (uint32_t i = 0; i < BOOT_ID_SIZE; i++)
        image[BOOT_ID_OFFSET + i] ^= 0x5a;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, image, disk.size) == (ssize_t)disk.size, "%s: %s", path, strerror(errno));
    close(fd);
    free(image);
}

/* A position that was told at some time: one of these may be found after the cut. */
struct place {
    uint64_t before; /* the flush before the last */
    uint64_t last;   /* the last flush */
    uint64_t now;
};

struct state {
    mapring_producer *producer;
    mapring_consumer *named;
    mapring_consumer *member;
    uint64_t sequence;
    uint64_t flushed;        /* messages */
    uint64_t flushed_before; /* the same, if the last flush was not done */
    uint64_t position;       /* behind the newest that was published */
    struct place places[2];  /* of the named consumer and the group: the next message */
};

static void flush(struct state *state)
{
    for (int i = 0; i < 2; i++) {
        state->places[i].before = state->places[i].last;
        state->places[i].last = state->places[i].now;
    }
    state->flushed = state->sequence;
    CHECK_STATUS(mapring_flush(state->producer), MAPRING_OK);
}

static void read_some(struct state *state, int which, uint64_t count)
{
    mapring_consumer *consumer = which == 0 ? state->named : state->member;
    mapring_message message;
    while (count-- > 0 && mapring_read(consumer, &message, 1, 0) == 1) {
        check_message(&message, state->places[which].now, MAX);
        CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
        state->places[which].now++;
    }
}

static int32_t try_publish(struct state *state)
{
    static uint8_t bytes[MAX];
    uint64_t length = message_length(state->sequence, MAX);
    payload_fill(bytes, length, state->sequence);
    int32_t status = mapring_publish(state->producer, bytes, length, message_tag(state->sequence), 0, 0);
    state->sequence += status == MAPRING_OK;
    return status;
}

static void open_consumers(const char *name, mapring_consumer **named, mapring_consumer **member, int32_t status)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .own_name = "named"};
    CHECK_STATUS(mapring_consumer_open(name, &options, named), status);
    options = (mapring_consumer_options){.struct_size = sizeof options, .kind = MAPRING_MEMBER, .group = "group"};
    CHECK_STATUS(mapring_consumer_open(name, &options, member), status);
}

/* What is found is what was there: nothing else, nothing less than was promised. */
static void check_image(const struct state *state, const char *path, uint64_t seed)
{
    mapring_producer_options options = {.struct_size = sizeof options, .file = path, .mode = MAPRING_OPEN_EXISTING};
    mapring_producer *producer;
    int32_t status = mapring_producer_open(RING, &options, &producer);
    CHECK(status == 1, "seed %" PRIu64 ": opening gives %s", seed, mapring_status_name(status));
    mapring_ring_info info = {.struct_size = sizeof info};
    CHECK(mapring_stat(RING, NULL, &info, NULL, 0) == 0, "seed %" PRIu64, seed);

    mapring_consumer_options oldest = {.struct_size = sizeof oldest, .kind = MAPRING_LOSSY};
    mapring_consumer *reader, *named, *member;
    CHECK_STATUS(mapring_consumer_open(RING, &oldest, &reader), MAPRING_OK);
    mapring_consumer_progress start = {.struct_size = sizeof start};
    CHECK_STATUS(mapring_progress(reader, &start), MAPRING_OK);

    /* Messages from the oldest to the last flush, or none where all of those had to give way. */
    uint64_t least = state->places[0].now < state->places[1].now ? state->places[0].now : state->places[1].now;
    uint64_t expected = info.messages == state->flushed ? state->flushed : state->flushed_before;
    CHECK(info.messages >= expected && start.sequence <= info.messages,
          "seed %" PRIu64 ": %" PRIu64 " messages instead of %" PRIu64, seed, info.messages, expected);
    CHECK(info.messages == expected ||
              (start.sequence == info.messages && info.messages <= state->sequence && expected <= least),
          "seed %" PRIu64 ": %" PRIu64 " messages of %" PRIu64 " flushed, from %" PRIu64, seed, info.messages, expected,
          start.sequence);
    /* At least as far back as three quarters of the capacity before the newest that was published. */
    CHECK(start.sequence == 0 || start.position + CAPACITY * 3 / 4 <= state->position + SLACK,
          "seed %" PRIu64 ": only from %" PRIu64 " on, of %" PRIu64, seed, start.position, state->position);
    mapring_message message;
    for (uint64_t sequence = start.sequence; sequence < info.messages; sequence++) {
        status = mapring_read(reader, &message, 1, 0);
        CHECK(status == 1, "seed %" PRIu64 ": message %" PRIu64 ": %s", seed, sequence, mapring_status_name(status));
        check_message(&message, sequence, MAX);
        CHECK_STATUS(mapring_release(reader, 1), MAPRING_OK);
    }
    CHECK_STATUS(mapring_read(reader, &message, 1, 0), 0);

    /* Places of some time since the flush before the last, as far as they are still there. */
    open_consumers(RING, &named, &member, MAPRING_RESUMED);
    struct state after = {.producer = producer, .named = named, .member = member, .sequence = info.messages};
    for (int i = 0; i < 2; i++) {
        const struct place *place = &state->places[i];
        uint64_t to = info.messages == expected && place->now < expected ? place->now : info.messages;
        uint64_t next = info.messages;
        int32_t count = mapring_read(i == 0 ? named : member, &message, 1, 0);
        if (count == 1) {
            next = message.sequence;
            check_message(&message, next, MAX);
            CHECK_STATUS(mapring_release(i == 0 ? named : member, 1), MAPRING_OK);
        }
        CHECK(count >= 0 && next >= place->before && next <= to,
              "seed %" PRIu64 ": the %s continues at %" PRIu64 " (%s) instead of %" PRIu64 " to %" PRIu64, seed,
              i == 0 ? "named consumer" : "group", next, mapring_status_name(count), place->before, to);
        after.places[i].now = next + (count == 1);
        read_some(&after, i, UINT64_MAX);
        CHECK(after.places[i].now == info.messages, "seed %" PRIu64 ": it gets messages up to %" PRIu64, seed,
              after.places[i].now);
    }
    /* And it goes on. */
    for (int round = 0; round < 60; round++) {
        while (try_publish(&after) == MAPRING_OK)
            ;
        read_some(&after, 0, 20);
        read_some(&after, 1, 20);
        while (mapring_read(reader, &message, 1, 0) == 1) {
            check_message(&message, message.sequence, MAX);
            CHECK_STATUS(mapring_release(reader, 1), MAPRING_OK);
        }
    }
    CHECK(after.places[0].now > info.messages + 60 && after.places[1].now > info.messages + 60, "it stands still");
    CHECK_STATUS(mapring_flush(producer), MAPRING_OK);
    mapring_consumer_close(reader);
    mapring_consumer_close(named);
    mapring_consumer_close(member);
    mapring_producer_close(producer);
}

static void cut(uint64_t seed, uint64_t images)
{
    uint64_t random = seed;
    char image[128];
    snprintf(image, sizeof image, "%s.image", case_file());
    struct state state = {0};
    mapring_producer_options options = {
        .struct_size = sizeof options,
        .capacity = CAPACITY,
        .max_consumers = 4,
        .file = case_file(),
        .flags = MAPRING_DURABLE,
        .first_position = random_next(&random) % 4 * 4096,
    };
    disk.path = case_file();
    disk.size = 0;
    identity_flushed = false;
    CHECK_STATUS(mapring_producer_open(RING, &options, &state.producer), 0);

    /* What was not flushed so far is empty on the disk. */
    struct stat file;
    CHECK(stat(case_file(), &file) == 0, "no file");
    disk.size = (size_t)file.st_size / 4096 * 4096;
    disk.copies[disk.count++] = calloc(1, disk.size);
    disk.flushed = calloc(disk.size / SECTOR, sizeof *disk.flushed);
    disk.before = calloc(disk.size / SECTOR, sizeof *disk.before);
    CHECK(disk.copies[0] != NULL && disk.flushed != NULL && disk.before != NULL, "no memory");
    if (identity_flushed)
        note_flush(0, 4096);

    open_consumers(RING, &state.named, &state.member, MAPRING_OK);
    for (uint64_t i = random_next(&random) % 20; i > 0; i--)
        try_publish(&state);
    flush(&state);
    flush(&state);
    uint64_t steps = 10 + random_next(&random) % 120;
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t kind = random_next(&random) % 16;
        uint64_t count = 1 + random_next(&random) % 30;
        if (kind == 0)
            flush(&state);
        else if (kind < 8)
            while (count-- > 0 && try_publish(&state) == MAPRING_OK)
                ;
        else
            read_some(&state, kind % 2 == 0, count);
        if (random_next(&random) % 2 == 0 && disk.count < COPIES_MAX - 150)
            copy_now();
    }
    /* The machine stops before the last flush is done, or later. */
    bool amid = random_next(&random) % 2 == 0;
    struct state earlier = state;
    if (amid) {
        flush(&state);
        state.flushed_before = earlier.flushed;
        for (int i = 0; i < 2; i++)
            state.places[i].before = earlier.places[i].before;
    } else {
        state.flushed_before = state.flushed;
        copy_now();
    }
    state.position = stat_ring().position;
    mapring_consumer_close(state.named);
    mapring_consumer_close(state.member);
    mapring_producer_close(state.producer);

    /* The images have no history of their own. */
    size_t size = disk.size;
    for (uint64_t i = 0; i < images; i++) {
        disk.size = size;
        write_image(image, amid ? disk.before : disk.flushed, &random);
        disk.size = 0;
        check_image(&state, image, seed);
    }
    unlink(image);
    unlink(case_file());
    for (int i = 0; i < disk.count; i++)
        free(disk.copies[i]);
    free(disk.flushed);
    free(disk.before);
    disk.count = 0;
}

static void any_mixture(void)
{
    const char *given = getenv("MAPRING_TEST_SEED");
    if (given != NULL) {
        cut(strtoull(given, NULL, 10), 50);
        return;
    }
    uint64_t seed = (uint64_t)now_ns(), cuts = 60 * test_length();
    for (uint64_t i = 0; i < cuts; i++)
        cut(seed + i, 20);
    printf("%" PRIu64 " cuts from seed %" PRIu64 " on, 20 mixtures of each\n", cuts, seed);
}

/* No power cut: both checkpoints are damaged, and the disk refuses the one that a takeover begins with. */
static void a_takeover_that_the_disk_refuses(void)
{
    mapring_producer_options options = {
        .struct_size = sizeof options, .capacity = CAPACITY, .file = case_file(), .flags = MAPRING_DURABLE};
    mapring_producer *producer;
    disk.path = case_file();
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), 0);
    mapring_consumer *consumer = open_consumer(MAPRING_FROM_OLDEST);
    publish_message(producer, 0, MAX);
    CHECK_STATUS(mapring_end(producer), MAPRING_OK);
    mapring_producer_close(producer);
    static const uint8_t nothing[sizeof(struct checkpoint[2])];
    int fd = open(case_file(), O_WRONLY);
    CHECK(pwrite(fd, nothing, sizeof nothing, (off_t)(STREAM_OFFSET + offsetof(struct stream, checkpoints))) ==
              (ssize_t)sizeof nothing,
          "%s: %s", case_file(), strerror(errno));
    close(fd);

    mapring_message message;
    CHECK_STATUS(mapring_read(consumer, &message, 1, 0), 1);
    CHECK_STATUS(mapring_release(consumer, 1), MAPRING_OK);
    disk_fails = true;
    for (int round = 0; round < 2; round++) {
        CHECK_STATUS(mapring_producer_open(RING, &options, &producer), MAPRING_SYSTEM_ERROR);
        mapring_ring_info info = stat_ring();
        CHECK(info.ended == 1, "the end is lost");
        CHECK(info.producer_pid == 0, "it has not said that it left");
        CHECK(info.epoch == 1, "epoch %" PRIu64, info.epoch);
        CHECK_STATUS(mapring_read(consumer, &message, 1, 10 * SECOND), MAPRING_STREAM_ENDED);
    }
    disk_fails = false;
    CHECK_STATUS(mapring_producer_open(RING, &options, &producer), 1);
    publish_message(producer, 1, MAX);
    CHECK_STATUS(mapring_read(consumer, &message, 1, 0), 1);
    check_message(&message, 1, MAX);
    mapring_consumer_close(consumer);
    mapring_producer_close(producer);
    unlink(case_file());
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"any_mixture", any_mixture},
        {"a_takeover_that_the_disk_refuses", a_takeover_that_the_disk_refuses},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
