"""mapring ls and mapring stat: for programs and for people, on rings with living, dead and no processes."""

import json
import os
import re

from harness import (WINDOWS, argument_path, contains, equal, fails, finish, linux_test, main, path, pid_pattern,
                     read_exactly, run, start, succeeds, test, until)

RING_FIELDS = {"name": str, "capacity": int, "memory": int, "max_consumers": int, "messages": int, "position": int,
               "oldest": int, "epoch": int, "ended": bool, "fence": str, "producer": dict, "slow_policy": str, "slow_ns": int,
               "hold_ns": int, "durable": bool, "evictions": int, "demotions": int, "flushed": int, "parks": int,
               "wakes": int, "wakes_avoided": int, "spurious_wakes": int, "groups": list, "consumers": list}
CONSUMER_FIELDS = {"slot": int, "pid": int, "alive": bool, "kind": str, "position": int, "lag_messages": int,
                   "lag_bytes": int, "lost": int, "redelivered": int, "let_go": bool, "own_name": str, "waiting": str,
                   "descriptor": type(None), "parks": int, "wakes": int, "wakes_avoided": int, "spurious_wakes": int}


def parsed(*arguments):
    code, output, errors = run(*arguments, "--json")
    equal((code, errors), (0, ""))
    return json.loads(output)


def is_process(description, process, alive):
    """Whether the description is of this process."""
    assert re.fullmatch(pid_pattern(process), str(description["pid"])), f"pid {description['pid']}"
    equal(description["alive"], alive, "alive")


def ring_with_two_consumers(name="ring", *options):
    pub = start("pub", name, "--wait-consumers", "2", *options)
    subs = [start("sub", name) for _ in range(2)]
    pub.stdin.write(b"eight by\nseven b\nthirteen byte\n")
    for sub in subs:
        equal(read_exactly(sub, 31), b"eight by\nseven b\nthirteen byte\n")
    until(lambda: parsed("stat", name)["consumers"][0]["lag_messages"] == 0)
    until(lambda: parsed("stat", name)["consumers"][1]["lag_messages"] == 0)
    return pub, subs


def without_counts(ring):
    """Who sleeps looks for itself every 0.1 s, and that is counted."""
    counts = ("parks", "wakes_avoided", "spurious_wakes")
    ring = {name: value for name, value in ring.items() if name not in counts}
    ring["consumers"] = [{name: value for name, value in consumer.items() if name not in counts}
                         for consumer in ring["consumers"]]
    return ring


@test
def stat_in_json():
    pub, subs = ring_with_two_consumers("ring", "--capacity", "64K", "--max-consumers", "5")
    ring = parsed("stat", "ring")
    equal({name: type(value) for name, value in ring.items()}, RING_FIELDS, "fields of a ring")
    for consumer in ring["consumers"]:
        equal({name: type(value) for name, value in consumer.items()}, CONSUMER_FIELDS, "fields of a consumer")
    equal(ring["name"], "ring")
    equal(ring["capacity"], 65536)
    equal(ring["max_consumers"], 5)
    equal(ring["messages"], 3)
    equal(ring["position"], 16 + 16 + 24)
    equal((ring["oldest"], ring["epoch"], ring["ended"]), (0, 1, False))
    assert ring["fence"] in ("full", "asymmetric"), ring["fence"]
    # Windows gives memory to the holes between the regions too.
    assert 65536 < ring["memory"] < 65536 + (200000 if WINDOWS else 20000), ring["memory"]
    is_process(ring["producer"], pub, True)
    if not WINDOWS:
        equal(sorted(consumer["pid"] for consumer in ring["consumers"]), sorted(sub.pid for sub in subs))
    equal(len({consumer["pid"] for consumer in ring["consumers"]}), 2)
    equal(sorted(consumer["slot"] for consumer in ring["consumers"]), [0, 1])
    for consumer in ring["consumers"]:
        equal((consumer["alive"], consumer["kind"], consumer["position"]), (True, "reliable", 56))
        equal((consumer["lag_messages"], consumer["lag_bytes"]), (0, 0))
        equal(consumer["waiting"], "adaptive")

    # They sleep by now, and one message wakes them.
    until(lambda: all(consumer["parks"] > 0 for consumer in parsed("stat", "ring")["consumers"]))
    wakes = parsed("stat", "ring")["wakes"]
    pub.stdin.write(b"eight by\n")
    for sub in subs:
        equal(read_exactly(sub, 9), b"eight by\n")
    assert parsed("stat", "ring")["wakes"] > wakes
    contains(run("stat", "ring")[1].decode(), "waits      parked ", "adaptive  none")

    succeeds(finish(pub))
    for sub in subs:
        succeeds(finish(sub))


@test
def stat_sees_the_dead():
    pub, subs = ring_with_two_consumers()
    subs[0].kill()
    subs[0].wait(timeout=30)
    pub.stdin.write(b"more\n")
    equal(read_exactly(subs[1], 5), b"more\n")
    pub.kill()
    pub.wait(timeout=30)
    ring = parsed("stat", "ring")
    is_process(ring["producer"], pub, False)
    equal(ring["messages"], 4)
    dead = [consumer for consumer in ring["consumers"] if not consumer["alive"]]
    equal([consumer["lag_messages"] for consumer in dead], [1])
    is_process(dead[0], subs[0], False)
    if WINDOWS:
        return  # there the ring goes with its last process
    subs[1].kill()
    subs[1].wait(timeout=30)
    # Nobody is left, but what they left behind can still be looked at.
    ring = parsed("stat", "ring")
    equal((ring["messages"], ring["producer"]["alive"]), (4, False))
    equal([consumer["alive"] for consumer in ring["consumers"]], [False, False])
    contains(run("stat", "ring")[1].decode(), "dead")


@linux_test
def stat_of_a_ring_without_producer():
    pub, subs = ring_with_two_consumers()
    pub.terminate()
    pub.wait(timeout=30)
    ring = parsed("stat", "ring")
    equal((ring["producer"], ring["ended"]), (None, False))
    contains(run("stat", "ring")[1].decode(), "producer   none")


@test
def ls_in_json():
    equal(parsed("ls"), [])
    ring_with_two_consumers("b")
    ring_with_two_consumers("a \"quoted\" \u4e16")
    rings = parsed("ls")
    equal([ring["name"] for ring in rings], ["a \"quoted\" \u4e16", "b"])
    for ring in rings:
        equal({name: type(value) for name, value in ring.items()}, RING_FIELDS, "fields of a ring")
        equal(without_counts(ring), without_counts(parsed("stat", ring["name"])))


@linux_test
def ls_lists_what_is_no_ring_too():
    ring_with_two_consumers("b")
    with open(path("names/a"), "wb") as stream:
        stream.write(b"not a ring")
    with open(path("names/c"), "wb") as stream:
        stream.write(bytes(200000))
    os.mkdir(path("names/d"))
    rings = parsed("ls")
    equal([ring["name"] for ring in rings], ["a", "b", "c", "d"])
    equal([ring.get("error", "")[:8] for ring in rings], ["MAPRING_", "", "MAPRING_", "MAPRING_"])
    equal(rings[1]["messages"], 3)
    code, output, errors = run("ls")
    equal((code, errors), (0, ""))
    equal(len(output.splitlines()), 5)
    fails(run("stat", "a"), "'a'")


@test
def a_ring_in_a_file_outlives_its_processes():
    file = argument_path("ring.file")
    pub, subs = ring_with_two_consumers("ring", "--file", file)
    by_name, by_file = parsed("stat", "ring"), parsed("stat", file)
    if WINDOWS:
        by_name["memory"] = by_file["memory"]  # of the mapping, and of the file
    equal(without_counts(by_name), without_counts(by_file))
    succeeds(finish(pub, b"four\n"))
    for sub in subs:
        succeeds(finish(sub), b"four\n")
    for argument in (file, "./ring.file", "ring.file"):  # the last is no name, but a file
        ring = parsed("stat", argument)
        equal((ring["name"], ring["messages"], ring["ended"]), ("ring", 4, True))
        equal((ring["producer"], ring["consumers"]), (None, []))
    fails(run("stat", "ring"), "'ring'")
    equal(parsed("ls"), [])

    # The file has all that a successor and new consumers need. A consumer may meet the old end until it is taken over.
    pub = start("pub", "ring", "--file", file, "--wait-consumers", "1")
    until(lambda: b"ended      no\n" in run("stat", "ring")[1])
    sub = start("sub", "ring")
    succeeds(finish(pub, b"five\n"))
    succeeds(finish(sub), b"eight by\nseven b\nthirteen byte\nfour\nfive\n")
    equal((parsed("stat", file)["messages"], parsed("stat", file)["epoch"]), (5, 2))
    fails(run("pub", "another", "--file", file), "'another'", "name")


@test
def a_file_in_which_the_producer_was_killed():
    file = argument_path("ring.file")
    pub = start("pub", "ring", "--file", file)
    pub.stdin.write(b"one\ntwo\n")
    until(lambda: b"messages   2\n" in run("stat", file)[1])
    pub.kill()
    pub.wait(timeout=30)
    is_process(parsed("stat", file)["producer"], pub, False)
    sub = start("sub", "ring")
    succeeds(run("pub", "ring", "--file", file, "--wait-consumers", "1", data=b"three\n"))
    succeeds(finish(sub), b"one\ntwo\nthree\n")


@test
def the_documented_defaults_are_the_defaults():
    pub = start("pub", "ring")
    until(lambda: parsed("ls") != [])
    ring = parsed("stat", "ring")
    capacity = ring["capacity"] // 1048576
    contains(run("help", "pub")[1].decode(), f"(default: {capacity}M)", f"(default: {ring['max_consumers']})")
    with open(os.path.join(os.path.dirname(__file__), "../../docs/mapring.1")) as page:
        contains(page.read().replace("\n", " "), f"by default {capacity}M", f"by default {ring['max_consumers']},")
    succeeds(finish(pub))


@test
def tables_for_people():
    succeeds(run("ls"))
    pub, _ = ring_with_two_consumers("ring", "--capacity", "64K")
    output = run("ls")[1].decode()
    equal(len(output.splitlines()), 2)
    contains(output, "NAME", "CAPACITY", "PRODUCER", "ring", "64 KiB", " alive ")
    output = run("stat", "ring")[1].decode()
    contains(output, "ring       ring\n", "capacity   64 KiB\n", "messages   3\n", " alive\n",
             "consumers  2 of 64\n", "ended      no\n", "reliable")


main()
