#!/usr/bin/env python3
"""Counts instructions per operation with callgrind, and compares with what they may be at most.

Counted is what the library does in one call, its rare slow path shared out among all messages. Callgrind's counts do
not depend on what else the machine does, only on compiler and sources."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

MESSAGES = 65536
SKIPPED = 77

# What publishing and reading a message should take at most.
TARGET = 40

# Way of the program, functions counted, what they do, and what it takes for each message. With gcc 12 that is exact, so
# that one instruction more is seen; other compilers may take so much more.
OTHERS = 1.25
BOUNDS = [
    ("single", ["mapring_publish"], "copying publish of 8 B", 39.2),
    ("batch", ["mapring_publish_batch"], "copying publish of 8 B, 64 at once", 37.6),
    ("single", ["mapring_read"], "reading 8 B in place, one at a time", 29.2),
    ("single", ["mapring_release"], "releasing it", 11.2),
    ("batch", ["mapring_read", "mapring_release"], "reading and releasing 8 B, 64 at once", 31.3),
    ("copy", ["mapring_receive"], "copying receive of 8 B, one at a time", 43.2),
    ("copy-batch", ["mapring_receive"], "copying receive of 8 B, 64 at once", 51.3),
]


def counted(program, way, functions, folder):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + os.path.join(folder, "out")]
    command += ["--toggle-collect=" + function for function in functions]
    command += [program, way, str(MESSAGES)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or found is None:
        sys.exit("callgrind failed:\n" + run.stderr)
    return int(found.group(1)) / MESSAGES


def main():
    if shutil.which("valgrind") is None:
        print("valgrind is not installed")
        sys.exit(SKIPPED)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for way, functions, what, most in BOUNDS:
            most = most if sys.argv[2] == "gcc 12" else round(most * OTHERS)
            count = counted(sys.argv[1], way, functions, folder)
            verdict = "TOO MANY" if count > most else "ok" if count <= TARGET else f"ok, but the target is {TARGET}"
            print(f"{what:40} {count:7.1f} instructions, at most {most}: {verdict}", flush=True)
            # A count near nothing means that the wrong thing was counted.
            failed |= not 5 <= count <= most
    sys.exit(failed)


main()
