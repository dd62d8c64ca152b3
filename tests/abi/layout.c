/*
 * The public structs and values as bindings know them. What is asserted here changes only together with the ABI
 * version.
 */
#include <assert.h>
#include <stddef.h>

#include <mapring/mapring.h>

#define AT(type, field, offset, size)                                                                                  \
    static_assert(offsetof(type, field) == (offset) && sizeof(((type *)0)->field) == (size), #type "." #field)

static_assert(MAPRING_ABI_VERSION == 0, "the ABI described here");

static_assert(sizeof(mapring_message) == 32, "mapring_message");
AT(mapring_message, data, 0, 8);
AT(mapring_message, length, 8, 8);
AT(mapring_message, sequence, 16, 8);
AT(mapring_message, tag, 24, 4);
AT(mapring_message, reserved, 28, 4);

static_assert(sizeof(mapring_producer_options) == 72, "mapring_producer_options");
AT(mapring_producer_options, struct_size, 0, 4);
AT(mapring_producer_options, mode, 4, 4);
AT(mapring_producer_options, capacity, 8, 8);
AT(mapring_producer_options, max_consumers, 16, 4);
AT(mapring_producer_options, reserved0, 20, 4);
AT(mapring_producer_options, file, 24, 8);
AT(mapring_producer_options, first_position, 32, 8);
AT(mapring_producer_options, reserved, 40, 32);

static_assert(sizeof(mapring_consumer_options) == 48, "mapring_consumer_options");
AT(mapring_consumer_options, struct_size, 0, 4);
AT(mapring_consumer_options, start, 4, 4);
AT(mapring_consumer_options, timeout_ns, 8, 8);
AT(mapring_consumer_options, reserved, 16, 32);

static_assert(sizeof(mapring_ring_info) == 320, "mapring_ring_info");
AT(mapring_ring_info, struct_size, 0, 4);
AT(mapring_ring_info, max_consumers, 4, 4);
AT(mapring_ring_info, capacity, 8, 8);
AT(mapring_ring_info, memory, 16, 8);
AT(mapring_ring_info, position, 24, 8);
AT(mapring_ring_info, messages, 32, 8);
AT(mapring_ring_info, oldest, 40, 8);
AT(mapring_ring_info, epoch, 48, 8);
AT(mapring_ring_info, producer_pid, 56, 4);
AT(mapring_ring_info, producer_alive, 60, 4);
AT(mapring_ring_info, consumers, 64, 4);
AT(mapring_ring_info, ended, 68, 4);
AT(mapring_ring_info, fence, 72, 4);
AT(mapring_ring_info, reserved0, 76, 4);
AT(mapring_ring_info, name, 80, 208);
AT(mapring_ring_info, reserved, 288, 32);

static_assert(sizeof(mapring_consumer_info) == 56, "mapring_consumer_info");
AT(mapring_consumer_info, slot, 0, 4);
AT(mapring_consumer_info, pid, 4, 4);
AT(mapring_consumer_info, alive, 8, 4);
AT(mapring_consumer_info, kind, 12, 4);
AT(mapring_consumer_info, position, 16, 8);
AT(mapring_consumer_info, lag_bytes, 24, 8);
AT(mapring_consumer_info, lag_messages, 32, 8);
AT(mapring_consumer_info, reserved, 40, 16);

static_assert(MAPRING_OK == 0 && MAPRING_INVALID_ARGUMENT == -1 && MAPRING_INVALID_OPTIONS == -2 &&
                  MAPRING_INVALID_NAME == -3 && MAPRING_INVALID_CAPACITY == -4 && MAPRING_MESSAGE_TOO_LARGE == -5 &&
                  MAPRING_BUFFER_TOO_SMALL == -6 && MAPRING_CLAIM_OPEN == -7 && MAPRING_NO_CLAIM == -8 &&
                  MAPRING_NOT_READ == -9 && MAPRING_UNRELEASED == -10,
              "statuses of wrong calls");
static_assert(MAPRING_FULL == -20 && MAPRING_TIMEOUT == -21 && MAPRING_STREAM_ENDED == -22 &&
                  MAPRING_NO_PRODUCER == -23 && MAPRING_PRODUCER_EXISTS == -24 && MAPRING_NO_SLOT == -25,
              "statuses of the ring");
static_assert(MAPRING_NOT_FOUND == -40 && MAPRING_EXISTS == -41 && MAPRING_WRONG_KIND == -42 &&
                  MAPRING_NOT_A_RING == -43 && MAPRING_WRONG_VERSION == -44 && MAPRING_WRONG_GEOMETRY == -45 &&
                  MAPRING_WRONG_NAME == -46 && MAPRING_TRUNCATED == -47 && MAPRING_CORRUPT == -48 &&
                  MAPRING_UNTRUSTED == -49,
              "statuses of what was found");
static_assert(MAPRING_PERMISSION == -60 && MAPRING_NO_SPACE == -61 && MAPRING_NO_MEMORY == -62 &&
                  MAPRING_NO_DESCRIPTORS == -63 && MAPRING_UNSUPPORTED == -64 && MAPRING_SYSTEM_ERROR == -65,
              "statuses of the system");

static_assert(MAPRING_CREATE_OR_OPEN == 0 && MAPRING_CREATE_NEW == 1 && MAPRING_OPEN_EXISTING == 2, "modes");
static_assert(MAPRING_FROM_OLDEST == 0 && MAPRING_FROM_NEWEST == 1, "starts");
static_assert(MAPRING_MORE == 1, "flags");
static_assert(MAPRING_RELIABLE == 1, "kinds");
static_assert(MAPRING_FENCE_FULL == 1 && MAPRING_FENCE_ASYMMETRIC == 2, "fences");
static_assert(MAPRING_NAME_MAX == 200 && MAPRING_FOREVER == INT64_MAX, "limits");

/* The library that is linked was built from the same headers. */
int main(void)
{
    return mapring_abi_version() == MAPRING_ABI_VERSION && mapring_format_version() == MAPRING_FORMAT_VERSION ? 0 : 1;
}
