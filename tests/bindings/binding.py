#!/usr/bin/env python3
"""mapring from Python, with nothing but ctypes: publishes or consumes the stream that all bindings of the test agree on.

Usage: binding.py LIBRARY produce|consume NAME COUNT

Message i has the tag i * 2654435761 and i * 37 % 300 bytes (every hundredth 20,000 more), of which byte j is i + 7 * j.
"""

import ctypes as c
import os
import sys

SECOND = 1_000_000_000
CAPACITY = 1 << 17
MORE = 1
STREAM_ENDED = -22
BATCH = 5


class Message(c.Structure):
    _fields_ = [("data", c.c_void_p), ("length", c.c_uint64), ("sequence", c.c_uint64), ("tag", c.c_uint32),
                ("flags", c.c_uint32)]


class ProducerOptions(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("mode", c.c_uint32), ("capacity", c.c_uint64),
                ("max_consumers", c.c_uint32), ("slow_policy", c.c_uint32), ("file", c.c_char_p),
                ("first_position", c.c_uint64), ("slow_ns", c.c_int64), ("hold_ns", c.c_int64),
                ("timeout_ns", c.c_int64), ("flags", c.c_uint32), ("permissions", c.c_uint32),
                ("waiting", c.c_uint32), ("reserved0", c.c_uint32), ("reserved", c.c_uint64 * 3)]


class ConsumerOptions(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("kind", c.c_uint32), ("start", c.c_uint32),
                ("flags", c.c_uint32), ("start_value", c.c_uint64), ("timeout_ns", c.c_int64),
                ("tag_mask", c.c_uint32), ("tag_value", c.c_uint32), ("own_name", c.c_char_p),
                ("group", c.c_char_p), ("file", c.c_char_p), ("waiting", c.c_uint32),
                ("reserved0", c.c_uint32), ("reserved", c.c_uint64 * 3)]


class RingInfo(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("max_consumers", c.c_uint32), ("capacity", c.c_uint64),
                ("memory", c.c_uint64), ("position", c.c_uint64), ("messages", c.c_uint64),
                ("oldest", c.c_uint64), ("epoch", c.c_uint64), ("producer_pid", c.c_uint32),
                ("producer_alive", c.c_uint32), ("consumers", c.c_uint32), ("ended", c.c_uint32),
                ("fence", c.c_uint32), ("groups", c.c_uint32), ("name", c.c_char * 208),
                ("slow_policy", c.c_uint32), ("flags", c.c_uint32), ("slow_ns", c.c_uint64),
                ("hold_ns", c.c_uint64), ("evictions", c.c_uint64), ("demotions", c.c_uint64),
                ("flushed", c.c_uint64), ("parks", c.c_uint64), ("wakes", c.c_uint64),
                ("wakes_avoided", c.c_uint64), ("spurious_wakes", c.c_uint64), ("reserved", c.c_uint64 * 4)]


class ConsumerInfo(c.Structure):
    _fields_ = [("slot", c.c_uint32), ("pid", c.c_uint32), ("alive", c.c_uint32), ("kind", c.c_uint32),
                ("position", c.c_uint64), ("lag_bytes", c.c_uint64), ("lag_messages", c.c_uint64),
                ("lost", c.c_uint64), ("redelivered", c.c_uint64), ("let_go", c.c_uint32),
                ("waiting", c.c_uint32), ("own_name", c.c_char * 64), ("parks", c.c_uint64),
                ("wakes", c.c_uint64), ("wakes_avoided", c.c_uint64), ("spurious_wakes", c.c_uint64),
                ("descriptor", c.c_uint32), ("reserved0", c.c_uint32), ("reserved", c.c_uint64 * 2)]


def load(path):
    library = c.CDLL(path)
    handle = c.c_void_p
    handles = c.POINTER(c.c_void_p)
    messages = c.POINTER(Message)
    prototypes = {
        "status_name": (c.c_char_p, [c.c_int32]),
        "name_max": (c.c_uint32, []),
        "message_max": (c.c_uint64, [c.c_uint64]),
        "producer_open": (c.c_int32, [c.c_char_p, c.POINTER(ProducerOptions), handles]),
        "producer_close": (None, [handle]),
        "publish": (c.c_int32, [handle, c.c_char_p, c.c_uint64, c.c_uint32, c.c_uint32, c.c_int64]),
        "publish_batch": (c.c_int32, [handle, messages, c.c_uint32, c.c_int64]),
        "claim": (c.c_int32, [handle, c.c_uint64, c.c_int64, handles]),
        "commit": (c.c_int32, [handle, c.c_uint64, c.c_uint32, c.c_uint32]),
        "claim_batch": (c.c_int32, [handle, messages, c.c_uint32, c.c_int64]),
        "commit_batch": (c.c_int32, [handle, messages, c.c_uint32]),
        "end": (c.c_int32, [handle]),
        "wait_consumers": (c.c_int32, [handle, c.c_uint32, c.c_int64]),
        "drain": (c.c_int32, [handle, c.c_int64]),
        "consumer_open": (c.c_int32, [c.c_char_p, c.POINTER(ConsumerOptions), handles]),
        "consumer_close": (None, [handle]),
        "read": (c.c_int32, [handle, messages, c.c_uint32, c.c_int64]),
        "release": (c.c_int32, [handle, c.c_uint32]),
        "receive": (c.c_int32, [handle, c.c_void_p, c.c_uint64, messages, c.c_uint32, c.c_int64]),
        "stat": (c.c_int32, [c.c_char_p, c.c_char_p, c.POINTER(RingInfo), c.POINTER(ConsumerInfo), c.c_uint32]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, "mapring_" + name)
        function.restype = result
        function.argtypes = arguments
    return library


def tag(i):
    return i * 2654435761 % (1 << 32)


def content(i):
    length = i * 37 % 300 + (20000 if i % 100 == 99 else 0)
    return bytes((i + 7 * j) % 256 for j in range(length))


class Ring:
    def __init__(self, library, name):
        self.library = library
        self.name = name.encode()
        self.handle = c.c_void_p()

    def call(self, name, *arguments):
        """Calls a function, with the handle first; a negative status ends the program."""
        status = getattr(self.library, "mapring_" + name)(self.handle, *arguments)
        if status is not None and status < 0 and status != STREAM_ENDED:
            sys.exit(f"mapring_{name}: {self.library.mapring_status_name(status).decode()}")
        return status

    def stat(self):
        info = RingInfo(struct_size=c.sizeof(RingInfo))
        consumers = (ConsumerInfo * 4)()
        count = self.library.mapring_stat(self.name, None, info, consumers, 4)
        assert count >= 0, self.library.mapring_status_name(count)
        assert info.name == self.name and info.capacity == CAPACITY and info.epoch == 1
        return info, consumers[:count]


class Producer(Ring):
    def open(self):
        options = ProducerOptions(struct_size=c.sizeof(ProducerOptions), capacity=CAPACITY)
        status = self.library.mapring_producer_open(self.name, options, c.byref(self.handle))
        assert status == 0, self.library.mapring_status_name(status)

    def copy(self, i, flags):
        data = content(i)
        self.call("publish", data, len(data), tag(i), flags, 20 * SECOND)
        return 1

    def copy_batch(self, i, count):
        kept = [content(i + k) for k in range(count)]  # the addresses must stay good during the call
        messages = (Message * count)(*(Message(c.cast(c.c_char_p(data), c.c_void_p), len(data), 0, tag(i + k))
                                       for k, data in enumerate(kept)))
        return self.call("publish_batch", messages, count, 20 * SECOND)

    def in_place(self, i):
        data = content(i)
        payload = c.c_void_p()
        self.call("claim", len(data) + 50, 20 * SECOND, c.byref(payload))
        c.memmove(payload, data, len(data))
        self.call("commit", len(data), tag(i), 0)
        return 1

    def in_place_batch(self, i, count):
        messages = (Message * count)(*(Message(None, len(content(i + k))) for k in range(count)))
        granted = self.call("claim_batch", messages, count, 20 * SECOND)
        for k in range(granted):
            c.memmove(messages[k].data, content(i + k), messages[k].length)
            messages[k].tag = tag(i + k)
        self.call("commit_batch", messages, granted)
        return granted


def produce(library, name, count):
    producer = Producer(library, name)
    producer.open()
    producer.call("wait_consumers", 1, 20 * SECOND)
    info, consumers = producer.stat()
    assert info.producer_pid == os.getpid() and info.producer_alive == 1 and info.messages == 0
    assert len(consumers) == 1 and consumers[0].alive == 1 and consumers[0].kind == 1
    i = 0
    while i < count:
        batch = min(BATCH, count - i)
        kind = i // 10 % 5
        if kind == 0:
            i += producer.copy(i, 0)
        elif kind == 1:
            i += producer.copy(i, MORE)
        elif kind == 2:
            i += producer.copy_batch(i, batch)
        elif kind == 3:
            i += producer.in_place(i)
        else:
            i += producer.in_place_batch(i, batch)
    producer.call("end")
    info, _ = producer.stat()
    assert info.messages == count and info.ended == 1
    producer.call("drain", 20 * SECOND)
    producer.call("producer_close")


class Consumer(Ring):
    def open(self):
        options = ConsumerOptions(struct_size=c.sizeof(ConsumerOptions), timeout_ns=20 * SECOND)
        status = self.library.mapring_consumer_open(self.name, options, c.byref(self.handle))
        assert status == 0, self.library.mapring_status_name(status)
        self.buffer = c.create_string_buffer(65536)

    def take(self, i, max_count, copying):
        """Reads what is there, and returns the number of the next message, or None at the end of the stream."""
        messages = (Message * max_count)()
        if copying:
            found = self.call("receive", self.buffer, len(self.buffer), messages, max_count, 20 * SECOND)
        else:
            found = self.call("read", messages, max_count, 20 * SECOND)
        if found == STREAM_ENDED:
            return None
        assert found > 0, "nothing came"
        for message in messages[:found]:
            assert message.sequence == i and message.tag == tag(i), f"message {i}"
            assert c.string_at(message.data, message.length) == content(i), f"the content of message {i}"
            i += 1
        if not copying:
            self.call("release", found)
        return i


def consume(library, name, count):
    consumer = Consumer(library, name)
    consumer.open()
    info, consumers = consumer.stat()
    assert [entry.pid for entry in consumers] == [os.getpid()] and info.consumers == 1
    i = 0
    while True:
        following = consumer.take(i, 1 if i % 3 == 0 else BATCH, copying=i % 2 == 0)
        if following is None:
            break
        i = following
    assert i == count, f"{i} of {count} messages came"
    consumer.call("consumer_close")


def main(path, role, name, count):
    library = load(path)
    assert library.mapring_name_max() == 200 and library.mapring_message_max(CAPACITY) == CAPACITY // 4
    bad = c.c_void_p()
    status = library.mapring_consumer_open(b"no/name", None, c.byref(bad))
    assert library.mapring_status_name(status) == b"MAPRING_INVALID_NAME" and bad.value is None
    {"produce": produce, "consume": consume}[role](library, name, int(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
