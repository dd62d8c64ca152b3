#include <mapring/mapring.h>

#include <stddef.h>

#include "layout.h"

struct status_words {
    int32_t status;
    const char *name;
    const char *text;
};

#define STATUS(status, text)                                                                                           \
    {                                                                                                                  \
        status, #status, text                                                                                          \
    }

static const struct status_words statuses[] = {
    STATUS(MAPRING_OK, "Success."),
    STATUS(MAPRING_INVALID_ARGUMENT, "An argument is out of its range or missing; see the header for what is allowed."),
    STATUS(MAPRING_INVALID_OPTIONS,
           "The options have an unknown struct_size, an unknown mode or a reserved field that is not zero; zero the "
           "struct and set struct_size to its sizeof."),
    STATUS(MAPRING_INVALID_NAME, "The name is not 1 to 200 bytes of UTF-8 without '/', '\\' and control characters, or "
                                 "starts with '.'; choose another."),
    STATUS(MAPRING_INVALID_CAPACITY, "The capacity is not a power of two from 4 KiB to 16 GiB; choose one that is."),
    STATUS(MAPRING_MESSAGE_TOO_LARGE,
           "The message is longer than a quarter of the ring's capacity, than 1 GiB, or than "
           "was claimed; use a larger ring or split it."),
    STATUS(MAPRING_BUFFER_TOO_SMALL, "The next message does not fit into the buffer; it was left in the ring, and its "
                                     "length was returned."),
    STATUS(MAPRING_CLAIM_OPEN, "A claim is still open; commit or abandon it first."),
    STATUS(MAPRING_NO_CLAIM, "There is no claim to commit or abandon; claim first."),
    STATUS(MAPRING_NOT_READ, "More messages were to be released than were read in place; nothing was released."),
    STATUS(MAPRING_UNRELEASED, "Messages read in place are still held; release them before receiving copies."),
    STATUS(MAPRING_INVALID_SIZE, "The size is 0, or reaches beyond the segment or what a segment can have; see what "
                                 "mapring_segment_stat() says."),
    STATUS(MAPRING_MISALIGNED, "The offset or the wanted address is no multiple of mapring_view_alignment()."),
    STATUS(MAPRING_NOT_MAPPED, "The handle has no view there; use an address that it was given."),
    STATUS(MAPRING_NOT_LOCKED, "The mutex is not locked by this handle; nothing was unlocked."),
    STATUS(MAPRING_LOCKED, "The mutex is locked by this handle already; unlock it first, or open another handle."),
    STATUS(MAPRING_FULL, "The ring is full of messages that consumers still hold; wait longer, or see who lags."),
    STATUS(MAPRING_TIMEOUT, "The time passed before it happened; wait longer, or see what the other side does."),
    STATUS(MAPRING_STREAM_ENDED, "The producer has ended the stream."),
    STATUS(MAPRING_NO_PRODUCER, "The ring has no producer at this time: it died or closed without ending the stream; "
                                "read again to wait for the next."),
    STATUS(MAPRING_PRODUCER_EXISTS, "The ring has a living producer; stop that one first, or use another name."),
    STATUS(MAPRING_NO_SLOT, "The ring has as many consumers as it was made for; end one, or make it with more slots."),
    STATUS(MAPRING_BUSY, "Somebody else is using it; wait, or find out who."),
    STATUS(MAPRING_ADDRESS_TAKEN, "The wanted address is taken in this process, or is never to be had; use another."),
    STATUS(MAPRING_CANCELLED, "The wait was ended by a cancel call; nothing is lost, call again to wait on."),
    STATUS(MAPRING_LAPPED,
           "The producer overwrote messages before they were read, or while; read on with the oldest one "
           "there is, and ask mapring_progress() how many were lost."),
    STATUS(MAPRING_EVICTED, "The producer had no room and no longer waits for this consumer; rejoin, or open again."),
    STATUS(MAPRING_DEMOTED,
           "The producer had no room and no longer waits for this consumer, which is lossy from now on; "
           "read on, or rejoin."),
    STATUS(MAPRING_START_AHEAD, "The wished start is yet to come; start with the newest message, or later."),
    STATUS(MAPRING_NAME_IN_USE,
           "A consumer of that name, or a member of that group, lives; use another name, or end it."),
    STATUS(MAPRING_NO_GROUP, "The ring has as many groups as there can be; forget one that nobody uses."),
    STATUS(MAPRING_GROUP_DIFFERS, "The group exists with another filter of tags; use the same."),
    STATUS(MAPRING_HANDED_OVER, "The stream was handed over to another producer; close this handle."),
    STATUS(MAPRING_NOT_FOUND,
           "There is no such ring, or no such folder for its file; start the producer, or wait for it."),
    STATUS(MAPRING_EXISTS, "The name or file exists already; open it, remove it, or use another."),
    STATUS(MAPRING_WRONG_KIND, "The name belongs to an object of another kind, or within a ring to a consumer instead "
                               "of a group or the reverse; use "
                               "another name."),
    STATUS(MAPRING_NOT_A_RING, "What is there is no ring, and was left alone; use another name or file."),
    STATUS(MAPRING_WRONG_VERSION, "The ring has a format that this version does not know; use the same version on "
                                  "all sides."),
    STATUS(MAPRING_WRONG_GEOMETRY,
           "The existing ring has another capacity, slot count or backing than was asked for; ask "
           "for the same, or leave it open."),
    STATUS(MAPRING_WRONG_NAME, "The ring in that file was made under another name; use that name."),
    STATUS(MAPRING_TRUNCATED, "The segment is shorter than its own header says: something cut it off; remove it."),
    STATUS(MAPRING_CORRUPT, "The ring contradicts itself: something else wrote into it; remove it."),
    STATUS(MAPRING_UNTRUSTED, "The folder or segment belongs to another user, is writable by others, or is a symbolic "
                              "link; it was not used."),
    STATUS(MAPRING_FOREIGN, "What is there is a folder, a device, a FIFO, or nothing that this library made; it was "
                            "left alone. Use another name or file."),
    STATUS(MAPRING_TOO_SMALL, "The segment or file has fewer bytes than were asked for; ask for less, or for leave to "
                              "grow the file."),
    STATUS(MAPRING_PERMISSION, "The system does not permit access to the segment or its folder; or a sandbox refuses a "
                               "system call that this needs."),
    STATUS(MAPRING_NO_SPACE,
           "There is not enough room for the ring where it was to be kept; use a smaller capacity, or "
           "make room."),
    STATUS(MAPRING_NO_MEMORY, "There is not enough memory; use a smaller capacity."),
    STATUS(MAPRING_NO_DESCRIPTORS, "The process or the system has no file descriptors or handles left; close some."),
    STATUS(MAPRING_UNSUPPORTED, "This system does not offer what is needed: on Linux a writable /dev/shm, or a folder "
                                "named by MAPRING_DIR, MAPRING_GLOBAL_DIR for global names, in which files can be "
                                "locked; or a system call that it has, and a sandbox may hide."),
    STATUS(MAPRING_SYSTEM_ERROR, "The system refused for a reason of its own; its log may tell."),
};

static const struct status_words unknown_status = {0, "MAPRING_UNKNOWN", "This is no status of mapring."};

static const struct status_words *words_of(int32_t status)
{
    if (status > 0)
        status = MAPRING_OK;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status)
            return &statuses[i];
    return &unknown_status;
}

const char *mapring_status_name(int32_t status)
{
    return words_of(status)->name;
}

const char *mapring_status_text(int32_t status)
{
    return words_of(status)->text;
}
