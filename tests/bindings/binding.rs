//! mapring from Rust, with hand-written declarations and no crates: publishes or consumes the stream that all bindings
//! of the test agree on; see binding.py.
//!
//! Usage: binding produce|consume NAME COUNT

use std::convert::TryInto;
use std::ffi::{c_void, CStr, CString};
use std::os::raw::c_char;
use std::ptr::{null, null_mut};

const SECOND: i64 = 1_000_000_000;
const CAPACITY: u64 = 1 << 17;
const MORE: u32 = 1;
const STREAM_ENDED: i32 = -22;
const BATCH: usize = 5;

#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    data: *const u8,
    length: u64,
    sequence: u64,
    tag: u32,
    flags: u32,
}

const EMPTY: Message = Message { data: null(), length: 0, sequence: 0, tag: 0, flags: 0 };

#[repr(C)]
struct ProducerOptions {
    struct_size: u32,
    mode: u32,
    capacity: u64,
    max_consumers: u32,
    slow_policy: u32,
    file: *const c_char,
    first_position: u64,
    slow_ns: i64,
    hold_ns: i64,
    timeout_ns: i64,
    flags: u32,
    permissions: u32,
    waiting: u32,
    reserved0: u32,
    reserved: [u64; 3],
}

#[repr(C)]
struct ConsumerOptions {
    struct_size: u32,
    kind: u32,
    start: u32,
    flags: u32,
    start_value: u64,
    timeout_ns: i64,
    tag_mask: u32,
    tag_value: u32,
    own_name: *const c_char,
    group: *const c_char,
    file: *const c_char,
    waiting: u32,
    reserved0: u32,
    reserved: [u64; 3],
}

#[repr(C)]
struct RingInfo {
    struct_size: u32,
    max_consumers: u32,
    capacity: u64,
    memory: u64,
    position: u64,
    messages: u64,
    oldest: u64,
    epoch: u64,
    producer_pid: u32,
    producer_alive: u32,
    consumers: u32,
    ended: u32,
    fence: u32,
    groups: u32,
    name: [c_char; 208],
    slow_policy: u32,
    flags: u32,
    slow_ns: u64,
    hold_ns: u64,
    evictions: u64,
    demotions: u64,
    flushed: u64,
    parks: u64,
    wakes: u64,
    wakes_avoided: u64,
    spurious_wakes: u64,
    reserved: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct ConsumerInfo {
    slot: u32,
    pid: u32,
    alive: u32,
    kind: u32,
    position: u64,
    lag_bytes: u64,
    lag_messages: u64,
    lost: u64,
    redelivered: u64,
    let_go: u32,
    waiting: u32,
    own_name: [c_char; 64],
    parks: u64,
    wakes: u64,
    wakes_avoided: u64,
    spurious_wakes: u64,
    descriptor: u32,
    reserved0: u32,
    reserved: [u64; 2],
}

type Handle = *mut c_void;

#[link(name = "mapring")]
extern "C" {
    fn mapring_status_name(status: i32) -> *const c_char;
    fn mapring_name_max() -> u32;
    fn mapring_message_max(capacity: u64) -> u64;
    fn mapring_producer_open(name: *const c_char, options: *const ProducerOptions, producer: *mut Handle) -> i32;
    fn mapring_producer_close(producer: Handle);
    fn mapring_publish(producer: Handle, data: *const u8, length: u64, tag: u32, flags: u32, timeout_ns: i64) -> i32;
    fn mapring_publish_batch(producer: Handle, messages: *const Message, count: u32, timeout_ns: i64) -> i32;
    fn mapring_claim(producer: Handle, length: u64, timeout_ns: i64, payload: *mut *mut u8) -> i32;
    fn mapring_commit(producer: Handle, length: u64, tag: u32, flags: u32) -> i32;
    fn mapring_claim_batch(producer: Handle, messages: *mut Message, count: u32, timeout_ns: i64) -> i32;
    fn mapring_commit_batch(producer: Handle, messages: *const Message, count: u32) -> i32;
    fn mapring_end(producer: Handle) -> i32;
    fn mapring_wait_consumers(producer: Handle, count: u32, timeout_ns: i64) -> i32;
    fn mapring_drain(producer: Handle, timeout_ns: i64) -> i32;
    fn mapring_consumer_open(name: *const c_char, options: *const ConsumerOptions, consumer: *mut Handle) -> i32;
    fn mapring_consumer_close(consumer: Handle);
    fn mapring_read(consumer: Handle, messages: *mut Message, max: u32, timeout_ns: i64) -> i32;
    fn mapring_release(consumer: Handle, count: u32) -> i32;
    fn mapring_receive(consumer: Handle, buffer: *mut u8, size: u64, messages: *mut Message, max: u32, timeout_ns: i64)
        -> i32;
    fn mapring_stat(name: *const c_char, file: *const c_char, info: *mut RingInfo, consumers: *mut ConsumerInfo,
        max: u32) -> i32;
}

fn status_name(status: i32) -> String {
    unsafe { CStr::from_ptr(mapring_status_name(status)) }.to_string_lossy().into_owned()
}

/// A count, or the end of the program.
fn good(status: i32) -> usize {
    status.try_into().unwrap_or_else(|_| panic!("{}", status_name(status)))
}

fn tag(i: usize) -> u32 {
    (i as u32).wrapping_mul(2654435761)
}

fn content(i: usize) -> Vec<u8> {
    let length = i * 37 % 300 + if i % 100 == 99 { 20000 } else { 0 };
    (0..length).map(|j| (i + 7 * j) as u8).collect()
}

fn stat(name: &CStr) -> (RingInfo, Vec<ConsumerInfo>) {
    unsafe {
        let mut info: RingInfo = std::mem::zeroed();
        info.struct_size = std::mem::size_of::<RingInfo>() as u32;
        let mut consumers: [ConsumerInfo; 4] = std::mem::zeroed();
        let count = good(mapring_stat(name.as_ptr(), null(), &mut info, consumers.as_mut_ptr(), 4));
        assert_eq!(CStr::from_ptr(info.name.as_ptr()), name);
        assert_eq!(info.capacity, CAPACITY);
        assert_eq!(info.epoch, 1);
        (info, consumers[..count].to_vec())
    }
}

unsafe fn publish_batch(producer: Handle, i: usize, count: usize) -> usize {
    let contents: Vec<Vec<u8>> = (i..i + count).map(content).collect();
    let messages: Vec<Message> = contents
        .iter()
        .enumerate()
        .map(|(k, data)| Message { data: data.as_ptr(), length: data.len() as u64, tag: tag(i + k), ..EMPTY })
        .collect();
    good(mapring_publish_batch(producer, messages.as_ptr(), count as u32, 20 * SECOND))
}

unsafe fn publish_in_place(producer: Handle, i: usize) -> usize {
    let data = content(i);
    let mut payload = null_mut();
    good(mapring_claim(producer, data.len() as u64 + 50, 20 * SECOND, &mut payload));
    std::slice::from_raw_parts_mut(payload, data.len()).copy_from_slice(&data);
    good(mapring_commit(producer, data.len() as u64, tag(i), 0));
    1
}

unsafe fn publish_batch_in_place(producer: Handle, i: usize, count: usize) -> usize {
    let mut messages: Vec<Message> =
        (i..i + count).map(|k| Message { length: content(k).len() as u64, ..EMPTY }).collect();
    let granted = good(mapring_claim_batch(producer, messages.as_mut_ptr(), count as u32, 20 * SECOND));
    for (k, message) in messages[..granted].iter_mut().enumerate() {
        let data = content(i + k);
        std::slice::from_raw_parts_mut(message.data as *mut u8, data.len()).copy_from_slice(&data);
        message.tag = tag(i + k);
    }
    good(mapring_commit_batch(producer, messages.as_ptr(), granted as u32));
    granted
}

unsafe fn produce(name: &CStr, count: usize) {
    let options = ProducerOptions {
        struct_size: std::mem::size_of::<ProducerOptions>() as u32,
        capacity: CAPACITY,
        ..std::mem::zeroed()
    };
    let mut producer = null_mut();
    good(mapring_producer_open(name.as_ptr(), &options, &mut producer));
    good(mapring_wait_consumers(producer, 1, 20 * SECOND));
    let (info, consumers) = stat(name);
    assert_eq!((info.producer_pid, info.producer_alive, info.messages), (std::process::id(), 1, 0));
    assert_eq!(consumers.len(), 1);
    assert_eq!((consumers[0].alive, consumers[0].kind), (1, 1));
    let mut i = 0;
    while i < count {
        let batch = BATCH.min(count - i);
        i += match i / 10 % 5 {
            0 | 1 => {
                let data = content(i);
                let flags = if i / 10 % 5 == 1 { MORE } else { 0 };
                good(mapring_publish(producer, data.as_ptr(), data.len() as u64, tag(i), flags, 20 * SECOND));
                1
            }
            2 => publish_batch(producer, i, batch),
            3 => publish_in_place(producer, i),
            _ => publish_batch_in_place(producer, i, batch),
        };
    }
    good(mapring_end(producer));
    let (info, _) = stat(name);
    assert_eq!((info.messages, info.ended), (count as u64, 1));
    good(mapring_drain(producer, 20 * SECOND));
    mapring_producer_close(producer);
}

unsafe fn consume(name: &CStr, count: usize) {
    let options = ConsumerOptions {
        struct_size: std::mem::size_of::<ConsumerOptions>() as u32,
        timeout_ns: 20 * SECOND,
        ..std::mem::zeroed()
    };
    let mut consumer = null_mut();
    good(mapring_consumer_open(name.as_ptr(), &options, &mut consumer));
    let (info, consumers) = stat(name);
    assert_eq!(info.consumers, 1);
    assert_eq!(consumers[0].pid, std::process::id());
    let mut buffer = vec![0u8; 65536];
    let mut i = 0;
    loop {
        let mut messages = [EMPTY; BATCH];
        let max = if i % 3 == 0 { 1 } else { BATCH as u32 };
        let copying = i % 2 == 0;
        let found = if copying {
            let size = buffer.len() as u64;
            mapring_receive(consumer, buffer.as_mut_ptr(), size, messages.as_mut_ptr(), max, 20 * SECOND)
        } else {
            mapring_read(consumer, messages.as_mut_ptr(), max, 20 * SECOND)
        };
        if found == STREAM_ENDED {
            break;
        }
        let found = good(found);
        assert!(found > 0, "nothing came");
        for message in &messages[..found] {
            assert_eq!((message.sequence, message.tag), (i as u64, tag(i)));
            let data = std::slice::from_raw_parts(message.data, message.length as usize);
            assert!(data == &content(i)[..], "the content of message {}", i);
            i += 1;
        }
        if !copying {
            good(mapring_release(consumer, found as u32));
        }
    }
    assert_eq!(i, count);
    mapring_consumer_close(consumer);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let name = CString::new(arguments[2].as_str()).unwrap();
    let count = arguments[3].parse().unwrap();
    unsafe {
        assert_eq!((mapring_name_max(), mapring_message_max(CAPACITY)), (200, CAPACITY / 4));
        let mut bad = null_mut();
        let bad_name = CString::new("no/name").unwrap();
        let status = mapring_consumer_open(bad_name.as_ptr(), null(), &mut bad);
        assert_eq!(status_name(status), "MAPRING_INVALID_NAME");
        assert!(bad.is_null());
        match arguments[1].as_str() {
            "produce" => produce(&name, count),
            "consume" => consume(&name, count),
            role => panic!("{}: produce or consume", role),
        }
    }
}
