#!/usr/bin/env python3
"""Streams between bindings: one publishes, the other consumes, and the other way around.

Usage: pairs.py LIBRARY python|rust

With `rust` it builds binding.rs first, and pairs it with Python and with itself; without a rustc it is skipped.
"""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
PR_SET_PDEATHSIG = 1
LIMIT = 60
COUNT = 3000 * int(os.environ.get("MAPRING_TEST_LENGTH", "1"))


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def build_rust(library, folder):
    if shutil.which("rustc") is None:
        print("no rustc here: the Rust binding was not tried")
        sys.exit(77)
    program = pathlib.Path(folder) / "binding"
    subprocess.run(["rustc", "--edition", "2018", "-O", "-D", "warnings", "-o", program, HERE / "binding.rs",
                    "-L", f"native={library.parent}", "-C", f"link-arg=-Wl,-rpath,{library.parent}"], check=True)
    return [program]


def stream(producer, consumer, name):
    processes = [subprocess.Popen([*map(str, command), role, name, str(COUNT)], preexec_fn=die_with_parent)
                 for command, role in ((consumer, "consume"), (producer, "produce"))]
    try:
        return all([process.wait(timeout=LIMIT) == 0 for process in processes])
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main(library, language):
    library = pathlib.Path(library).resolve()
    commands = {"python": [sys.executable, HERE / "binding.py", library]}
    with tempfile.TemporaryDirectory() as folder:
        if language == "rust":
            commands["rust"] = build_rust(library, folder)
        failed = False
        for producer in commands:
            for consumer in commands:
                if language not in (producer, consumer):
                    continue
                name = f"{producer}-to-{consumer}-{os.getpid()}"
                good = stream(commands[producer], commands[consumer], name)
                print(f"{producer} to {consumer}: {'good' if good else 'FAILED'}")
                failed = failed or not good
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
