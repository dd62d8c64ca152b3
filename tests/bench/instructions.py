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

# What publishing and reading a message should take at most; where the bound is higher, that is yet to be reached.
TARGET = 40

# Way of the program, functions counted, what they do, and the most that it may take for each message: what it took when
# this was written, and about a twentieth more, for other compilers.
BOUNDS = [
    ("single", ["mapring_publish"], "copying publish of 8 B", 47),
    ("batch", ["mapring_publish_batch"], "copying publish of 8 B, 64 at once", 43),
    ("single", ["mapring_read", "mapring_release"], "reading 8 B in place, one at a time", 133),
    ("batch", ["mapring_read", "mapring_release"], "reading 8 B in place, 64 at once", 45),
    ("copy", ["mapring_receive"], "copying receive of 8 B, one at a time", 156),
    ("copy-batch", ["mapring_receive"], "copying receive of 8 B, 64 at once", 97),
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
            count = counted(sys.argv[1], way, functions, folder)
            verdict = "TOO MANY" if count > most else "ok" if count <= TARGET else f"ok, but the target is {TARGET}"
            print(f"{what:40} {count:7.1f} instructions, at most {most}: {verdict}", flush=True)
            # A count near nothing means that the wrong thing was counted.
            failed |= not 5 <= count <= most
    sys.exit(failed)


main()
