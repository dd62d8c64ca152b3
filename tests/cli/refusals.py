"""Bad input: what is refused, with which exit status and words, and that nothing is harmed."""

import os
import struct
import subprocess

from harness import (COMMAND, WINDOWS, argument_path, contains, equal, fails, finish, linux_test, main, path,
                     read_exactly, run, start, succeeds, test)


def refused(*arguments, parts=(), data=b""):
    fails(run(*arguments, data=data), *parts)
    equal(os.listdir(path("names")), [], "names left behind")


def misused(*arguments, parts=()):
    fails(run(*arguments), *parts, status=2)


@test
def usage():
    code, output, errors = run()
    equal((code, output), (2, b""))
    contains(errors, "mapring pub NAME", "mapring sub NAME", "mapring ls", "mapring stat NAME|FILE")
    for arguments in (["help"], ["--help"]):
        code, output, errors = run(*arguments)
        equal((code, errors), (0, ""))
        contains(output.decode(), "mapring pub NAME", "Exit status")
    for command in ("pub", "sub", "ls", "stat"):
        code, output, errors = run("help", command)
        equal((code, errors), (0, ""))
        contains(output.decode(), f"usage: mapring {command}")
        equal(run(command, "--help"), (code, output, errors))
    contains(run("--version")[1].decode(), "mapring ", "ABI ", "format ")


@test
def misuse():
    misused("publish", parts=["no command 'publish'", "mapring help"])
    misused("help", "publish", parts=["no command 'publish'"])
    misused("pub", parts=["one name, not 0", "mapring help pub"])
    misused("sub", "a", "b", parts=["one name, not 2", "mapring help sub"])
    misused("sub", "a", "--raw", "4096", parts=["one name, not 2"])
    misused("stat", parts=["one name or file"])
    misused("ls", "ring", parts=["takes no name"])
    misused("pub", "ring", "--fast", parts=["unknown option '--fast'"])
    misused("pub", "ring", "-x", parts=["unknown option '-x'"])
    misused("pub", "ring", "--frames=4", parts=["'--frames=4'"])
    misused("pub", "ring", "--capacity", parts=["'--capacity' needs a value"])
    misused("pub", "ring", "--raw", "16", "--frames", parts=["exclude each other"])
    misused("sub", "ring", "--raw", "--frames", parts=["exclude each other"])
    misused("sub", "ring", "--from", "seq:x", parts=["seq:N"])
    misused("sub", "ring", "--from", "time:-5", parts=["time:-DURATION"])
    misused("sub", "ring", "--tag", "0xf/0x10", parts=["outside the mask"])
    misused("sub", "ring", "--tag", "4294967296", parts=["MASK/VALUE"])
    misused("sub", "ring", "--lossy", "--group", "g", parts=["exclude each other"])
    misused("sub", "ring", "--name", "n", "--observe", parts=["exclude each other"])
    misused("pub", "ring", "--slow", "gently", parts=["wait, fail, demote or evict"])
    misused("pub", "ring", "--hold", "long", parts=["--hold"])
    misused("pub", "ring", "--durable", parts=["--file"])
    misused("sub", "ring", "--from", "here", parts=["oldest, newest, seq:N", "'here'"])
    misused("stat", "ring", "--yaml", parts=["unknown option '--yaml'"])


@test
def values_that_are_no_values():
    for text in ("", "x", "-1", "+1", " 1", "1 ", "1k", "1KB", "1.5M", "0x10", "K", "99999999999999999999",
                 "99999999999G"):
        misused("pub", "ring", "--capacity", text, parts=["--capacity", "64K"])
        misused("pub", "ring", "--raw", text, parts=["--raw"])
    misused("pub", "ring", "--raw", "0", parts=["--raw"])
    for text in ("", "1", "ms", "1.5s", "-1s", "1S", "1 s", "1min", "99999999999999999999s", "9999999999h"):
        misused("pub", "ring", "--timeout", text, parts=["--timeout", "500ms"])
        misused("sub", "ring", "--timeout", text, parts=["--timeout", "500ms"])
    for text in ("", "x", "1K", "-1"):
        misused("sub", "ring", "--count", text, parts=["--count"])
        misused("pub", "ring", "--wait-consumers", text, parts=["--wait-consumers"])
    misused("sub", "ring", "--count", "0", parts=["--count"])
    misused("pub", "ring", "--max-consumers", "0", parts=["--max-consumers"])
    misused("pub", "ring", "--max-consumers", "1000000", parts=["--max-consumers"])


@test
def names():
    for name in ("", "n" * 201, "a/b", "/a", "a\\b", "a\nb", "a\x1b[31mb", "a\x7f", ".hidden", "..", b"a\xff"):
        if isinstance(name, bytes) and WINDOWS:
            continue  # arguments are UTF-16 there
        refused("pub", name, parts=["name"])
        refused("sub", name, parts=["name"])
    succeeds(run("pub", "n" * 200, data=b"one\n"))
    succeeds(run("pub", "\u00e9 \u4e16 'quoted' \"name\"", data=b"one\n"))
    fails(run("stat", "ring"), "'ring'", "no such ring")
    fails(run("stat", "./ring"), "'./ring'")


@test
def capacities():
    for capacity in ("0", "1", "2K", "5000", "65535", "3M", "32G", "8589934592G"):
        refused("pub", "ring", "--capacity", capacity, parts=["capacity", "power of two"])
    succeeds(run("pub", "ring", "--capacity", "4096", data=b"one\n"))
    succeeds(run("pub", "ring", "--capacity", "4K", data=b"one\n"))


@linux_test
def more_than_there_is_room_for():
    # The place of the names has less room than the largest ring only by chance; a file-size limit is certain.
    limited = subprocess.run(["sh", "-c", 'ulimit -f 64; trap "" XFSZ; exec "$@"', "sh", *COMMAND, "pub", "ring",
                              "--capacity", "1G"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                             env={**os.environ, "MAPRING_DIR": path("names")})
    fails((limited.returncode, limited.stdout, limited.stderr.decode()), "'ring'", "room")
    equal(os.listdir(path("names")), [], "names left behind")


@test
def messages_too_long():
    limit = 65536 // 4
    hint = [f"{limit} bytes", "65536 bytes", "--capacity"]
    options = ["pub", "ring", "--capacity", "64K"]
    refused(*options, parts=["a line", *hint], data=b"x" * (limit + 1) + b"\n")
    refused(*options, parts=["a line", *hint], data=b"x" * 1000000)
    refused(*options, "--raw", str(limit + 1), parts=["a block", *hint])
    refused(*options, "--frames", parts=["a frame", *hint], data=struct.pack("<I", limit + 1))
    refused(*options, "--frames", parts=["a frame", *hint], data=b"\xff\xff\xff\xff")
    succeeds(run(*options, data=b"x" * limit + b"\n"))
    succeeds(run(*options, data=b"x" * limit))
    succeeds(run(*options, "--raw", str(limit), data=b"x" * 3 * limit))
    succeeds(run(*options, "--frames", data=struct.pack("<I", limit) + b"x" * limit))


@test
def what_came_before_a_message_too_long_is_published_and_the_stream_goes_on():
    sub = start("sub", "ring")
    fails(run("pub", "ring", "--capacity", "4K", "--wait-consumers", "1", data=b"one\n" + b"x" * 2000 + b"\n"), "a line")
    equal(read_exactly(sub, 4), b"one\n")
    succeeds(run("pub", "ring", data=b"two\n"))
    succeeds(finish(sub), b"two\n")


@test
def truncated_frames():
    for data in (b"\x05", b"\x05\0\0", b"\x05\0\0\0", b"\x05\0\0\0four"):
        refused("pub", "ring", "--frames", parts=["'ring'", "inside a frame"], data=b"\x01\0\0\0a" + data)


@test
def another_geometry():
    pub = start("pub", "ring", "--capacity", "64K")
    sub = start("sub", "ring")
    pub.stdin.write(b"one\n")
    equal(read_exactly(sub, 4), b"one\n")
    pub.kill()
    pub.wait(timeout=30)
    fails(run("pub", "ring", "--capacity", "128K"), "'ring'", "65536 bytes", "capacity")
    fails(run("pub", "ring", "--max-consumers", "3"), "'ring'", "64 consumer slots")
    succeeds(run("pub", "ring", "--capacity", "64K", "--max-consumers", "64", data=b"two\n"))
    succeeds(finish(sub), b"two\n")


def left_alone(argument, file, content, parts=(), options=()):
    """Neither publishing nor looking changes a file with this content."""
    with open(file, "wb") as stream:
        stream.write(content)
    os.chmod(file, 0o600)
    names_there = os.listdir(path("names"))
    fails(run("pub", "ring", *options, data=b"one\n"), "'ring'", *parts)
    fails(run("stat", argument), argument, *parts)
    with open(file, "rb") as stream:
        equal(stream.read(), content, "the file")
    equal(os.listdir(path("names")), names_there, "names")
    os.unlink(file)


@test
def files_that_are_no_rings_are_left_alone():
    file = argument_path("file")
    for content in (b"", b"precious\n", os.urandom(200000), bytes(200000)):
        left_alone(file, path("file"), content, ["no ring"], ["--file", file])


@linux_test
def names_that_are_no_rings_are_left_alone():
    for content in (b"", b"precious\n", os.urandom(200000), bytes(200000)):
        left_alone("ring", path("names/ring"), content, ["no ring"])
    os.mkdir(path("names/ring"))
    fails(run("pub", "ring"), "'ring'", "no ring")
    fails(run("sub", "ring"), "'ring'", "no ring")


@test
def rings_that_were_damaged_are_left_alone():
    file = argument_path("file")
    options = ["--file", file]
    succeeds(run("pub", "ring", "--capacity", "64K", *options, data=b"one\n"))
    with open(path("file"), "rb") as stream:
        content = stream.read()
    left_alone(file, path("file"), content[:12] + b"\x63" + content[13:], ["version"], options)
    left_alone(file, path("file"), content[:100000], ["shorter"], options)
    left_alone(file, path("file"), content[:20] + b"\xff" * 40 + content[60:], [], options)
    left_alone(file, path("file"), b"x" + content[1:], ["no ring"], options)


@test
def places_that_cannot_hold_a_file():
    for place in (argument_path("none/ring"), argument_path("names"), *([] if WINDOWS else ["/dev/null", "/proc/ring"])):
        refused("pub", "ring", "--file", place, parts=["'ring'"])


@linux_test
def no_permission():
    # Who may everything meets no refusal, so root asks as nobody.
    nobody = {"user": 65534} if os.geteuid() == 0 else {}
    os.chmod(path(""), 0o755)
    with open(path("file"), "wb") as stream:
        stream.write(b"precious\n")
    os.chmod(path("file"), 0)
    if nobody:
        os.chown(path("names"), 65534, -1)
    try:
        start("--version", **nobody)
    except PermissionError:
        print("skipped: no_permission (another user cannot run the command where it is)")
        return
    fails(finish(start("pub", "ring", "--file", path("file"), **nobody)), "'ring'", "permit")
    fails(finish(start("stat", path("file"), **nobody)), path("file"), "permit")
    equal(os.listdir(path("names")), [], "names left behind")
    os.chmod(path("names"), 0)
    fails(finish(start("pub", "ring", **nobody)), "'ring'", "permit")
    fails(finish(start("ls", **nobody)), "permit")


@linux_test
def a_folder_that_others_may_write_to_is_not_trusted():
    os.chmod(path("names"), 0o777)
    fails(run("pub", "ring"), "not used")
    fails(run("ls"), "not used")


@test
def closed_standard_streams():
    def closed(redirections, *arguments):
        result = subprocess.run(["sh", "-c", f'exec "$@" {redirections}', "sh", *COMMAND, *arguments], input=b"one\n",
                                capture_output=True, timeout=30, env={**os.environ, "MAPRING_DIR": path("names")})
        return result.returncode, result.stdout, result.stderr.decode()

    fails(closed("<&-", "pub", "ring"), "cannot read standard input")
    fails(closed(">&-", "ls", "--json"), "cannot write to standard output")
    pub = start("pub", "ring", "--wait-consumers", "1")
    pub.stdin.write(b"one\n")
    fails(closed(">&-", "sub", "ring"), "cannot write to standard output")
    succeeds(finish(pub))


@linux_test
def a_full_disk_under_the_output():
    pub = start("pub", "ring", "--wait-consumers", "1")
    pub.stdin.write(b"one\n")
    with open("/dev/full", "wb") as full:
        code, _, errors = finish(start("sub", "ring", stdout=full), None)
        equal(code, 1)
        contains(errors, "mapring: cannot write to standard output: ")
        code, _, errors = finish(start("ls", "--json", stdout=full), None)
        equal(code, 1)
        contains(errors, "mapring: cannot write to standard output")
    succeeds(finish(pub))


main()
