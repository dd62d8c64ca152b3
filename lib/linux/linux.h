/*
 * What the files of lib/linux/ share.
 */
#ifndef MAPRING_LIB_LINUX_H
#define MAPRING_LIB_LINUX_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../layout.h"
#include "../platform.h"

/* The file of a name whose ring or segment lies in a file elsewhere. */
struct link_entry {
    struct segment_header header;
    char path[PATH_MAX]; /* ends with a zero */
};

struct platform_segment {
    int name_fd;   /* the entry in the folder of names; its flock says that somebody holds the name; -1: none */
    int data_fd;   /* the segment itself; the same as name_fd for one in memory */
    int folder_fd; /* the folder of names; -1: observing a file, or no name */
    pid_t pid;     /* of the process that opened the handle */
    bool named;    /* the name is linked, or was found so, and is to be released */
    uint32_t kind; /* MAPRING_KIND_RING, ... */
    uint32_t flags;
    uint32_t permissions;
    bool global;      /* the name is */
    char *name;       /* plain; NULL: none */
    char *file;       /* path of the file that the segment lies in, if it is to be published */
    bool file_linked; /* that file is there already */
    bool was_grown;   /* for a segment that is not published yet, from */
    uint64_t file_size;
    bool failed;                  /* to publish: a name that it has goes, even if it was to be persistent */
    char *temporary_name;         /* of data_fd while unpublished, where the file system cannot make nameless files */
    struct segment_header header; /* of what is no ring in memory */
};

/* The status for an errno. */
int32_t linux_status(int error);

/* flock(2) without waiting: 1 if it was done, 0 if somebody else has it locked, or a status. */
int32_t linux_flock(int fd, int operation);

/* Folders, and files in them (folder.c). */

/* Opens the folder of the names that are local, or global, and makes it if `create`. Stores a descriptor or returns a
 * status. */
int32_t linux_folder_open(bool global, bool create, int *folder_fd);

/* Splits the path of a file into a descriptor of its folder and its own name. */
int32_t linux_parent_open(const char *path, int *folder_fd, const char **own_name);

/* Opens a file that must be a regular one. `flags` are O_RDONLY or O_RDWR, and O_NOFOLLOW. */
int32_t linux_regular_open(int folder_fd, const char *path, int flags, int *fd);

/* New files (creation.c). */

/* A new file in a folder, without a name if the file system can do that, else under `*temporary_name` (else NULL); with
 * a shared flock, which says that it is in use. `permissions` 0: 0600. */
int32_t linux_file_create(int folder_fd, const char *near_name, uint32_t permissions, int *fd, char **temporary_name);

/* Gives such a file its name: MAPRING_EXISTS if that is taken. */
int32_t linux_file_link(int fd, int from_folder_fd, const char *temporary_name, int to_folder_fd, const char *name);

/* Temporary names: a dot, the name that the file is for, this, and 16 hexadecimal digits. Who made it has a flock. */
#define LINUX_TEMPORARY_MARK ".mapring-"

/* The name that FIFOs are for (descriptor.c): they have no other than their temporary one. */
#define LINUX_FIFO_NAME "wake"

/* Removes the files and FIFOs from a folder that killed processes made under temporary names, for this name or (NULL)
 * for any. Returns how many. */
int32_t linux_temporaries_sweep(int folder_fd, const char *near_name);

/* Gives a part of a file its space now: a page of a full tmpfs would raise SIGBUS later. */
int32_t linux_allocate(int fd, uint64_t offset, uint64_t size);

/* Names and who holds them (entry.c). The handle has its name and the folder of names. */

/* Opens the name's file, and joins its holders, or clears away what the dead left: MAPRING_NOT_FOUND. To observe it
 * only opens it. Fills the header, and the path of an entry that has one. */
int32_t linux_entry_open(struct platform_segment *segment, enum platform_access access, char path[PATH_MAX]);

/* Gives up the name, which goes if nobody else holds it and it is not persistent, or `always`. True if it is gone. */
bool linux_entry_release(struct platform_segment *segment, bool always);

/* Whether the file of this name that the descriptor is for is still the one with the name. */
bool linux_entry_is_linked(int folder_fd, const char *name, int fd);

/* The name as it is stored: with `Global\` in front, if it is. */
void linux_stored_name(const struct platform_segment *segment, char stored[256]);

/* A descriptor that is readable when the process has ended; -1 if there is no such process, or the system does not tell
 * (process.c). */
int linux_process_open(const struct platform_process *process);

/* Files elsewhere (file.c). */

/* The full path of a file that may not exist yet, in a folder that does. The caller frees it. NULL, and errno. */
char *linux_full_path(const char *file);

/* Makes the file for a segment that is not published: MAPRING_EXISTS if it is there. Then gives it its name. */
int32_t linux_data_create(struct platform_segment *segment, const char *file);
int32_t linux_data_link(struct platform_segment *segment, const char *path);

/* From now on others can open the segment, whose file was ours alone. */
int32_t linux_data_share(struct platform_segment *segment);

/* Opens the file that a name leads to. `*replaced`: it is another one than it was. */
int32_t linux_data_open_linked(struct platform_segment *segment, const char *path, enum platform_access access,
                               bool *replaced);

/* Memory without a name (anonymous.c). */
int32_t linux_anonymous_create(int *fd);
int32_t linux_anonymous_seal(int fd);

/* Parking (park.c). */

/* Sleeps while the word reads `remembered`, until woken with one of these bits or the deadline. May return early. */
void linux_futex_wait(const shared32 *word, uint32_t remembered, uint64_t deadline_ns, uint32_t bits);

/* As platform_unlock(), and says whether it could (liveness.c). */
int32_t linux_unlock(struct platform_segment *segment, uint32_t number);

/* Segments (segment.c): a handle with nothing open. The target's name may be NULL. */
struct platform_segment *linux_segment_new(const struct platform_target *target);

#endif
