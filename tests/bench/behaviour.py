#!/usr/bin/env python3
"""What mapring-bench does when the machine or the user does not play along. No process and no ring stays behind."""

import ctypes
import json
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
LIMIT = 60
SKIPPED = 77

failures = 0


def check(good, what, *details):
    global failures
    print(f"{'ok' if good else 'FAILED'}: {what}", *([] if good else details), flush=True)
    failures += not good


def run(*arguments, before=None, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=LIMIT,
                          env=dict(os.environ, **environment), preexec_fn=before)


def left_behind(folder):
    return [name for name in os.listdir(folder) if "mapring-bench" in name]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def await_condition(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            sys.exit("never happened: " + what)
        time.sleep(0.02)


def rows(report):
    return [subject for comparison in report["comparisons"] for subject in comparison["subjects"]]


def daemon_files():
    """What iceoryx's daemon has while it runs; another one than ours may do so."""
    paths = ["/dev/shm/iceoryx_mgmt", "/tmp/roudi", "/tmp/iox-unique-roudi.lock"]
    return {path for path in paths if os.path.exists(path)}


def interrupted(command, folder):
    """Ctrl-C in the middle: the terminal sends it to the whole group."""
    of_daemon = daemon_files()
    process = subprocess.Popen([PROGRAM, command, "--json", "--rounds", "1000", "--sizes", "64"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                               env=dict(os.environ, MAPRING_DIR=folder))
    await_condition(lambda: children_of(process.pid), "members start")
    children = children_of(process.pid)
    # Any moment will do; this one comes after some rounds, unless the machine is slow.
    time.sleep(2)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=LIMIT)
    check(process.returncode == 130, f"{command}: Ctrl-C ends it with 130", process.returncode, errors)
    check(time.monotonic() - begin < 8, f"{command}: soon", time.monotonic() - begin)
    check(not any(os.path.exists(f"/proc/{child}") for child in children), f"{command}: no process stays")
    check(not left_behind(folder), f"{command}: no ring stays", left_behind(folder))
    others_files = [name for name in os.listdir("/tmp") if name.startswith(f"mapring-bench-{process.pid}-")]
    check(not others_files, f"{command}: nothing of others stays", others_files)
    check(daemon_files() <= of_daemon, f"{command}: nothing of a daemon stays", daemon_files() - of_daemon)
    check(json.loads(output)["interrupted"], f"{command}: says that it was interrupted")


def killed_member(folder):
    process = subprocess.Popen([PROGRAM, "throughput", "--json", "--rounds", "4", "--seconds", "15", "--sizes", "64"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, MAPRING_DIR=folder))
    await_condition(lambda: len(children_of(process.pid)) >= 2, "members start")
    os.kill(children_of(process.pid)[1], signal.SIGKILL)
    output, errors = process.communicate(timeout=LIMIT)
    check(process.returncode == 1, "a killed member of mapring's own crew fails the run", process.returncode, errors)
    check("signal 9" in output, "its rows say why", output[-500:])
    check(not left_behind(folder), "a killed member: no ring stays", left_behind(folder))


def killed_peer(folder):
    # The one that is killed may just have done its work, and then nobody misses it.
    for attempt in range(5):
        process = subprocess.Popen([PROGRAM, "compare", "--json", "--rounds", "1", "--seconds", "20", "--sizes", "64"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=dict(os.environ, MAPRING_DIR=folder))
        await_condition(lambda: len(children_of(process.pid)) >= 2, "members start")
        own = set(children_of(process.pid)[:2])
        await_condition(lambda: set(children_of(process.pid)) - own, "members of another start")
        os.kill((set(children_of(process.pid)) - own).pop(), signal.SIGKILL)
        output, errors = process.communicate(timeout=LIMIT)
        reasons = [row["not_measured"] for row in rows(json.loads(output))
                   if "signal 9" in row.get("not_measured", "")]
        if process.returncode != 0 or reasons:
            break
    check(process.returncode == 0, "a killed member of another's crew does not fail the run", process.returncode, errors)
    check(len(reasons) == 1, "its row, and no other, says why", reasons)


def one_processor(folder):
    first = min(os.sched_getaffinity(0))

    def pin():
        os.sched_setaffinity(0, {first})

    alone = run("throughput", before=pin, MAPRING_DIR=folder)
    check(alone.returncode == 1 and "only one is allowed" in alone.stderr, "one processor: refuses what takes two",
          alone.returncode, alone.stderr)
    alone = run("steer", "--rounds", "3", "--sizes", "8", before=pin, MAPRING_DIR=folder)
    check(alone.returncode == 0 and "One processor only" in alone.stdout, "one processor: does the rest, and says so",
          alone.stdout, alone.stderr)
    crowd = run("fanout", "--rounds", "3", "--seconds", "20", "--consumers", "1,3", before=pin, MAPRING_DIR=folder)
    check("3 consumers oversubscribed" in crowd.stdout, "says oversubscribed", crowd.stdout, crowd.stderr)


def forbid_pinning():
    """Has the kernel refuse sched_setaffinity() from here on, as some containers do."""
    number = {"x86_64": 203, "aarch64": 122}[platform.machine()]
    # Load the number of the system call; if it is that one, return the error 1 (EPERM), else allow it.
    program = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    description = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, description) != 0:
        raise OSError("no filter of system calls")


def pinning_forbidden(folder):
    free = run("steer", "--rounds", "3", "--seconds", "20", "--sizes", "8", before=forbid_pinning, MAPRING_DIR=folder)
    check(free.returncode == 0 and "NOT PINNED" in free.stdout, "no permission to pin: goes on, and says so",
          free.returncode, free.stdout[:600], free.stderr)
    asked = run("--cpus", "0,1", before=forbid_pinning, MAPRING_DIR=folder)
    check(asked.returncode == 1 and "cannot pin" in asked.stderr, "no permission to pin where asked to: refuses",
          asked.returncode, asked.stderr)


def little_room(folder):
    """As much as a quota or a full tmpfs would leave: files may not become longer."""
    import resource

    def shrink():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    small = run("throughput", "--json", "--rounds", "3", "--sizes", "64", before=shrink, MAPRING_DIR=folder)
    reasons = [row.get("not_measured", "") for row in rows(json.loads(small.stdout))]
    check(small.returncode == 1, "no room for a ring: fails", small.returncode, small.stderr)
    check(any("MAPRING_" in reason for reason in reasons), "no room for a ring: rows say why", reasons)
    check(not left_behind(folder), "no room for a ring: none stays", left_behind(folder))


def little_tmpfs(folder):
    """A tmpfs of 1 MiB, in a name space of its own; only where one may mount it."""
    place = os.path.join(folder, "little")
    os.mkdir(place)
    script = 'mount -t tmpfs -o size=1m none "$1" || exit 77; shift; exec "$@"'
    small = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", place, PROGRAM, "throughput", "--json",
                            "--rounds", "3", "--sizes", "64"],
                           capture_output=True, text=True, timeout=LIMIT, env=dict(os.environ, MAPRING_DIR=place))
    if small.returncode == 77 or "unshare" in small.stderr:
        print("not tried: may not mount a tmpfs")
        return
    reasons = [row.get("not_measured", "") for row in rows(json.loads(small.stdout))]
    check(small.returncode == 1, "a full tmpfs: fails", small.returncode, small.stderr)
    check(any("MAPRING_" in reason for reason in reasons), "a full tmpfs: rows say why", reasons)


def others(folder):
    compared = run("compare", "--json", "--rounds", "1", "--seconds", "40", "--sizes", "64", MAPRING_DIR=folder)
    check(compared.returncode == 0, "compare goes through", compared.returncode, compared.stderr)
    names = {row["name"] for row in rows(json.loads(compared.stdout))}
    wanted = {"mapring", "plain shared ring", "pipe", "UNIX seqpacket", "POSIX mqueue", "ZeroMQ ipc", "nng ipc",
              "Boost message_queue", "Concurrency Kit ring", "DPDK rte_ring", "iceoryx"}
    check(wanted <= names, "compare has a row for each", wanted - names)
    wrong = [row for row in rows(json.loads(compared.stdout)) if "wrong byte" in row.get("not_measured", "")]
    check(not wrong, "compare: no wrong byte", wrong)


def reports(folder):
    page, histograms = os.path.join(folder, "page.html"), os.path.join(folder, "histograms")
    latency = run("latency", "--rounds", "3", "--seconds", "30", "--html", page, "--hdr", histograms,
                  MAPRING_DIR=folder)
    check(latency.returncode == 0, "latency goes through", latency.returncode, latency.stderr)
    text = open(page).read()
    check(text.startswith("<!doctype html>") and text.rstrip().endswith("</html>"), "the page is whole")
    check("prefers-color-scheme:dark" in text and "http" not in text, "the page is for light and dark, and needs no other")
    check(latency.stderr == "", "no progress bar in a pipe", latency.stderr)
    for name in os.listdir(histograms):
        lines = open(os.path.join(histograms, name)).read().splitlines()
        shares = [float(line.split()[1]) for line in lines[2:] if line and not line.startswith("#")]
        check(shares == sorted(shares) and shares[-1] == 1, f"{name} reaches 100 %")
    nowhere = run("publish", "--rounds", "3", "--sizes", "8", "--html", folder + "/nowhere/page", MAPRING_DIR=folder)
    check(nowhere.returncode == 1 and "cannot write" in nowhere.stderr, "says when it cannot write", nowhere.stderr)


def refusals(folder):
    for arguments in (["nonsense"], ["--sizes", "7"], ["--cpus", "0,0"], ["--capacity", "1000"], ["--rounds", "0"],
                      ["--consumers", "65"]):
        refused = run(*arguments, MAPRING_DIR=folder)
        check(refused.returncode == 2 and refused.stdout == "", " ".join(arguments) + " is refused", refused.returncode)
    far = run("--cpus", "0,1000", MAPRING_DIR=folder)
    check(far.returncode == 1 and "cannot pin" in far.stderr, "a processor that is not there", far.stderr)


def main():
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        refusals(folder)
        one_processor(folder)
        little_room(folder)
        if shutil.which("unshare"):
            little_tmpfs(folder)
        pinning_forbidden(folder)
        reports(folder)
        if len(os.sched_getaffinity(0)) > 1:
            others(folder)
            killed_peer(folder)
            killed_member(folder)
            interrupted("steer", folder)
            interrupted("compare", folder)
            interrupted("fanout", folder)
    sys.exit(failures > 0)


main()
