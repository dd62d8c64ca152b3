#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rings.h"
#include "work.h"

#define TIMES 64u
#define SIZE ((uint64_t)1 << 20)
#define AT_MOST 2.0

static char name[RING_NAME_BYTES];

static void remember_name(const struct crew *crew, unsigned member)
{
    (void)member;
    rings_name(name, crew, "segment");
}

/* A named block of shared memory is made and allocated, opened once more by its name, mapped through that, and
 * everything is closed again, after which the name is gone: by the system's own calls. */
static double bare_calls(const struct job *job)
{
    char path[RING_NAME_BYTES + 1];
    snprintf(path, sizeof path, "/%s", name);
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        int created = shm_open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        int error = created < 0 ? errno : posix_fallocate(created, 0, (off_t)job->variant);
        int opened = shm_open(path, O_RDWR | O_CLOEXEC, 0600);
        void *view = mmap(NULL, (size_t)job->variant, PROT_READ | PROT_WRITE, MAP_SHARED, opened, 0);
        if (error != 0 || view == MAP_FAILED) {
            shm_unlink(path);
            unable("no shared memory: %s", strerror(error != 0 ? error : errno));
        }
        munmap(view, (size_t)job->variant);
        close(opened);
        shm_unlink(path);
        close(created);
    }
    return (double)(now_ns() - begin) / (double)job->count;
}

static double segments(const struct job *job)
{
    mapring_segment_options options = {.struct_size = sizeof options, .mode = MAPRING_CREATE_NEW, .size = job->variant};
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        mapring_segment *created, *opened;
        void *view;
        check_able(mapring_segment_open(name, &options, &created), "mapring_segment_open");
        check(mapring_segment_open(name, NULL, &opened), "mapring_segment_open");
        check(mapring_segment_map(opened, 0, 0, 0, NULL, &view), "mapring_segment_map");
        mapring_segment_close(opened);
        mapring_segment_close(created);
    }
    return (double)(now_ns() - begin) / (double)job->count;
}

static void compare_size(struct plan *plan, struct crew crew, uint64_t size, bool is_aim)
{
    struct comparison *comparison = plan_compare(plan, "segments", UNIT_TIME, 0, size);
    comparison->note = "create, open, map and close; no page is touched";
    crew.members = 1;
    crew.open = remember_name;
    crew.close = NULL;
    struct crew *kept = plan_crew(crew);
    struct job job = {.variant = (uint32_t)size};
    job.driver = bare_calls;
    comparison_add(comparison, "bare system calls", kept, job)->is_limit = true;
    job.driver = segments;
    struct subject *subject = comparison_add(comparison, "segment", kept, job);
    if (is_aim)
        subject->at_most = AT_MOST;
    for (unsigned i = 0; i < comparison->subject_count; i++)
        subject_fix_count(&comparison->subjects[i], TIMES);
}

void segment_plan(struct plan *plan, const struct options *options)
{
    compare_size(plan, rings_pair(options->capacity), SIZE, true);
    compare_size(plan, rings_pair(options->capacity), 4096, false);
}
