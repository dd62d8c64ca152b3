"""What the command waits for, how long, and what it says when it waited in vain."""

import fcntl
import os
import signal
import subprocess
import time

from harness import (equal, fails, finish, linux_test, main, path, pid_pattern, read_exactly, read_some, run, start,
                     succeeds, test, until)

F_SETPIPE_SZ = 1031


def lags(count):
    """Whether the consumer of the ring has so many messages before it that are not released."""
    return lambda: run("stat", "ring", "--json")[1].find(b'"lag_messages": %d,' % count) >= 0


def stuck_consumer(*options):
    """A consumer that cannot go on: nobody reads the pipe it writes to, which is full with 64 KiB."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 65536)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    sub = start("sub", "ring", *options, stdout=writing)
    os.close(writing)
    return sub, reading


@test
def the_ring_does_not_appear():
    began = time.monotonic()
    fails(run("sub", "ring", "--timeout", "300ms"), "'ring'", "within 300ms", "--timeout")
    assert 0.3 <= time.monotonic() - began < 20
    fails(run("sub", "ring", "--timeout", "0s"), "'ring'", "within 0s")


@test
def the_ring_appears_later():
    sub = start("sub", "ring", "--timeout", "20s")
    fails(run("sub", "other", "--timeout", "200ms"), "'other'")
    succeeds(run("pub", "ring", "--wait-consumers", "1", "--timeout", "20s", data=b"one\n"))
    succeeds(finish(sub), b"one\n")


@test
def no_message_comes():
    pub = start("pub", "ring")
    sub = start("sub", "ring", "--timeout", "2s")
    pub.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    fails(finish(sub, None), "'ring'", "no message within 2s")
    succeeds(finish(pub))


@test
def no_message_comes_from_the_dead():
    pub = start("pub", "ring")
    sub = start("sub", "ring", "--timeout", "2s")
    pub.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    pub.kill()
    fails(finish(sub, None), "'ring'", "no message within 2s")


def processor_time(process):
    """What the process has spent of it so far, in seconds."""
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@linux_test
def waiting_for_a_successor_costs_next_to_nothing():
    pub = start("pub", "ring")
    sub = start("sub", "ring", "--timeout", "2s")
    pub.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    pub.kill()
    _, status, usage = os.wait4(sub.pid, 0)
    sub.returncode = os.waitstatus_to_exitcode(status)
    equal(sub.returncode, 1, "exit status")
    assert usage.ru_utime + usage.ru_stime < 0.3, f"{usage.ru_utime + usage.ru_stime} s of processor time"


@linux_test
def silence_costs_next_to_nothing():
    pub = start("pub", "ring")
    subs = [start("sub", "ring") for _ in range(4)]
    pub.stdin.write(b"one\n")
    for sub in subs:
        equal(read_exactly(sub, 4), b"one\n")
    before = [processor_time(process) for process in [pub, *subs]]
    time.sleep(10)  # the silence that is measured
    for process, spent in zip([pub, *subs], before):
        spent = processor_time(process) - spent
        assert spent < 0.1, f"{spent} s of processor time in 10 s of silence"
    succeeds(finish(pub))
    for sub in subs:
        succeeds(finish(sub))


@test
def the_consumers_do_not_come():
    sub = start("sub", "ring")
    fails(run("pub", "ring", "--wait-consumers", "2", "--timeout", "3s"), "'ring'", "1 of 2 consumers",
          "within 3s")
    sub.send_signal(signal.SIGTERM)
    sub.wait(timeout=30)


@test
def without_consumers_the_producer_does_not_wait():
    succeeds(run("pub", "ring", data=b"line\n" * 1000000))


@test
def the_end_is_not_read():
    sub, reading = stuck_consumer()
    fails(run("pub", "ring", "--wait-consumers", "1", "--timeout", "3s", data=b"one\ntwo\nthree\n"),
          "'ring'", "did not read everything within 3s", "--timeout",
          pattern=f"for pid {pid_pattern(sub)} \\(3 messages behind\\):")
    sub.kill()
    os.close(reading)


@test
def there_is_no_room():
    sub, reading = stuck_consumer()
    start("sub", "ring", stdout=subprocess.DEVNULL)  # one that holds nobody up, and is not named
    fails(run("pub", "ring", "--capacity", "64K", "--wait-consumers", "2", "--timeout", "3s", data=b"line\n" * 100000),
          "'ring'", "no room", "within 3s", "--timeout",
          pattern=f"for pid {pid_pattern(sub)} \\([0-9]{{4,}} messages behind\\):")
    sub.kill()
    os.close(reading)


@linux_test
def no_room_for_a_block_is_no_failure_while_there_is_no_block():
    sub, reading = stuck_consumer()
    pub = start("pub", "ring", "--raw", "16K", "--capacity", "64K", "--wait-consumers", "1", "--timeout", "3s")
    # As many blocks as there is room for: the next is claimed, but is not there to be published.
    pub.stdin.write(b"x" * 49152)
    until(lags(3))
    other = start("sub", "other", "--timeout", "4s")
    fails(finish(other, None), "'other'")
    equal(pub.poll(), None, "exit status")
    os.close(reading)
    equal(sub.wait(timeout=30), 0, "exit status of the consumer whose pipe was closed")
    succeeds(finish(pub))


@test
def a_consumer_that_was_killed_holds_nobody_up():
    sub, reading = stuck_consumer()
    pub = start("pub", "ring", "--capacity", "64K", "--wait-consumers", "1")
    pub.stdin.write(b"line\n")
    until(lags(1))
    sub.kill()
    succeeds(finish(pub, b"line\n" * 100000))
    os.close(reading)


@test
def a_slow_consumer_holds_the_producer_back():
    sub, reading = stuck_consumer()
    data = b"".join(b"line %d\n" % i for i in range(50000))
    file = open(path("in"), "w+b")
    file.write(data)
    file.seek(0)
    pub = start("pub", "ring", "--capacity", "64K", "--wait-consumers", "1", stdin=file)
    until(lambda: not lags(0)())
    output = b""
    while more := read_some(reading, 65536):
        output += more
        if len(output) < 200000:
            equal(pub.poll(), None, "exit status")
    equal(sub.wait(timeout=30), 0, "exit status of the consumer")
    succeeds(finish(pub, None))
    equal(output[output.index(b"line"):], data)
    file.close()
    os.close(reading)


@test
def what_was_read_is_published_as_soon_as_there_is_room():
    for pub_options, sub_options, message in (([], [], b"fifteen letters\n"), (["--raw", "16"], ["--raw"], b"x" * 16),
                                              (["--frames"], ["--frames"], b"\x0c\0\0\0twelve bytes")):
        sub, reading = stuck_consumer(*sub_options)
        pub = start("pub", "ring", *pub_options, "--capacity", "4K", "--wait-consumers", "1")
        pub.stdin.write(message * 1000)  # four times what the ring takes; and no more comes, nor the end
        until(lambda: not lags(0)())
        output = b""
        while len(output) < 65536 + 16000:  # what was in the pipe at first, and the messages
            output += read_some(reading, 65536)
        equal(output[65536:], message * 1000)
        succeeds(finish(pub))
        equal(sub.wait(timeout=30), 0, "exit status of the consumer")
        os.close(reading)


@test
def a_second_producer_is_refused():
    pub = start("pub", "ring")
    sub = start("sub", "ring")
    pub.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    fails(run("pub", "ring", data=b"no\n"), "'ring'",
          pattern=f"process {pid_pattern(pub)} is its producer")
    fails(run("pub", "ring", "--capacity", "1M", data=b"no\n"), "'ring'")
    succeeds(finish(pub, b"two\n"))
    succeeds(finish(sub), b"two\n")


@test
def more_consumers_than_slots_are_refused():
    pub = start("pub", "ring", "--max-consumers", "1", "--wait-consumers", "1")
    first = start("sub", "ring")
    pub.stdin.write(b"one\n")
    equal(read_exactly(first, 4), b"one\n")
    fails(run("sub", "ring"), "'ring'", "--max-consumers")
    succeeds(finish(pub))
    succeeds(finish(first))
    fails(run("pub", "ring", "--max-consumers", "2", "--wait-consumers", "3"), "2 consumer slots", "--max-consumers")


main()
