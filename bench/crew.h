/*
 * Crews: the processes that do one piece of work together.
 *
 * The conductor starts them, gives them jobs, and only waits meanwhile, so that a member that
 * crashes or hangs spoils nothing but its own work. Member 0 drives the job; the others are its partners.
 */
#ifndef MAPRING_BENCH_CREW_H
#define MAPRING_BENCH_CREW_H

#include <sys/types.h>

#include "atomic.h"
#include "bench.h"
#include "histogram.h"

#define MEMBERS_MAX 65u

/*
 * How far the first two members' processors are apart, by the round trip of a cache line. Virtual
 * processors wander between the cores of the machine below, and figures
 * taken at different distances have nothing to do with each other.
 */
enum distance {
    DISTANCE_NONE, /* nothing crossed from one processor to another, or it was not looked at */
    DISTANCE_SAME_CORE,
    DISTANCE_NEAR,
    DISTANCE_FAR,
    DISTANCE_COUNT
};

#define SAME_CORE_BELOW_NS 80.0
#define FAR_FROM_NS 200.0

/* Two round trips are of one place when neither is longer than the other by more than this. */
#define SAME_PLACE 1.25

const char *distance_name(enum distance distance);

/* One piece of work. Members are forks of the conductor, so functions and memory that was
 * shared before the fork have the same addresses there. */
struct job {
    double (*driver)(const struct job *job); /* nanoseconds per operation */
    void (*partner)(const struct job *job);  /* NULL: the driver works alone */
    uint64_t size;                           /* bytes of a message */
    uint64_t count;                          /* operations */
    uint64_t capacity;                       /* bytes of the buffer between them */
    uint64_t lag;                            /* bytes that the reader stays behind the writer */
    double interval_ns;                      /* between messages; 0: as fast as it goes */
    unsigned variant;
    /* It sleeps, or works for others of its own on the same processor: that it waits for it is no disturbance. */
    bool waits;
};

enum outcome {
    OUTCOME_GOOD,
    OUTCOME_MOVED,     /* the round trip before was not the one after */
    OUTCOME_DISTURBED, /* other processes held a processor for more than 2 % of the time */
    OUTCOME_FAILED,    /* the crew could not do it: crew->reason says why */
    OUTCOME_STOPPED,
    OUTCOME_COUNT
};

struct reading {
    double ns;            /* per operation */
    double lost;          /* share of the operations */
    double round_trip_ns; /* of a cache line, meanwhile; 0: not looked at */
    enum distance distance;
    enum outcome outcome;
};

/* Whether the two were taken with the processors equally far apart. */
bool same_place(const struct reading *one, const struct reading *other);

struct crew {
    unsigned members;
    bool threads;      /* the members are threads of one process */
    bool foreign;      /* that it fails is worth a line, and no failure of the run; it may be killed at any time */
    bool sleeps;       /* members have threads of their own, which one who waits must not keep from working */
    bool resident;     /* lives as long as the run, not only while it has its turn */
    uint64_t capacity; /* for the functions below, as is `context` */
    uint64_t size;
    const void *context;

    /* Each may be NULL. By the conductor, before the members start; says why it cannot, or NULL. */
    const char *(*prepare)(struct crew *crew);
    /* By each member, in its own time; may call unable(). */
    void (*open)(const struct crew *crew, unsigned member);
    void (*close)(const struct crew *crew, unsigned member);
    /* By the conductor, when all members have ended, however they did. */
    void (*clear)(struct crew *crew);

    unsigned number; /* of the crew among those started in this run: makes names */
    bool running;
    bool failed; /* will not be started again */
    char reason[160];
    pid_t pids[MEMBERS_MAX];
    int links[MEMBERS_MAX];
};

/* For the conductor. */

/* Once, before anything else here. */
void crews_prepare(const struct options *options);

/* Starts the crew if it is not running. False when it failed: see `reason`. */
bool crew_start(struct crew *crew);

/* Does the job, with the distance taken before and after if a partner on another processor has a share in it. */
struct reading crew_measure(struct crew *crew, const struct job *job);

/* Ends the members: as they like, and if that takes too long, by force. */
void crew_end(struct crew *crew);
void crews_end_all(void);

/* What the last job recorded. */
const struct histogram *crew_recorded(void);

/* Whether more members than processors make it up. */
bool crew_is_crowded(const struct crew *crew);

/* Whether the user interrupted; whether a member found what must not be, such as a wrong byte. */
bool run_interrupted(void);
bool run_failed(void);

/* Why members are not pinned, or NULL. */
const char *run_unpinned(void);

/* Memory that all processes share, zeroed; by the conductor, before the crews that use it start. */
void *shared_memory(uint64_t size);
void shared_memory_free(void *memory, uint64_t size);

/* For members. */

/* Whether the job is to end now. Every loop that waits looks at it. */
bool stopping(void);

/* All members wait for each other. */
void crew_meet(void);

/* Each partner tells, and the driver learns, when the last operation was done: the driver gets the latest. */
void crew_done(uint64_t ns);
uint64_t crew_await_done(void);

unsigned crew_member(void);
unsigned crew_members(void);

/* Words that each member has for what its job needs; zeroed before each job. */
enum { WORD_COUNT, WORD_SUM, CREW_WORDS };
shared64 *crew_words(unsigned member);

/* A partner that need not get everything tells how many of job.count it did not get. */
void crew_lost(uint64_t count);

/* Where one member of a job records durations. */
struct histogram *crew_histogram(void);

#endif
