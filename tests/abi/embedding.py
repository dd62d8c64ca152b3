#!/usr/bin/env python3
"""Other projects use mapring: as a Meson subproject, and installed, through pkg-config, shared and static.

Usage: embedding.py SOURCE_ROOT BUILD_ROOT MESON COMPILER...
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def run(command, **others):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, **others)
    if result.returncode != 0:
        sys.exit(f"{command} ended with {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result.stdout


def prints_embedded(program, **environment):
    output = run([program], env={**os.environ, **environment})
    assert output == "embedded\n", repr(output)


def as_subproject(source, folder, meson, compiler):
    project = folder / "project"
    shutil.copytree(source / "tests/abi/subproject", project)
    # As a checkout would be: the files of the project, without what was built in its folder.
    mapring = project / "subprojects/mapring"
    mapring.mkdir(parents=True)
    for part in ("include", "lib", "meson.build", "meson_options.txt", "LICENSE", "README.md"):
        copy = shutil.copytree if (source / part).is_dir() else shutil.copy
        copy(source / part, mapring / part)
    build = folder / "build"
    output = run([meson, "setup", "--wrap-mode=forcefallback", build, project], env={**os.environ, "CC": " ".join(compiler)})
    assert "WARNING" not in output, output
    run([meson, "compile", "-C", build])
    targets = {target["name"] for target in json.loads(run([meson, "introspect", "--targets", build]))}
    assert targets == {"embedding", "mapring"}, f"tests, tools and bench are off, but there is {targets}"
    prints_embedded(build / "embedding")
    print("as a subproject: good")


def installed(source, build, folder, meson, compiler):
    if shutil.which("pkg-config") is None:
        print("no pkg-config here: not tried")
        return
    destination = folder / "installed"
    run([meson, "install", "-C", build, "--no-rebuild", "--destdir", destination])
    headers = {path.name for path in (source / "include/mapring").glob("*.h")}
    assert {path.name for path in destination.rglob("include/mapring/*.h")} == headers
    description = next(destination.rglob("mapring.pc"))
    library = next(destination.rglob("libmapring.so")).parent
    # pkg-config takes the paths as they will be; here they lie below the destination.
    environment = {**os.environ, "PKG_CONFIG_LIBDIR": str(description.parent),
                   "PKG_CONFIG_SYSROOT_DIR": str(destination)}

    def ask(*options):
        return run(["pkg-config", *options, "mapring"], env=environment).split()

    version = re.search(r"version: '(.*?)'", (source / "meson.build").read_text()).group(1)
    assert ask("--modversion") == [version]
    program = folder / "program"
    text = source / "tests/abi/subproject/embedding.c"
    flags = ["-std=c11", "-D_GNU_SOURCE", *ask("--cflags")]
    run([*compiler, *flags, text, "-o", program, *ask("--libs")])
    prints_embedded(program, LD_LIBRARY_PATH=str(library))
    assert "libmapring.so." in run(["readelf", "-d", program])
    print("installed, shared: good")

    archives = list(destination.rglob("libmapring.a"))
    if archives:
        # What the archive itself needs stands behind it: nothing, or liburing.
        needed = [flag for flag in ask("--libs-only-l", "--static") if flag != "-lmapring"]
        run([*compiler, *flags, text, "-o", program, archives[0], *needed])
        prints_embedded(program)
        assert "libmapring" not in run(["readelf", "-d", program])
        print("installed, static: good")

    if shutil.which("g++") is not None:
        run(["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", *ask("--cflags"), "-x", "c++", text, "-o", program,
             *ask("--libs")])
        prints_embedded(program, LD_LIBRARY_PATH=str(library))
        print("installed, from C++: good")


def main(source, build, meson, *compiler):
    with tempfile.TemporaryDirectory() as folder:
        as_subproject(source, pathlib.Path(folder), meson, compiler)
        installed(source, build, pathlib.Path(folder), meson, compiler)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:])
