"""What the tests of the mapring command share: processes, a private folder of names, and the count of results.

Usage of each test program: TEST.py COMMAND..., where COMMAND runs the mapring command.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

COMMAND = sys.argv[1:]
LIMIT = 30  # seconds that anything may take
PR_SET_PDEATHSIG = 1

tests = []
processes = []
folder = None


def test(function):
    tests.append(function)
    return function


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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


def fails(result, *parts, status=1):
    """The command failed as it should: exit status, and one line that says so."""
    code, output, errors = result
    equal(code, status, "exit status (" + errors.strip() + ")")
    equal(output, b"", "standard output")
    assert errors.startswith("mapring: ") and errors.endswith("\n") and errors.count("\n") == 1, repr(errors)
    contains(errors, *parts)


def succeeds(result, output=b"", errors=""):
    equal(result[2], errors, "standard error")
    equal(result[0], 0, "exit status")
    equal(result[1], output, "standard output")


def path(name):
    return os.path.join(folder, name)


def _time_is_up(number, frame):
    raise TimeoutError("the test took too long")


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
    results = [_run_one(function) for function in tests]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(0 if all(results) else 1)
