"""mapring check, gc and forget: looking after rings and what the dead left."""

import json
import os
import struct

from harness import (argument_path, contains, equal, fails, finish, linux_test, main, path, read_exactly, run, start,
                     succeeds, test, until)

CAPACITY = 65536
STREAM = 65536  # where the stream begins in the file
INDEX = STREAM + 2048
DATA = STREAM + 4096
READERS = 196608  # the next 64 KiB behind the data
SLOTS = READERS + 37 * 128


def checked(what):
    code, output, errors = run("check", what, "--json")
    equal(errors, "")
    return code, json.loads(output)


def make_file(messages=100):
    """A ring in a file, with a named consumer that has read ten messages; everybody is gone."""
    pub = start("pub", "ring", "--file", argument_path("ring.file"), "--capacity", "64K", "--wait-consumers", "1")
    sub = start("sub", "ring", "--name", "reader", "--count", "10")
    pub.stdin.write(b"".join(b"%07d\n" % i for i in range(messages)))
    equal(finish(sub)[0], 0)
    pub.kill()
    pub.wait(timeout=30)
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


@test
def each_kind_of_damage():
    for offset, data, kind in (
            (DATA + 16 * 40, b"\x01" + b"\0" * 7, "bad_records"),             # no commit flag
            (DATA + 16 * 40, struct.pack("<Q", 1 << 31 | CAPACITY), "bad_records"),  # longer than the ring
            (INDEX, struct.pack("<Q", 8), "bad_index"),                        # within a record
            (INDEX + 8, struct.pack("<Q", 3), "bad_index"),                    # another number
            (SLOTS + 8, struct.pack("<Q", 11), "bad_cursors"),                 # as is the number of the mark
            (SLOTS, struct.pack("<Q", 1 << 40), "bad_cursors"),
            (STREAM + 8, struct.pack("<Q", 8), "bad_limits")):                 # acted, less than was written
        make_file()
        if kind == "bad_cursors":
            damage(SLOTS + 16, struct.pack("<II", 21, 11))
        damage(offset, data)
        code, report = checked(argument_path("ring.file"))
        equal(code, 1, f"exit status for {kind}")
        assert report[kind] > 0, (kind, report)
        code, output, errors = run("check", argument_path("ring.file"))
        equal(code, 1)
        contains(output.decode(), "DAMAGED", "the first problem is at position")
        os.remove(path("ring.file"))


@test
def no_ring():
    fails(run("check", "nothing"), "no such ring")
    with open(path("text"), "w") as file:
        file.write("no ring at all, but long enough for the start of one" * 20)
    fails(run("check", argument_path("text")))
    fails(run("check"), status=2)
    fails(run("gc", "ring"), status=2)
    fails(run("forget", "ring"), status=2)


@test
def a_ring_under_load():
    pub = start("pub", "ring", "--capacity", "64K", "--wait-consumers", "1")
    sub = start("sub", "ring")
    for i in range(20):
        pub.stdin.write(b"".join(b"%030d\n" % j for j in range(5000)))
        read_exactly(sub, 31 * 2000)
        code, report = checked("ring")
        equal((code, report["problems"]), (0, 0), f"report {report}")
        read_exactly(sub, 31 * 3000)
    succeeds(finish(pub))
    equal(finish(sub)[0], 0)


@linux_test
def what_the_dead_left_is_removed():
    pubs = [start("pub", f"ring{i}") for i in range(3)]
    until(lambda: run("ls", "--json")[1].count(b'"name"') == 3)
    for pub in pubs[:2]:
        pub.kill()
        pub.wait(timeout=30)
    contains(run("gc")[1].decode(), "removed 2 names")
    equal(json.loads(run("gc", "--json")[1]), {"removed": 0})
    equal([ring["name"] for ring in json.loads(run("ls", "--json")[1])], ["ring2"])
    succeeds(finish(pubs[2]))


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
