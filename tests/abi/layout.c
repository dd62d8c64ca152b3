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
AT(mapring_message, flags, 28, 4);

static_assert(sizeof(mapring_producer_options) == 104, "mapring_producer_options");
AT(mapring_producer_options, struct_size, 0, 4);
AT(mapring_producer_options, mode, 4, 4);
AT(mapring_producer_options, capacity, 8, 8);
AT(mapring_producer_options, max_consumers, 16, 4);
AT(mapring_producer_options, slow_policy, 20, 4);
AT(mapring_producer_options, file, 24, 8);
AT(mapring_producer_options, first_position, 32, 8);
AT(mapring_producer_options, slow_ns, 40, 8);
AT(mapring_producer_options, hold_ns, 48, 8);
AT(mapring_producer_options, timeout_ns, 56, 8);
AT(mapring_producer_options, flags, 64, 4);
AT(mapring_producer_options, permissions, 68, 4);
AT(mapring_producer_options, waiting, 72, 4);
AT(mapring_producer_options, reserved0, 76, 4);
AT(mapring_producer_options, reserved, 80, 24);

static_assert(sizeof(mapring_consumer_options) == 96, "mapring_consumer_options");
AT(mapring_consumer_options, struct_size, 0, 4);
AT(mapring_consumer_options, kind, 4, 4);
AT(mapring_consumer_options, start, 8, 4);
AT(mapring_consumer_options, flags, 12, 4);
AT(mapring_consumer_options, start_value, 16, 8);
AT(mapring_consumer_options, timeout_ns, 24, 8);
AT(mapring_consumer_options, tag_mask, 32, 4);
AT(mapring_consumer_options, tag_value, 36, 4);
AT(mapring_consumer_options, own_name, 40, 8);
AT(mapring_consumer_options, group, 48, 8);
AT(mapring_consumer_options, file, 56, 8);
AT(mapring_consumer_options, waiting, 64, 4);
AT(mapring_consumer_options, reserved0, 68, 4);
AT(mapring_consumer_options, reserved, 72, 24);

static_assert(sizeof(mapring_consumer_progress) == 104, "mapring_consumer_progress");
AT(mapring_consumer_progress, struct_size, 0, 4);
AT(mapring_consumer_progress, kind, 4, 4);
AT(mapring_consumer_progress, position, 8, 8);
AT(mapring_consumer_progress, sequence, 16, 8);
AT(mapring_consumer_progress, lost_messages, 24, 8);
AT(mapring_consumer_progress, lost_bytes, 32, 8);
AT(mapring_consumer_progress, torn_messages, 40, 8);
AT(mapring_consumer_progress, redelivered, 48, 8);
AT(mapring_consumer_progress, epoch, 56, 8);
AT(mapring_consumer_progress, unreleased, 64, 8);
AT(mapring_consumer_progress, reserved, 72, 32);

static_assert(sizeof(mapring_ring_info) == 400, "mapring_ring_info");
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
AT(mapring_ring_info, groups, 76, 4);
AT(mapring_ring_info, name, 80, 208);
AT(mapring_ring_info, slow_policy, 288, 4);
AT(mapring_ring_info, flags, 292, 4);
AT(mapring_ring_info, slow_ns, 296, 8);
AT(mapring_ring_info, hold_ns, 304, 8);
AT(mapring_ring_info, evictions, 312, 8);
AT(mapring_ring_info, demotions, 320, 8);
AT(mapring_ring_info, flushed, 328, 8);
AT(mapring_ring_info, parks, 336, 8);
AT(mapring_ring_info, wakes, 344, 8);
AT(mapring_ring_info, wakes_avoided, 352, 8);
AT(mapring_ring_info, spurious_wakes, 360, 8);
AT(mapring_ring_info, reserved, 368, 32);

static_assert(sizeof(mapring_consumer_info) == 184, "mapring_consumer_info");
AT(mapring_consumer_info, slot, 0, 4);
AT(mapring_consumer_info, pid, 4, 4);
AT(mapring_consumer_info, alive, 8, 4);
AT(mapring_consumer_info, kind, 12, 4);
AT(mapring_consumer_info, position, 16, 8);
AT(mapring_consumer_info, lag_bytes, 24, 8);
AT(mapring_consumer_info, lag_messages, 32, 8);
AT(mapring_consumer_info, lost, 40, 8);
AT(mapring_consumer_info, redelivered, 48, 8);
AT(mapring_consumer_info, let_go, 56, 4);
AT(mapring_consumer_info, waiting, 60, 4);
AT(mapring_consumer_info, own_name, 64, 64);
AT(mapring_consumer_info, parks, 128, 8);
AT(mapring_consumer_info, wakes, 136, 8);
AT(mapring_consumer_info, wakes_avoided, 144, 8);
AT(mapring_consumer_info, spurious_wakes, 152, 8);
AT(mapring_consumer_info, descriptor, 160, 4);
AT(mapring_consumer_info, reserved0, 164, 4);
AT(mapring_consumer_info, reserved, 168, 16);

static_assert(sizeof(mapring_group_info) == 120, "mapring_group_info");
AT(mapring_group_info, name, 0, 64);
AT(mapring_group_info, members, 64, 4);
AT(mapring_group_info, dead, 68, 4);
AT(mapring_group_info, tag_mask, 72, 4);
AT(mapring_group_info, tag_value, 76, 4);
AT(mapring_group_info, position, 80, 8);
AT(mapring_group_info, lag_bytes, 88, 8);
AT(mapring_group_info, lag_messages, 96, 8);
AT(mapring_group_info, reserved, 104, 16);

static_assert(sizeof(mapring_check_report) == 128, "mapring_check_report");
AT(mapring_check_report, struct_size, 0, 4);
AT(mapring_check_report, problems, 4, 4);
AT(mapring_check_report, bad_records, 8, 4);
AT(mapring_check_report, bad_index, 12, 4);
AT(mapring_check_report, bad_cursors, 16, 4);
AT(mapring_check_report, bad_groups, 20, 4);
AT(mapring_check_report, bad_limits, 24, 4);
AT(mapring_check_report, bad_checkpoints, 28, 4);
AT(mapring_check_report, problem_position, 32, 8);
AT(mapring_check_report, capacity, 40, 8);
AT(mapring_check_report, oldest, 48, 8);
AT(mapring_check_report, messages, 56, 8);
AT(mapring_check_report, bytes, 64, 8);
AT(mapring_check_report, padding, 72, 8);
AT(mapring_check_report, index_entries, 80, 4);
AT(mapring_check_report, consumers, 84, 4);
AT(mapring_check_report, dead, 88, 4);
AT(mapring_check_report, producer_alive, 92, 4);
AT(mapring_check_report, reserved, 96, 32);

static_assert(sizeof(mapring_segment_options) == 64, "mapring_segment_options");
AT(mapring_segment_options, struct_size, 0, 4);
AT(mapring_segment_options, mode, 4, 4);
AT(mapring_segment_options, size, 8, 8);
AT(mapring_segment_options, file, 16, 8);
AT(mapring_segment_options, flags, 24, 4);
AT(mapring_segment_options, permissions, 28, 4);
AT(mapring_segment_options, reserved, 32, 32);

static_assert(sizeof(mapring_segment_info) == 296, "mapring_segment_info");
AT(mapring_segment_info, struct_size, 0, 4);
AT(mapring_segment_info, flags, 4, 4);
AT(mapring_segment_info, size, 8, 8);
AT(mapring_segment_info, allocated, 16, 8);
AT(mapring_segment_info, large_pages, 24, 8);
AT(mapring_segment_info, created_ns, 32, 8);
AT(mapring_segment_info, created, 40, 4);
AT(mapring_segment_info, backing, 44, 4);
AT(mapring_segment_info, views, 48, 4);
AT(mapring_segment_info, reserved0, 52, 4);
AT(mapring_segment_info, name, 56, 208);
AT(mapring_segment_info, reserved, 264, 32);

static_assert(sizeof(mapring_event_options) == 56, "mapring_event_options");
AT(mapring_event_options, struct_size, 0, 4);
AT(mapring_event_options, mode, 4, 4);
AT(mapring_event_options, manual_reset, 8, 4);
AT(mapring_event_options, set, 12, 4);
AT(mapring_event_options, flags, 16, 4);
AT(mapring_event_options, permissions, 20, 4);
AT(mapring_event_options, reserved, 24, 32);

static_assert(sizeof(mapring_semaphore_options) == 56, "mapring_semaphore_options");
AT(mapring_semaphore_options, struct_size, 0, 4);
AT(mapring_semaphore_options, mode, 4, 4);
AT(mapring_semaphore_options, initial, 8, 4);
AT(mapring_semaphore_options, maximum, 12, 4);
AT(mapring_semaphore_options, flags, 16, 4);
AT(mapring_semaphore_options, permissions, 20, 4);
AT(mapring_semaphore_options, reserved, 24, 32);

static_assert(sizeof(mapring_mutex_options) == 48, "mapring_mutex_options");
AT(mapring_mutex_options, struct_size, 0, 4);
AT(mapring_mutex_options, mode, 4, 4);
AT(mapring_mutex_options, flags, 8, 4);
AT(mapring_mutex_options, permissions, 12, 4);
AT(mapring_mutex_options, reserved, 16, 32);

static_assert(MAPRING_OK == 0 && MAPRING_INVALID_ARGUMENT == -1 && MAPRING_INVALID_OPTIONS == -2 &&
                  MAPRING_INVALID_NAME == -3 && MAPRING_INVALID_CAPACITY == -4 && MAPRING_MESSAGE_TOO_LARGE == -5 &&
                  MAPRING_BUFFER_TOO_SMALL == -6 && MAPRING_CLAIM_OPEN == -7 && MAPRING_NO_CLAIM == -8 &&
                  MAPRING_NOT_READ == -9 && MAPRING_UNRELEASED == -10,
              "statuses of wrong calls");
static_assert(MAPRING_FULL == -20 && MAPRING_TIMEOUT == -21 && MAPRING_STREAM_ENDED == -22 &&
                  MAPRING_NO_PRODUCER == -23 && MAPRING_PRODUCER_EXISTS == -24 && MAPRING_NO_SLOT == -25 &&
                  MAPRING_LAPPED == -26 && MAPRING_EVICTED == -27 && MAPRING_DEMOTED == -28 &&
                  MAPRING_START_AHEAD == -29 && MAPRING_NAME_IN_USE == -30 && MAPRING_NO_GROUP == -31 &&
                  MAPRING_GROUP_DIFFERS == -32 && MAPRING_HANDED_OVER == -33 && MAPRING_BUSY == -34,
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
static_assert(MAPRING_INVALID_SIZE == -11 && MAPRING_MISALIGNED == -12 && MAPRING_NOT_MAPPED == -13 &&
                  MAPRING_NOT_LOCKED == -14 && MAPRING_LOCKED == -15 && MAPRING_BUSY == -34 &&
                  MAPRING_ADDRESS_TAKEN == -35 && MAPRING_FOREIGN == -50 && MAPRING_TOO_SMALL == -51,
              "statuses of segments");
static_assert(MAPRING_KIND_RING == 1 && MAPRING_KIND_SEGMENT == 2 && MAPRING_KIND_EVENT == 3 &&
                  MAPRING_KIND_SEMAPHORE == 4 && MAPRING_KIND_MUTEX == 5,
              "kinds of names");
static_assert(MAPRING_READ_ONLY == 0x100 && MAPRING_OTHER_OWNERS == 0x200 && MAPRING_PERSISTENT == 0x400 &&
                  MAPRING_GROW_FILE == 0x800 && MAPRING_LARGE_PAGES == 0x1000 && MAPRING_PREFAULT == 0x2000 &&
                  MAPRING_LOCK_PAGES == 0x4000 && MAPRING_INHERITABLE == 0x8000,
              "flags of segments");
static_assert(MAPRING_IN_MEMORY == 0 && MAPRING_IN_FILE == 1 && MAPRING_ABANDONED == 1, "others of segments");
static_assert(MAPRING_FROM_OLDEST == 0 && MAPRING_FROM_NEWEST == 1 && MAPRING_FROM_SEQUENCE == 2 &&
                  MAPRING_FROM_TIME == 3,
              "starts");
static_assert(MAPRING_RESUMED == 1 && MAPRING_START_GONE == 2, "how a consumer was attached");
static_assert(MAPRING_MORE == 1 && MAPRING_REDELIVERED == 1 && MAPRING_DURABLE == 1, "flags");
static_assert(MAPRING_RELIABLE == 1 && MAPRING_LOSSY == 2 && MAPRING_MEMBER == 3 && MAPRING_OBSERVER == 4, "kinds");
static_assert(MAPRING_SLOW_WAIT == 0 && MAPRING_SLOW_FAIL == 1 && MAPRING_SLOW_DEMOTE == 2 && MAPRING_SLOW_EVICT == 3,
              "policies");
static_assert(MAPRING_FENCE_FULL == 1 && MAPRING_FENCE_ASYMMETRIC == 2, "fences");
static_assert(MAPRING_NAME_MAX == 200 && MAPRING_OWN_NAME_MAX == 63 && MAPRING_FOREVER == INT64_MAX, "limits");

/* The library that is linked was built from the same headers. */
int main(void)
{
    return mapring_abi_version() == MAPRING_ABI_VERSION && mapring_format_version() == MAPRING_FORMAT_VERSION ? 0 : 1;
}
