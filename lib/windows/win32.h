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

#define WIN32_PAGE 4096u

struct win32_control;

struct platform_segment {
    HANDLE mapping;    /* the section that has the bytes; the name lives as long as somebody has a handle of it */
    HANDLE named;      /* the one that has the name, for a ring that was opened by its file, and a segment in a file */
    HANDLE file;       /* keeps others from the file; NULL: none */
    uint64_t size;     /* of the section with the bytes, rounded up to pages */
    uint64_t old_size; /* of a file, before it was made larger */
    uint64_t new_size; /* of a file that is made larger when it is published; else, and afterwards, 0 */
    struct win32_control *control; /* of what is in a file: who has the file, */
    HANDLE control_section;        /* which for a ring is in a section of its own; NULL: none */
    wchar_t *unpublished; /* full path of a file that this handle made and has not published: goes with the handle */
    wchar_t name[WIN32_NAME_SIZE]; /* that is to be published */
    uint32_t flags;
    uint32_t permissions;
    struct segment_header header; /* of what is no ring */
    uint64_t lock_id[2];          /* the ring's id, once it has been needed; 0 before */
    HANDLE locks[PLATFORM_LOCKS];
};

/* The status for what GetLastError() returned. */
int32_t win32_status(DWORD error);

/* How long to wait: rounded up, so that nobody wakes too early and waits again. Never INFINITE. */
DWORD win32_milliseconds_until(uint64_t deadline_ns);

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
    union win32_sid others;
    union {
        ACL acl;
        uint8_t bytes[sizeof(ACL) + 2 * (sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE)];
    } list;
};

/* The owner is the user; of the permissions the bits of owner and others count, and 0 is 0600. */
int32_t win32_access_of(uint32_t permissions, struct win32_access *access);

/* Whether an object, opened with READ_CONTROL, belongs to this user. */
bool win32_is_own(HANDLE object);

/* Names. */

/* The object that a valid name belongs to: of this session, or of the machine. MAPRING_INVALID_NAME if it is no valid
 * UTF-8 or too long. */
int32_t win32_object_name(const char *name, wchar_t object_name[WIN32_NAME_SIZE]);

/* An object of the library's own, of this session or of the machine as that one is: no name of a caller's starts with a
 * dot. */
void win32_companion_name(const wchar_t *object_name, const wchar_t *use, wchar_t name[WIN32_NAME_SIZE]);

/* The part of an object's name behind its prefix. */
const wchar_t *win32_plain_name(const wchar_t *object_name);

/* A lock or an event of a ring: a name of the machine, since a ring in a file can be reached from several sessions. */
void win32_ring_name(const uint64_t ring_id[2], const wchar_t *use, uint32_t number,
                     wchar_t object_name[WIN32_NAME_SIZE]);

/* Sections (segment.c). */

/* Opens a section, and sees that it is ours to use: MAPRING_UNTRUSTED. */
int32_t win32_section_open(const wchar_t *object_name, DWORD rights, uint32_t flags, HANDLE *section);

/* How much of the section can be read, which is all of it but for strangers' sections that are only reserved; and what
 * its header says, whatever that is, if it is long enough for one. */
int32_t win32_section_look(HANDLE section, uint64_t *size, struct segment_header *header);

/* Files (files.c). */

/* The caller frees it. */
int32_t win32_wide_path(const char *path, wchar_t **out);

/* The same path, whatever the current folder will be. The caller frees it. */
wchar_t *win32_full_path(const wchar_t *path);

/* After MAPRING_PERMISSION GetLastError() tells more. */
int32_t win32_file_open(const wchar_t *path, DWORD rights, DWORD share, DWORD disposition,
                        SECURITY_ATTRIBUTES *attributes, HANDLE *out);

uint64_t win32_file_size(HANDLE file);

/* Those who have a handle of a segment's file: process ids in the low half, handles in the high; 0: nobody. */
#define WIN32_FILE_HOLDERS 64

/* What the section with the name of a segment in a file holds; and a section beside the name of a ring in a file. */
struct win32_control {
    struct segment_header header; /* of a segment */
    FILE_ID_INFO file;
    shared64 holders[WIN32_FILE_HOLDERS];
};

static_assert(sizeof(struct win32_control) <= WIN32_PAGE, "one page");

/* Says which file it is, for those who come after. */
bool win32_file_identify(HANDLE file, FILE_ID_INFO *id);

/* A handle of the file from one of its holders, or NULL. */
HANDLE win32_file_take(struct win32_control *control);

/* Joins the holders, of whom others may take it, and leaves them before the handle is closed. */
void win32_file_hold(struct win32_control *control, HANDLE file);
void win32_file_leave(struct win32_control *control, HANDLE file);

/* A ring's id, kept with the handle: MAPRING_CORRUPT if the ring has none yet. */
int32_t win32_ring_id(struct platform_segment *segment, uint64_t id[2]);

/* A handle of a ring that was opened by its name and takes a lock is there to stay: it joins the holders of the ring's
 * file, if that is in one and there are any. */
void win32_ring_attached(struct platform_segment *segment);

/* A function of the native interface (ntdll), or NULL. */
void (*win32_native_function(const char *name))(void);

#endif
