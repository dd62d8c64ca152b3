"""What the tests of the mapring command share: processes, a private folder of names, and the count of results.

Usage of each test program: TEST.py COMMAND..., where COMMAND runs the mapring command. If it ends in .exe it is the
one for Windows, run under Wine.
"""

import array
import ctypes
import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import traceback

COMMAND = [os.path.abspath(part) if os.sep in part else part for part in sys.argv[1:]]
LIMIT = 30  # seconds that anything may take
PR_SET_PDEATHSIG = 1

WINDOWS = COMMAND[-1].endswith(".exe")

tests = []
processes = []
folder = None


def test(function):
    tests.append(function)
    return function


def linux_test(function):
    """A test of something that Windows does not have, or that Wine does not let us see."""
    return function if WINDOWS else test(function)


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Whoever runs the tests in the background, or with nohup, has these ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **others):
    """Starts `mapring ARGUMENTS`, and ends it at the latest with the test."""
    process = subprocess.Popen(COMMAND + list(arguments), stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0,
                               env={**os.environ, "MAPRING_DIR": os.path.join(folder, "names")}, cwd=folder,
                               preexec_fn=_die_with_parent, **others)
    processes.append(process)
    return process


def finish(process, data=None):
    """Feeds the process, waits for its end, and returns exit status, standard output and standard error (as text)."""
    output, errors = process.communicate(data, timeout=LIMIT)
    return process.returncode, output, (errors or b"").decode(errors="replace")


def run(*arguments, data=b""):
    return finish(start(*arguments), data)


def read_some(stream, size):
    """Reads what comes next from a pipe or terminal."""
    ready, _, _ = select.select([stream], [], [], LIMIT)
    assert ready, "nothing came"
    return os.read(stream if isinstance(stream, int) else stream.fileno(), size)


def read_exactly(process, size):
    """Reads so many bytes of the process's output while it runs."""
    data = b""
    while len(data) < size:
        more = read_some(process.stdout, size - len(data))
        assert more, f"the output ended after {len(data)} of {size} bytes"
        data += more
    return data


def write_in_parts(process, data, size):
    """Feeds the process so that it reads the data in parts of that size: each is written when the one before was read."""
    for i in range(0, len(data), size):
        process.stdin.write(data[i:i + size])
        unread = array.array("i", [1])
        deadline = time.monotonic() + LIMIT
        while unread[0] > 0:
            assert time.monotonic() < deadline, "the input was not read"
            os.sched_yield()
            fcntl.ioctl(process.stdin, termios.FIONREAD, unread)


def until(condition):
    """Asks until it is so. Each question runs a process, so this is no busy loop of our own."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not become true"


def equal(found, expected, what="value"):
    if found == expected:
        return
    if isinstance(found, bytes) and isinstance(expected, bytes) and max(len(found), len(expected)) > 200:
        at = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
        raise AssertionError(f"{what}: {len(found)} bytes instead of {len(expected)}, different from {at} on")
    raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def contains(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in {text!r}"


def fails(result, *parts, status=1, pattern=""):
    """The command failed as it should: exit status, and one line that says so."""
    code, output, errors = result
    equal(code, status, "exit status (" + errors.strip() + ")")
    equal(output, b"", "standard output")
    assert errors.startswith("mapring: ") and errors.endswith("\n") and errors.count("\n") == 1, repr(errors)
    contains(errors, *parts)
    assert re.search(pattern, errors), f"{pattern!r} does not match {errors!r}"


def succeeds(result, output=b"", errors=""):
    equal(result[2], errors, "standard error")
    equal(result[0], 0, "exit status")
    equal(result[1], output, "standard output")


def pid_pattern(process):
    """What the command calls this process. Under Wine processes have other numbers, which are not known here."""
    return "[0-9]+" if WINDOWS else str(process.pid)


def path(name):
    return os.path.join(folder, name)


def argument_path(name):
    """A path as the command understands it: under Wine, Z: is the whole file system."""
    return "Z:" + path(name).replace("/", "\\") if WINDOWS else path(name)


def _time_is_up(number, frame):
    raise TimeoutError("the test took too long, or is to end")


def _run_one(function):
    global folder
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="mapring-cli-", dir=base)
    os.mkdir(path("names"), 0o700)
    signal.alarm(2 * LIMIT)
    try:
        function()
        return True
    except Exception:
        print(f"FAILED: {function.__name__}")
        traceback.print_exc(file=sys.stdout)
        return False
    finally:
        signal.alarm(0)
        while processes:
            process = processes.pop()
            process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None and not stream.closed:
                    stream.close()
            process.wait()
        shutil.rmtree(folder)


def main():
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.signal(signal.SIGTERM, _time_is_up)
    if WINDOWS:
        # The first program starts services that keep its standard streams open for long.
        subprocess.run(COMMAND + ["--version"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=4 * LIMIT)
    results = [_run_one(function) for function in tests]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(0 if all(results) else 1)
