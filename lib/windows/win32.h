/*
 * What the files of lib/windows/ share.
 */
#ifndef MAPRING_LIB_WIN32_H
#define MAPRING_LIB_WIN32_H

#include <stdbool.h>
#include <stdint.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "../layout.h"
#include "../platform.h"

/* Names of objects, ended by a zero. */
#define WIN32_NAME_SIZE 256

struct platform_segment {
    HANDLE mapping; /* the name lives as long as somebody has a handle such as this */
    HANDLE named;   /* or such as this, for a segment that was opened by its file */
    HANDLE file;    /* for a segment that was made or opened by its file: keeps writers away; else NULL */
    uint64_t size;
    wchar_t *unpublished; /* full path of a file that this handle made and has not published: goes with the handle */
    wchar_t name[WIN32_NAME_SIZE]; /* of a segment that was opened by its file, to be published */
    uint64_t lock_id[2];           /* the ring's id, once it has been needed; 0 before */
    HANDLE locks[PLATFORM_LOCKS];
};

/* The status for what GetLastError() returned. */
int32_t win32_status(DWORD error);

/* Who may use an object (access.c). */

/* A SID with what leads to it. */
union win32_sid {
    TOKEN_USER user;
    TOKEN_OWNER owner;
    TOKEN_PRIMARY_GROUP group;
    SID sid;
    uint8_t bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
};

/* Points into itself: not to be copied. */
struct win32_access {
    SECURITY_ATTRIBUTES attributes;
    SECURITY_DESCRIPTOR descriptor;
    union win32_sid user;
    union win32_sid group;
    union win32_sid others;
    union {
        ACL acl;
        uint8_t bytes[sizeof(ACL) + 3 * (sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE)];
    } list;
};

#define WIN32_OWNER_ALONE 0600u

/* The owner is the user; of the mode the read and write bits of owner, group and others count. */
int32_t win32_access_of_mode(uint32_t mode, struct win32_access *access);

/* Whether an object, opened with READ_CONTROL, belongs to this user. */
bool win32_is_own(HANDLE object);

/* Names. */

/* A segment: a name of this session. MAPRING_INVALID_NAME if it is no valid UTF-8 or too long. */
int32_t win32_segment_name(const char *name, wchar_t object_name[WIN32_NAME_SIZE]);

/* A lock or an event of a ring: a name of the machine, since a ring in a file can be reached from several sessions. No
 * segment's name is like it: none starts with a dot. */
void win32_ring_name(const uint64_t ring_id[2], const wchar_t *use, uint32_t number,
                     wchar_t object_name[WIN32_NAME_SIZE]);

/* A function of the native interface (ntdll), or NULL. */
void (*win32_native_function(const char *name))(void);

#endif
