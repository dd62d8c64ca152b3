/*
 * What the files of lib/linux/ share.
 */
#ifndef MAPRING_LIB_LINUX_H
#define MAPRING_LIB_LINUX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../platform.h"

struct platform_segment {
    int name_fd;   /* the entry in the folder of names; its flock says that somebody holds the name; -1: none */
    int data_fd;   /* the segment itself; the same as name_fd for one in memory */
    int folder_fd; /* the folder of names; -1: observing a file */
    pid_t pid;     /* of the process that opened the handle */
    bool named;    /* the name is linked, or was found so, and is to be released */
    char *name;
    char *file;           /* path of the file that the segment lies in, if it is to be published */
    bool file_linked;     /* that file is there already */
    char *temporary_name; /* of data_fd while unpublished, where the file system cannot make nameless files */
};

/* The status for an errno. */
int32_t linux_status(int error);

/* Opens the folder of names, and makes it if `create`. Stores a descriptor or returns a status. */
int32_t linux_folder_open(bool create, int *folder_fd);

/* A new file in a folder, without a name if the file system can do that, else under `*temporary_name` (else NULL). */
int32_t linux_file_create(int folder_fd, const char *near_name, int *fd, char **temporary_name);

/* Gives such a file its name: MAPRING_EXISTS if that is taken. */
int32_t linux_file_link(int fd, int from_folder_fd, const char *temporary_name, int to_folder_fd, const char *name);

#endif
