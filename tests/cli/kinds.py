"""The kinds of consumer that mapring sub can be, and what producers do about them."""

import json
import os
import signal

from harness import (argument_path, contains, equal, fails, finish, linux_test, main, read_exactly, run, start,
                     succeeds, test, until)


def stat(name="ring"):
    code, output, errors = run("stat", name, "--json")
    equal((code, errors), (0, ""))
    return json.loads(output)


def lines(first, count):
    return b"".join(b"%06d\n" % i for i in range(first, first + count))


def stopped(process):
    """Stops the process, and waits until it has."""
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


@test
def starts():
    pub = start("pub", "ring")
    pub.stdin.write(lines(0, 100))
    until(lambda: run("stat", "ring", "--json")[0] == 0 and stat()["messages"] == 100)
    succeeds(run("sub", "ring", "--from", "seq:97", "--count", "3"), lines(97, 3))
    succeeds(run("sub", "ring", "--from", "time:-1h", "--count", "2"), lines(0, 2))
    succeeds(run("sub", "ring", "--from", "time:1", "--count", "2"), lines(0, 2))
    fails(run("sub", "ring", "--from", "seq:101"), "yet to come")
    fails(run("sub", "ring", "--from", "time:9999999999"), "yet to come")
    late = start("sub", "ring", "--from", "seq:100", "--count", "1")
    until(lambda: len(stat()["consumers"]) == 1)
    pub.stdin.write(lines(100, 1))
    succeeds(finish(late), lines(100, 1))
    succeeds(finish(pub))


@test
def a_start_that_is_gone():
    pub = start("pub", "ring", "--capacity", "4K")
    pub.stdin.write(lines(0, 1000))
    until(lambda: run("stat", "ring", "--json")[0] == 0 and stat()["messages"] == 1000)
    code, output, errors = run("sub", "ring", "--from", "seq:5", "--count", "1")
    equal(code, 0)
    assert int(output) > 5, output
    contains(errors, "is gone", "begins with message %d" % int(output))
    succeeds(finish(pub))


@test
def a_named_one_comes_back():
    pub = start("pub", "ring")
    pub.stdin.write(lines(0, 50))
    succeeds(run("sub", "ring", "--name", "bill", "--count", "10"), lines(0, 10))
    equal([c["own_name"] for c in stat()["consumers"]], ["bill"])
    equal([c["alive"] for c in stat()["consumers"]], [False])
    code, output, errors = run("sub", "ring", "--name", "bill", "--count", "20")
    equal((code, output), (0, lines(10, 20)))
    contains(errors, "continues as 'bill' with message 10")
    living = start("sub", "ring", "--name", "bill")
    equal(read_exactly(living, 7 * 20), lines(30, 20))
    fails(run("sub", "ring", "--name", "bill"), "another name")
    fails(run("sub", "ring", "--group", "bill"), "another name")
    pub.stdin.close()
    equal(living.wait(timeout=30), 0)
    equal(pub.wait(timeout=30), 0)


@test
def a_group_shares():
    pub = start("pub", "ring", "--wait-consumers", "2")
    members = [start("sub", "ring", "--group", "workers") for _ in range(2)]
    until(lambda: run("stat", "ring", "--json")[0] == 0 and len(stat()["consumers"]) == 2)
    equal([(g["name"], g["members"]) for g in stat()["groups"]], [("workers", 2)])
    contains(run("stat", "ring")[1].decode(), "workers", "member")
    pub.stdin.write(lines(0, 5000))
    pub.stdin.close()
    got = []
    for member in members:
        output, errors = member.communicate(timeout=30)
        equal((member.returncode, errors), (0, b""))
        got += output.split()
    equal(sorted(got), lines(0, 5000).split())
    equal(pub.wait(timeout=30), 0)


@test
def a_lossy_one_is_told():
    pub = start("pub", "ring", "--capacity", "4K")
    observer = start("sub", "ring", "--observe", "--count", "1")
    lossy = start("sub", "ring", "--lossy", "--from", "newest")
    pub.stdin.write(lines(0, 1))
    equal(finish(observer)[0], 0)
    until(lambda: len(stat()["consumers"]) == 1)
    pub.stdin.write(lines(1, 3))
    until(lambda: stat()["consumers"][0]["lag_messages"] == 0)
    equal(stat()["consumers"][0]["kind"], "lossy")
    succeeds(finish(pub))
    code, output, errors = finish(lossy)
    equal((code, errors), (0, ""))
    # It may have been there before the first.
    assert output and lines(0, 4).endswith(output), output


@linux_test
def the_lost_are_counted():
    pub = start("pub", "ring", "--capacity", "4K", "--wait-consumers", "1")
    lossy = start("sub", "ring", "--lossy")
    pub.stdin.write(lines(0, 1))
    equal(read_exactly(lossy, 7), lines(0, 1))
    stopped(lossy)
    pub.stdin.write(lines(1, 2000))
    until(lambda: stat()["messages"] == 2001)
    os.kill(lossy.pid, signal.SIGCONT)
    succeeds(finish(pub))
    code, output, errors = finish(lossy)
    equal(code, 0)
    got = [int(line) for line in output.split()]
    contains(errors, "too slow: %d messages lost so far; continues with message %d" % (got[0] - 1, got[0]))
    equal(got, list(range(got[0], 2001)))


@linux_test
def the_slow_are_evicted():
    pub = start("pub", "ring", "--capacity", "4K", "--wait-consumers", "2", "--slow", "evict", "--slow-after", "50ms")
    subs = [start("sub", "ring"), start("sub", "ring", "--rejoin")]
    pub.stdin.write(lines(0, 1))
    for sub in subs:
        equal(read_exactly(sub, 7), lines(0, 1))
        stopped(sub)
    pub.stdin.write(lines(1, 2000))
    until(lambda: stat()["messages"] == 2001)
    ring = stat()
    equal((ring["slow_policy"], ring["evictions"]), ("evict", 2))
    equal([c["let_go"] for c in ring["consumers"]], [True, True])
    for sub in subs:
        os.kill(sub.pid, signal.SIGCONT)
    code, output, errors = finish(subs[0])
    equal(code, 1)
    contains(errors, "no longer waits")
    succeeds(finish(pub))
    code, output, errors = finish(subs[1])
    equal(code, 0)
    contains(errors, "rejoined")
    equal(output.split()[-1], b"002000")


@test
def a_second_producer_waits_its_turn():
    first = start("pub", "ring", "--timeout", "20s")
    sub = start("sub", "ring")
    first.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    second = start("pub", "ring", "--wait-turn", "20s")
    first.kill()
    first.wait(timeout=30)
    second.stdin.write(b"two\n")
    equal(read_exactly(sub, 4), b"two\n")
    equal(stat()["epoch"], 2)
    succeeds(finish(second))
    equal(finish(sub)[0], 0)


@test
def a_durable_ring_is_flushed():
    succeeds(run("pub", "ring", "--file", argument_path("log"), "--durable", data=lines(0, 10)))
    code, output, errors = run("stat", argument_path("log"), "--json")
    ring = json.loads(output)
    equal((ring["durable"], ring["flushed"]), (True, ring["position"]))
    observer = run("sub", "ring", "--observe", "--timeout", "200ms")
    fails(observer, "no ring of that name")


main()
