/*
 * Who may open what: users, permissions, and what strangers plant. Runs as root, and lets children be others.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segments.h"

#define ALICE 64001u
#define BOB 64002u
#define SIZE ((uint64_t)100000)
#define GLOBAL "Global\\shared"

struct visit {
    uid_t user;
    void (*run)(void);
};

static void as_user(void *argument)
{
    const struct visit *visit = argument;
    CHECK(setgroups(0, NULL) == 0 && setgid(visit->user) == 0 && setuid(visit->user) == 0, "setuid: %s",
          strerror(errno));
    /* What is local is each user's own. */
    unsetenv("MAPRING_DIR");
    visit->run();
}

static void visit(uid_t user, void (*run)(void))
{
    join(spawn(as_user, &(struct visit){user, run}));
}

/* The folder for all, as an administrator makes it. */
static void make_global_folder(void)
{
    if (geteuid() != 0)
        skip("only root can be several users");
    const char *path = getenv("MAPRING_GLOBAL_DIR");
    CHECK(mkdir(path, 0700) == 0 && chmod(path, 01777) == 0, "%s: %s", path, strerror(errno));
}

static mapring_segment *create_with(const char *name, uint32_t permissions, uint32_t flags)
{
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, SIZE);
    options.permissions = permissions;
    options.flags = flags;
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open(name, &options, &segment), 0);
    return segment;
}

static int32_t status_with(uint32_t mode, uint32_t flags)
{
    mapring_segment_options options = segment_options(mode, mode == MAPRING_OPEN_EXISTING ? 0 : SIZE);
    options.flags = flags;
    return status_of_open(GLOBAL, &options);
}

/* By default the owner alone. */

static void is_refused(void)
{
    const uint32_t modes[] = {MAPRING_OPEN_EXISTING, MAPRING_CREATE_OR_OPEN, MAPRING_CREATE_NEW};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        CHECK_STATUS(status_with(modes[i], 0), MAPRING_PERMISSION);
        CHECK_STATUS(status_with(modes[i], MAPRING_OTHER_OWNERS), MAPRING_PERMISSION);
    }
    CHECK_STATUS(status_with(MAPRING_OPEN_EXISTING, MAPRING_OTHER_OWNERS | MAPRING_READ_ONLY), MAPRING_PERMISSION);
    CHECK_STATUS(mapring_sweep(), 0);
}

static void the_owner_alone(void)
{
    make_global_folder();
    umask(0);
    mapring_segment *segment = create_with(GLOBAL, 0, 0);
    visit(ALICE, is_refused);
    mapring_segment_close(segment);
}

static void reads_but_cannot_write(void)
{
    mapring_segment_options options = segment_options(MAPRING_OPEN_EXISTING, 0);
    CHECK_STATUS(status_of_open(GLOBAL, &options), MAPRING_PERMISSION);
    options.flags = MAPRING_READ_ONLY;
    CHECK_STATUS(status_of_open(GLOBAL, &options), MAPRING_UNTRUSTED);
    options.flags = MAPRING_READ_ONLY | MAPRING_OTHER_OWNERS;
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open(GLOBAL, &options, &segment), 1);
    void *address;
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, 0, NULL, &address), MAPRING_PERMISSION);
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, MAPRING_READ_ONLY, NULL, &address), MAPRING_OK);
    CHECK(*(uint64_t *)address == 7, "other bytes");
    CHECK((stat_segment(segment).flags & MAPRING_READ_ONLY) != 0, "it does not say that it is read-only");
    mapring_segment_close(segment);
}

static void others_may_read(void)
{
    make_global_folder();
    umask(077);
    mapring_segment *segment = create_with(GLOBAL, 0644, 0);
    *(uint64_t *)map_segment(segment) = 7;
    visit(ALICE, reads_but_cannot_write);
    CHECK(segment_exists(GLOBAL), "it went with the reader");
    mapring_segment_close(segment);
    CHECK(count_global_names() == 0, "it stays");
}

static void writes_if_it_allows_others(void)
{
    CHECK_STATUS(status_with(MAPRING_OPEN_EXISTING, 0), MAPRING_UNTRUSTED);
    CHECK_STATUS(status_with(MAPRING_CREATE_OR_OPEN, 0), MAPRING_UNTRUSTED);
    CHECK_STATUS(mapring_kind(GLOBAL), MAPRING_KIND_SEGMENT);
    mapring_segment_options options = segment_options(MAPRING_CREATE_OR_OPEN, SIZE);
    options.flags = MAPRING_OTHER_OWNERS;
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open(GLOBAL, &options, &segment), 1);
    ((uint64_t *)map_segment(segment))[1] = getuid();
    mapring_segment_close(segment);
}

static void others_may_write(void)
{
    make_global_folder();
    mapring_segment *segment = create_with(GLOBAL, 0666, 0);
    uint64_t *words = map_segment(segment);
    visit(ALICE, writes_if_it_allows_others);
    CHECK(words[1] == ALICE, "what another user wrote is not here");
    mapring_segment_close(segment);
    CHECK(count_global_names() == 0, "it stays");
}

/* What a dead user left in the folder for all: nobody else can take it away but root. */

static void leave_one(void)
{
    create_with(GLOBAL, 0666, 0);
}

static void finds_what_is_left(void)
{
    CHECK_STATUS(mapring_sweep(), 0);
    CHECK_STATUS(status_with(MAPRING_CREATE_OR_OPEN, MAPRING_OTHER_OWNERS), MAPRING_PERMISSION);
}

static void clears_it_away(void)
{
    CHECK_STATUS(mapring_sweep(), 1);
}

static void left_by_another(void)
{
    make_global_folder();
    visit(ALICE, leave_one);
    CHECK(count_global_names() == 1, "nothing was left");
    visit(BOB, finds_what_is_left);
    visit(ALICE, clears_it_away);
    CHECK(count_global_names() == 0, "it stays");
    visit(ALICE, leave_one);
    CHECK_STATUS(status_with(MAPRING_CREATE_NEW, MAPRING_OTHER_OWNERS), 0);
    CHECK(count_global_names() == 0, "it stays");
}

/* A ring for all: others read and follow it as far as its permissions go. */

static int32_t join_ring(uint32_t kind, uint32_t flags, uint64_t *sequence)
{
    mapring_consumer_options options = {.struct_size = sizeof options, .kind = kind, .flags = flags};
    mapring_consumer *consumer;
    int32_t status = mapring_consumer_open(GLOBAL, &options, &consumer);
    if (status < 0)
        return status;
    mapring_message message;
    status = mapring_read(consumer, &message, 1, 0);
    *sequence = message.sequence;
    mapring_consumer_close(consumer);
    return status;
}

static void observes_only(void)
{
    uint64_t sequence = 1;
    CHECK_STATUS(join_ring(MAPRING_RELIABLE, MAPRING_OTHER_OWNERS, &sequence), MAPRING_PERMISSION);
    CHECK_STATUS(join_ring(MAPRING_OBSERVER, 0, &sequence), MAPRING_UNTRUSTED);
    CHECK_STATUS(join_ring(MAPRING_OBSERVER, MAPRING_OTHER_OWNERS, &sequence), 1);
    CHECK(sequence == 0, "another message");
}

static void consumes(void)
{
    uint64_t sequence = 1;
    CHECK_STATUS(join_ring(MAPRING_RELIABLE, 0, &sequence), MAPRING_UNTRUSTED);
    CHECK_STATUS(join_ring(MAPRING_RELIABLE, MAPRING_OTHER_OWNERS, &sequence), 1);
    CHECK(sequence == 0, "another message");
}

static void a_ring_for(uint32_t permissions, void (*run)(void))
{
    mapring_producer_options options = {.struct_size = sizeof options, .permissions = permissions};
    mapring_producer *producer;
    CHECK_STATUS(mapring_producer_open(GLOBAL, &options, &producer), 0);
    CHECK_STATUS(mapring_publish(producer, "one", 3, 0, 0, 0), MAPRING_OK);
    visit(ALICE, run);
    mapring_producer_close(producer);
    CHECK(count_global_names() == 0, "it stays");
}

static void rings_of_others(void)
{
    make_global_folder();
    a_ring_for(0644, observes_only);
    a_ring_for(0666, consumes);
}

/* Local names are each user's own. */

static void has_names_of_its_own(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s.own", getenv("MAPRING_GLOBAL_DIR"));
    setenv("MAPRING_DIR", path, 1);
    CHECK(!segment_exists("mine"), "it sees another user's");
    mapring_segment_close(create_segment("mine", SIZE, 0));
    CHECK(rmdir(path) == 0, "rmdir: %s", strerror(errno));
}

static char folder_of_root[128];

static void finds_an_untrusted_folder(void)
{
    setenv("MAPRING_DIR", folder_of_root, 1);
    CHECK_STATUS(status_of_open("mine", NULL), MAPRING_UNTRUSTED);
}

static void finds_a_closed_folder(void)
{
    setenv("MAPRING_DIR", folder_of_root, 1);
    CHECK_STATUS(status_of_open("mine", NULL), MAPRING_PERMISSION);
}

static void local_names(void)
{
    make_global_folder();
    mapring_segment *segment = create_segment("mine", SIZE, 0);
    visit(ALICE, has_names_of_its_own);
    snprintf(folder_of_root, sizeof folder_of_root, "%s", getenv("MAPRING_DIR"));
    visit(ALICE, finds_a_closed_folder);
    CHECK(chmod(folder_of_root, 0755) == 0, "chmod: %s", strerror(errno));
    visit(ALICE, finds_an_untrusted_folder);
    mapring_segment_close(segment);
}

/* Folders for all that are in somebody's hands. */

static void is_untrusted(void)
{
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, SIZE);
    CHECK_STATUS(status_of_open(GLOBAL, &options), MAPRING_UNTRUSTED);
    CHECK_STATUS(status_of_open(GLOBAL, NULL), MAPRING_UNTRUSTED);
}

static void global_folders(void)
{
    make_global_folder();
    const char *path = getenv("MAPRING_GLOBAL_DIR");
    CHECK(chmod(path, 0777) == 0, "chmod");
    is_untrusted(); /* not sticky */
    CHECK(chown(path, ALICE, ALICE) == 0 && chmod(path, 01777) == 0, "chown");
    is_untrusted(); /* another user's */
    visit(BOB, is_untrusted);
    visit(ALICE, leave_one); /* her own */
    visit(ALICE, clears_it_away);
    CHECK(chown(path, 0, 0) == 0, "chown");

    /* A link in its place. */
    char target[128];
    snprintf(target, sizeof target, "%s.target", path);
    CHECK(rename(path, target) == 0 && symlink(target, path) == 0, "symlink: %s", strerror(errno));
    is_untrusted();
    CHECK(unlink(path) == 0 && rename(target, path) == 0, "rename: %s", strerror(errno));
}

/* Planted in the folder for all: a link to somebody's file; a name that leads to it. */

static char victim[128];

static void plant_link(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/shared", getenv("MAPRING_GLOBAL_DIR"));
    CHECK(symlink(victim, path) == 0, "symlink: %s", strerror(errno));
}

static void plant_name(void)
{
    /* Its own file, which it may use, and then the victim's in its place. */
    char own[256];
    snprintf(own, sizeof own, "%s/own.file", getenv("MAPRING_GLOBAL_DIR"));
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, SIZE);
    options.file = own;
    options.permissions = 0666;
    options.flags = MAPRING_PERSISTENT;
    CHECK_STATUS(status_of_open(GLOBAL, &options), 0);
    CHECK(unlink(own) == 0 && symlink(victim, own) == 0, "symlink: %s", strerror(errno));
}

static void planted(void)
{
    make_global_folder();
    snprintf(victim, sizeof victim, "%s", case_file());
    int fd = open(victim, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 200000) == 0, "a file: %s", strerror(errno));
    char path[256];
    snprintf(path, sizeof path, "%s/shared", getenv("MAPRING_GLOBAL_DIR"));

    visit(ALICE, plant_link);
    for (uint32_t mode = MAPRING_CREATE_OR_OPEN; mode <= MAPRING_OPEN_EXISTING; mode++) {
        CHECK_STATUS(status_with(mode, 0), MAPRING_UNTRUSTED);
        CHECK_STATUS(status_with(mode, MAPRING_OTHER_OWNERS), MAPRING_UNTRUSTED);
    }
    CHECK(unlink(path) == 0, "unlink: %s", strerror(errno));

    visit(ALICE, plant_name);
    CHECK_STATUS(status_with(MAPRING_OPEN_EXISTING, 0), MAPRING_UNTRUSTED);
    CHECK_STATUS(status_with(MAPRING_OPEN_EXISTING, MAPRING_OTHER_OWNERS), MAPRING_UNTRUSTED);
    struct stat file;
    CHECK(fstat(fd, &file) == 0 && file.st_size == 200000, "the victim was changed");
    close(fd);
    CHECK(unlink(path) == 0 && unlink(victim) == 0, "unlink: %s", strerror(errno));
    snprintf(path, sizeof path, "%s/own.file", getenv("MAPRING_GLOBAL_DIR"));
    CHECK(unlink(path) == 0, "unlink: %s", strerror(errno));
}

/* Rights on files. */

static void cannot_write_it(void)
{
    mapring_segment_options options = segment_options(MAPRING_CREATE_NEW, 0);
    options.file = victim;
    CHECK_STATUS(status_of_open(GLOBAL, &options), MAPRING_PERMISSION);
    options.flags = MAPRING_READ_ONLY;
    mapring_segment *segment;
    CHECK_STATUS(mapring_segment_open(GLOBAL, &options, &segment), 0);
    void *address;
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, 0, NULL, &address), MAPRING_PERMISSION);
    CHECK_STATUS(mapring_segment_map(segment, 0, 0, MAPRING_READ_ONLY, NULL, &address), MAPRING_OK);
    CHECK(memcmp(address, "written before", 14) == 0, "other bytes");
    CHECK_STATUS(mapring_segment_flush(segment, NULL, 0, 1), MAPRING_PERMISSION);
    mapring_segment_close(segment);
}

static void read_only_file(void)
{
    make_global_folder();
    snprintf(victim, sizeof victim, "%s", case_file());
    int fd = open(victim, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, "written before", 14) == 14, "a file: %s", strerror(errno));
    close(fd);
    visit(ALICE, cannot_write_it);
    unlink(victim);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"the_owner_alone", the_owner_alone},
        {"others_may_read", others_may_read},
        {"others_may_write", others_may_write},
        {"left_by_another", left_by_another},
        {"rings_of_others", rings_of_others},
        {"rings_of_others", rings_of_others},
        {"local_names", local_names},
        {"global_folders", global_folders},
        {"planted", planted},
        {"read_only_file", read_only_file},
    };
    return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0], 60);
}
