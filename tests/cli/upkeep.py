"""mapring check, gc and forget: looking after rings and what the dead left."""

import json
import os
import struct
import subprocess
import threading

from harness import (LIMIT, argument_path, contains, equal, fails, finish, linux_test, main, path, read_exactly, run,
                     start, succeeds, test, until)

CAPACITY = 65536
STREAM = 65536  # where the stream begins in the file
INDEX = STREAM + 2048
DATA = STREAM + 4096
READERS = 196608  # the next 64 KiB behind the data
GROUPS = READERS + 5 * 128
SLOTS = READERS + 37 * 128


def checked(what):
    code, output, errors = run("check", what, "--json")
    equal(errors, "")
    return code, json.loads(output)


def kill_when_published(pub, messages):
    until(lambda: json.loads(run("stat", "ring", "--json")[1])["messages"] == messages)
    pub.kill()
    pub.wait(timeout=30)


def make_file(messages=100, consumer=("--name", "reader"), end=False, others=()):
    """A ring in a file, with a consumer that has read ten messages; everybody is gone. With `end` it has read all."""
    pub = start("pub", "ring", "--file", argument_path("ring.file"), "--capacity", "64K", "--wait-consumers", "1",
                *others)
    sub = start("sub", "ring", *consumer, *([] if end else ["--count", "10"]))
    pub.stdin.write(b"".join(b"%07d\n" % i for i in range(messages)))
    if end:
        succeeds(finish(pub))
    equal(finish(sub)[0], 0)
    if not end:
        kill_when_published(pub, messages)
    equal(os.stat(path("ring.file")).st_size > READERS, True)


def damage(offset, data):
    with open(path("ring.file"), "r+b") as file:
        file.seek(offset)
        file.write(data)


@test
def a_file_whose_processes_are_gone():
    make_file()
    code, report = checked(argument_path("ring.file"))
    equal((code, report["problems"], report["messages"], report["oldest"]), (0, 0, 100, 0))
    equal((report["bytes"], report["consumers"], report["dead"]), (1600, 1, 1))
    equal(report["producer_alive"], False)
    contains(run("check", argument_path("ring.file"))[1].decode(), "100 messages", "sound")


def quad(value):
    return struct.pack("<Q", value)


def word(position, sequence):
    """A record boundary in one word, as layout.h says."""
    return quad(position // 8 | sequence << 32)


@test
def each_kind_of_damage():
    # Where, what is written there, and what is found: each time that alone.
    for offset, data, kind in (
            (DATA + 16 * 40, b"\x01" + b"\0" * 7, "bad_records"),          # no commit flag
            (DATA + 16 * 40, quad(1 << 31 | CAPACITY), "bad_records"),     # longer than the ring
            (INDEX, quad(8), "bad_index"),                                 # within a record
            (INDEX, quad(1024), "bad_index"),                              # in another's stride
            (INDEX, quad(3), "bad_index"),
            (INDEX + 8, quad(3), "bad_index"),                             # another number
            (SLOTS + 8, quad(1 << 33 | 11), "bad_cursors"),
            (SLOTS, quad(1 << 40), "bad_cursors"),                         # behind the end
            (SLOTS, quad(161), "bad_cursors"),
            (SLOTS + 16, word(168, 10), "bad_cursors"),                    # within a record
            (STREAM, quad(3), "bad_limits"),                               # frontier
            (STREAM, quad(1 << 60), "bad_limits"),
            (STREAM + 8, quad(8), "bad_limits"),                           # acted, less than was written
            (STREAM + 8, quad(1 << 60), "bad_limits")):
        make_file()
        damage(offset, data)
        expect_damage(kind)


def expect_damage(kind):
    code, report = checked(argument_path("ring.file"))
    equal(code, 1, f"exit status for {kind}")
    found = {key: value for key, value in report.items() if key == "problems" or key.startswith("bad_") and value > 0}
    equal(found, {"problems": 1, kind: 1}, "problems")
    code, output, errors = run("check", argument_path("ring.file"))
    equal(code, 1)
    contains(output.decode(), "DAMAGED", "the first problem is at position")
    os.remove(path("ring.file"))


@test
def a_damaged_group():
    for mark in (word(168, 10), word(160, 11), word(1 << 20, 10), word(1608, 100)):
        make_file(consumer=("--group", "workers"))
        equal(checked(argument_path("ring.file"))[0], 0)
        damage(GROUPS, mark)
        expect_damage("bad_groups")


@test
def a_wrong_end():
    for end in (1600 - 16, 1600 + 16, 1 << 60):
        make_file(end=True)
        equal(checked(argument_path("ring.file"))[0], 0)
        damage(STREAM + 136, quad(end))
        expect_damage("bad_limits")


@test
def a_durable_ring_without_a_checkpoint():
    """One of the two may be torn by a power cut; if both are, nothing can be restored after the next."""
    make_file(others=["--durable"])
    equal(checked(argument_path("ring.file"))[0], 0)
    for i in range(2):
        damage(STREAM + 1024 + 512 * i, quad(7))      # number
        damage(STREAM + 1024 + 512 * i + 64, quad(1))  # checksum
    expect_damage("bad_checkpoints")


@test
def what_one_bad_record_says_of_others():
    make_file(messages=1500)
    damage(DATA + 16 * 40, b"\x01" + b"\0" * 7)
    code, report = checked(argument_path("ring.file"))
    equal((code, report["problems"], report["bad_records"], report["problem_position"]), (1, 1, 1, 640))
    equal(report["messages"], 1500)  # the walk went on behind it
    damage(DATA + 16 * 1400, b"\x01" + b"\0" * 7)
    code, report = checked(argument_path("ring.file"))
    equal((code, report["problems"], report["bad_records"], report["problem_position"]), (1, 2, 2, 640))


@test
def a_cursor_that_was_overtaken():
    """In a ring that came round: the cursor says what the producer has overwritten."""
    pub = start("pub", "ring", "--file", argument_path("ring.file"), "--capacity", "64K", "--wait-consumers", "1")
    sub = start("sub", "ring", "--name", "reader", "--count", "9000")
    pub.stdin.write(b"".join(b"%07d\n" % i for i in range(9010)))
    equal(finish(sub)[0], 0)
    kill_when_published(pub, 9010)
    equal(checked(argument_path("ring.file"))[0], 0)
    damage(SLOTS + 8, quad(10))
    damage(SLOTS + 16, word(160, 10))
    damage(SLOTS, quad(160))
    expect_damage("bad_cursors")


@test
def no_ring():
    fails(run("check", "nothing"), "no such ring")
    with open(path("text"), "w") as file:
        file.write("no ring at all, but long enough for the start of one" * 20)
    fails(run("check", argument_path("text")))
    fails(run("check"), status=2)
    fails(run("gc", "ring"), status=2)
    fails(run("forget", "ring"), status=2)


def keep_busy(pub, over):
    """Feeds the producer, which waits for nobody but consumers, until it is told that this is over."""
    lines = b"".join(b"%030d\n" % i for i in range(1000))
    while not over.is_set():
        pub.stdin.write(lines)


@test
def a_ring_under_load():
    """The producer overwrites all the time, and consumers of every kind move on."""
    for consumers in ([], [["--lossy"]], [["--name", "reader"], ["--group", "workers"], ["--group", "workers"], []]):
        pub = start("pub", "ring", "--capacity", "64K")
        over = threading.Event()
        feeder = threading.Thread(target=keep_busy, args=(pub, over), daemon=True)
        feeder.start()
        try:
            until(lambda: run("stat", "ring")[0] == 0)
            subs = [start("sub", "ring", *kind, stdout=subprocess.DEVNULL) for kind in consumers]
            until(lambda: checked("ring")[1]["consumers"] == len(subs))
            began = checked("ring")[1]["messages"]
            for _ in range(20):
                code, report = checked("ring")
                equal((code, report["problems"]), (0, 0), f"report {report}")
            # It came round more than once meanwhile.
            until(lambda: checked("ring")[1]["messages"] > began + 2 * CAPACITY // 40)
        finally:
            over.set()
            feeder.join(LIMIT)
        succeeds(finish(pub))
        for sub in subs:
            equal(finish(sub)[0], 0)


@linux_test
def what_the_dead_left_is_removed():
    pubs = [start("pub", f"ring{i}") for i in range(3)]
    until(lambda: run("ls", "--json")[1].count(b'"name"') == 3)
    for pub in pubs[:2]:
        pub.kill()
        pub.wait(timeout=30)
    contains(run("gc")[1].decode(), "removed 2 names")
    equal(json.loads(run("gc", "--json")[1]), {"removed": 0, "rings": []})
    equal([ring["name"] for ring in json.loads(run("ls", "--json")[1])], ["ring2"])
    succeeds(finish(pubs[2]))


@linux_test
def the_dead_of_a_living_ring_are_told():
    pub = start("pub", "ring")
    pub.stdin.write(b"one\n")
    subs = [start("sub", "ring", *kind) for kind in (["--name", "reader"], [], [])]
    until(lambda: len(json.loads(run("stat", "ring", "--json")[1])["consumers"]) == 3)
    equal(json.loads(run("gc", "--json")[1]), {"removed": 0, "rings": []})
    for sub in subs[:2]:
        sub.kill()
        sub.wait(timeout=30)
    equal(json.loads(run("gc", "--json")[1]), {"removed": 0, "rings": [{"name": "ring", "dead": 2, "named": 1}]})
    contains(run("gc")[1].decode(), "removed 0 names", "ring: 2 dead consumers, 1 of them named")
    succeeds(finish(pub))
    equal(finish(subs[2])[0], 0)


@test
def a_name_is_forgotten():
    pub = start("pub", "ring")
    pub.stdin.write(b"one\n")
    living = start("sub", "ring", "--name", "reader")
    equal(read_exactly(living, 4), b"one\n")
    fails(run("forget", "ring", "reader"), "lives")
    fails(run("forget", "ring", "nobody"), "no consumer or group 'nobody'")
    fails(run("forget", "other", "reader"), "no such ring")
    living.kill()
    living.wait(timeout=30)
    succeeds(run("sub", "ring", "--group", "workers", "--count", "1"), b"one\n")
    succeeds(run("forget", "ring", "reader"))
    succeeds(run("forget", "ring", "workers"))
    ring = json.loads(run("stat", "ring", "--json")[1])
    equal((ring["consumers"], ring["groups"]), ([], []))
    succeeds(finish(pub))


main()
