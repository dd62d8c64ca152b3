#!/usr/bin/env python3
"""Builds every C program shown in the documents, and runs those of the README: they must do what it says."""

import pathlib
import re
import subprocess
import sys
import tempfile


def programs(document):
    return re.findall(r"^```c\n(.*?)^```$", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def build(compiler, source_root, build_root, text, program):
    source = program.with_suffix(".c")
    source.write_text(text, encoding="utf-8")
    subprocess.run(
        [*compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{source_root}/include", str(source),
         f"-L{build_root}", f"-Wl,-rpath,{build_root}", "-lmapring", "-o", str(program)],
        check=True)


def main(source_root, build_root, *compiler):
    documents = [source_root / "README.md", *sorted((source_root / "docs").glob("*.md"))]
    with tempfile.TemporaryDirectory() as folder:
        shown = {}
        for document in documents:
            for number, text in enumerate(programs(document)):
                program = pathlib.Path(folder) / f"{document.stem}-{number}"
                build(compiler, source_root, build_root, text, program)
                shown.setdefault(document.name, []).append(program)

        producer, consumer = shown["README.md"]
        environment = {"MAPRING_DIR": f"{folder}/names"}
        with subprocess.Popen([producer], env=environment) as publishing:
            try:
                printed = subprocess.run([consumer], env=environment, capture_output=True, timeout=20, check=True)
                status = publishing.wait(timeout=20)
            finally:
                publishing.kill()
        if printed.stdout != b"hello\n" or status != 0:
            sys.exit(f"the README's programs printed {printed.stdout!r} and ended with {status}")
    print(f"{sum(map(len, shown.values()))} programs built")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:])
