"""What goes in comes out: framings, message by message, from one producer to several consumers."""

import os
import pty
import random
import signal
import struct

from harness import (contains, equal, finish, linux_test, main, path, read_exactly, read_some, run, start, succeeds,
                     test, until, write_in_parts)

randomness = random.Random(2)


def frames(messages):
    return b"".join(struct.pack("<I", len(message)) + message for message in messages)


def stream(data, pub_options, sub_options, consumers=1):
    """Publishes the data to so many consumers, and returns what each of them wrote."""
    files = [open(path(f"out{i}"), "w+b") for i in range(consumers)]
    subs = [start("sub", "ring", *sub_options, stdout=file) for file in files]
    succeeds(finish(start("pub", "ring", "--wait-consumers", str(consumers), *pub_options), data))
    outputs = []
    for sub, file in zip(subs, files):
        succeeds(finish(sub), None)
        file.seek(0)
        outputs.append(file.read())
        file.close()
    return outputs


@test
def lines_arrive_byte_for_byte():
    lines = [randomness.randbytes(randomness.choice([0, 1, 7, 80, 500, 5000])).replace(b"\n", b"") for _ in range(3000)]
    data = b"\n".join(lines) + b"\n"
    for output in stream(data, ["--capacity", "64K"], [], 3):
        equal(output, data)


@test
def the_longest_lines_arrive():
    longest = 1 << 20  # a quarter of the capacity, and more than any buffer holds at first
    data = b"".join(bytes([65 + i]) * (longest - i) + b"\n" for i in range(6))
    equal(stream(data, ["--capacity", "4M"], []), [data])


@test
def many_lines_at_once_arrive():
    # Of every length, and many where copying ends and writing in place begins. The consumer finds them all there.
    lengths = list(range(0, 1500)) + [513] * 3000
    data = b"".join(randomness.randbytes(length).replace(b"\n", b" ") + b"\n" for length in lengths)
    pub = start("pub", "ring")
    pub.stdin.write(data)
    until(lambda: b"messages   %d\n" % len(lengths) in run("stat", "ring")[1])
    sub = start("sub", "ring")
    equal(read_exactly(sub, len(data)), data)
    succeeds(finish(pub))
    succeeds(finish(sub))


@test
def an_unterminated_last_line_is_a_message():
    equal(stream(b"one\n\ntwo", [], []), [b"one\n\ntwo\n"])
    equal(stream(b"one\n\ntwo", [], ["--frames"]), [frames([b"one", b"", b"two"])])


@test
def empty_input_is_an_empty_stream():
    for options in ([], ["--frames"], ["--raw", "16"], ["--raw", "64K"]):
        equal(stream(b"", options, []), [b""])


@test
def blocks_arrive_byte_for_byte():
    data = randomness.randbytes(3000001)
    for size, length in ((1, 100001), (7, 300000), (1000, len(data)), (4096, len(data)), (65536, len(data)),
                         (100000, len(data))):
        for output in stream(data[:length], ["--raw", str(size), "--capacity", "512K"], ["--raw"], 2):
            equal(output, data[:length], f"blocks of {size}")


@test
def blocks_have_the_size_asked_for():
    for size in (1000, 5000):
        data = randomness.randbytes(3 * size + 10)
        blocks = [data[i:i + size] for i in range(0, len(data), size)]
        equal(stream(data, ["--raw", str(size)], ["--frames"]), [frames(blocks)])


@test
def frames_arrive_byte_for_byte():
    sizes = [0, 1, 2, 3, 4, 7, 8, 9, 511, 512, 513, 4096, 65535, 65536] + [randomness.randrange(3000) for _ in range(2000)]
    data = frames([randomness.randbytes(size) for size in sizes])
    for output in stream(data, ["--frames", "--capacity", "256K"], ["--frames"], 3):
        equal(output, data)


@test
def input_in_parts_arrives_byte_for_byte():
    messages = [b"", b"a", b"bc" * 300, b"\n\n"]
    lines = [b"a", b"", b"bc" * 20, b"last"]
    for options, data, expected in ((["--frames"], frames(messages), messages), ([], b"\n".join(lines), lines),
                                    (["--raw", "4"], b"abcdefghij", [b"abcd", b"efgh", b"ij"]),
                                    (["--raw", "5000"], b"k" * 7000, [b"k" * 5000, b"k" * 2000])):
        for parts in (3, 40):
            sub = start("sub", "ring", "--frames")
            pub = start("pub", "ring", "--wait-consumers", "1", *options)
            write_in_parts(pub, data, len(data) // parts + 1)
            succeeds(finish(pub))
            succeeds(finish(sub), frames(expected))


@test
def a_message_is_published_when_it_is_read():
    for pub_options, sub_options, data in (([], [], b"hello\n"), (["--frames"], ["--frames"], frames([b"hello"])),
                                           (["--raw", "6"], ["--raw"], b"hello!"),
                                           (["--raw", "5000"], ["--raw"], b"x" * 5000)):
        sub = start("sub", "ring", *sub_options)
        pub = start("pub", "ring", *pub_options)
        for _ in range(20):
            pub.stdin.write(data)
            equal(read_exactly(sub, len(data)), data)
        # The rest of a line is not a message before its end is read; what was complete before it is.
        if not pub_options:
            pub.stdin.write(b"one\ntwo")
            equal(read_exactly(sub, 4), b"one\n")
            pub.stdin.write(b"\n")
            equal(read_exactly(sub, 4), b"two\n")
        succeeds(finish(pub))
        succeeds(finish(sub))


@test
def count_ends_the_consumer():
    sub = start("sub", "ring", "--count", "3")
    pub = start("pub", "ring", "--wait-consumers", "1")
    pub.stdin.write(b"1\n2\n3\n4\n5\n")
    succeeds(finish(sub), b"1\n2\n3\n")
    succeeds(finish(start("sub", "ring", "--count", "4"), None), b"1\n2\n3\n4\n")
    succeeds(finish(pub))


@test
def oldest_and_newest():
    pub = start("pub", "ring")
    first = start("sub", "ring")
    pub.stdin.write(b"early\n")
    equal(read_exactly(first, 6), b"early\n")
    newest = start("sub", "ring", "--from", "newest")
    oldest = start("sub", "ring", "--from", "oldest")
    equal(read_exactly(oldest, 6), b"early\n")
    until(lambda: run("stat", "ring")[1].count(b"reliable") == 3)
    pub.stdin.write(b"late\n")
    succeeds(finish(pub))
    succeeds(finish(first), b"late\n")
    succeeds(finish(oldest), b"late\n")
    succeeds(finish(newest), b"late\n")


@linux_test
def pipes_that_do_not_block_are_waited_for():
    data = randomness.randbytes(3000000)
    input_end, feeding = os.pipe()
    output, output_end = os.pipe()
    os.set_blocking(input_end, False)
    os.set_blocking(output_end, False)
    sub = start("sub", "ring", "--raw", stdout=output_end)
    pub = start("pub", "ring", "--raw", "1000", "--wait-consumers", "1", stdin=input_end)
    os.close(input_end)
    os.close(output_end)
    received = b""
    for i in range(0, len(data), 50000):
        os.write(feeding, data[i:i + 50000])
        # Less than was written, so that the pipes fill up.
        if i > 0:
            received += read_some(output, 30000)
    os.close(feeding)
    while more := read_some(output, 65536):
        received += more
    os.close(output)
    equal(received, data)
    succeeds(finish(sub, None), None)
    succeeds(finish(pub, None))


@test
def a_closed_pipe_ends_the_consumer_while_messages_come():
    sub = start("sub", "ring")
    pub = start("pub", "ring", "--wait-consumers", "1")
    data = b"line\n" * 100000
    pub.stdin.write(data[:5000])
    equal(read_exactly(sub, 5), b"line\n")
    sub.stdout.close()
    succeeds(finish(pub, data))
    equal(sub.wait(timeout=30), 0, "exit status")
    equal(sub.stderr.read(), b"", "standard error")


@linux_test
def a_closed_pipe_ends_the_consumer_while_nothing_comes():
    pub = start("pub", "ring")
    sub = start("sub", "ring")
    pub.stdin.write(b"line\n")
    equal(read_exactly(sub, 5), b"line\n")
    sub.stdout.close()
    equal(sub.wait(timeout=30), 0, "exit status")
    equal(sub.stderr.read(), b"", "standard error")
    succeeds(finish(pub))


@test
def another_producer_continues_after_a_kill():
    sub = start("sub", "ring")
    expected = b""
    for generation in range(4):
        pub = start("pub", "ring", "--wait-consumers", "1")  # without a consumer the ring dies with its producer
        for number in range(200):
            line = b"producer %d line %d\n" % (generation, number)
            pub.stdin.write(line)
            expected += line
        # Everything that it read is published; what it had not read would be its successor's to send.
        until(lambda: b"messages   %d\n" % ((generation + 1) * 200) in run("stat", "ring")[1])
        if generation < 3:
            pub.kill()
            pub.wait(timeout=30)
            contains(run("stat", "ring")[1].decode(), " dead\n", f"epoch      {generation + 1}\n")
    succeeds(finish(pub))
    succeeds(finish(sub), expected)


@linux_test
def another_producer_continues_after_a_signal():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        sub = start("sub", "ring")
        pub = start("pub", "ring", "--wait-consumers", "1")
        pub.stdin.write(b"one\nhalf")
        equal(read_exactly(sub, 4), b"one\n")
        pub.send_signal(number)
        equal(pub.wait(timeout=30), -number, "exit status")
        equal(pub.stderr.read(), b"", "standard error")
        contains(run("stat", "ring")[1].decode(), "ended      no", "producer   none")
        succeeds(run("pub", "ring", data=b"two\n"))
        succeeds(finish(sub), b"two\n")


@linux_test
def a_signal_ends_a_producer_without_room():
    blocked, unread = os.pipe()
    sub = start("sub", "ring", stdout=unread)
    os.close(unread)
    pub = start("pub", "ring", "--capacity", "4K", "--wait-consumers", "1")
    os.set_blocking(pub.stdin.fileno(), False)
    while pub.stdin.write(b"line\n" * 1000) is not None:
        pass
    until(lambda: b"messages   0\n" not in run("stat", "ring")[1])
    pub.send_signal(signal.SIGTERM)
    equal(pub.wait(timeout=30), -signal.SIGTERM, "exit status")
    sub.send_signal(signal.SIGTERM)
    equal(sub.wait(timeout=30), -signal.SIGTERM, "exit status of the consumer, whose output is full")
    os.close(blocked)


@linux_test
def a_signal_ends_a_consumer_in_good_order():
    pub = start("pub", "ring")
    sub = start("sub", "ring")
    pub.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    sub.send_signal(signal.SIGTERM)
    equal(sub.wait(timeout=30), -signal.SIGTERM, "exit status")
    contains(run("stat", "ring")[1].decode(), "consumers  0 of")
    succeeds(finish(pub))


@linux_test
def a_person_is_told_that_the_producer_is_gone():
    terminal, errors = pty.openpty()
    pub = start("pub", "ring")
    sub = start("sub", "ring", stderr=errors)
    quiet = start("sub", "ring", "--quiet", stderr=errors)
    os.close(errors)
    pub.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    equal(read_exactly(quiet, 4), b"one\n")
    pub.kill()
    told = b""
    while b"\n" not in told:
        told += read_some(terminal, 4096)
    succeeds(run("pub", "ring", data=b"two\n"))
    for process in (sub, quiet):
        equal(process.communicate(timeout=30)[0], b"two\n")
    os.set_blocking(terminal, False)
    try:
        told += os.read(terminal, 4096)
    except OSError:
        pass  # nobody has the terminal open, and nothing more came
    contains(told.decode(), "mapring: 'ring': its producer is gone; waiting for the next")
    equal(told.count(b"gone"), 1, "times told")
    os.close(terminal)


@test
def verbose_tells_how_much():
    sub = start("sub", "ring", "--verbose")
    code, _, errors = finish(start("pub", "ring", "-v", "--wait-consumers", "1"), b"one\ntwo\n")
    equal(code, 0)
    contains(errors, "mapring: published 2 messages, 6 bytes in ", " messages/s, ", " GB/s\n")
    code, output, errors = finish(sub)
    equal((code, output), (0, b"one\ntwo\n"))
    contains(errors, "mapring: received 2 messages, 6 bytes in ")


@test
def nothing_is_left_behind():
    equal(stream(b"one\n", [], []), [b"one\n"])
    equal(os.listdir(path("names")), [])


main()
