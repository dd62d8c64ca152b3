#!/usr/bin/env python3
"""The symbols that the shared library exports are those of the symbol map and those declared in the headers; its SONAME
is that of the ABI version.

Usage: symbols.py LIBRARY SYMBOL_MAP INCLUDE_FOLDER
"""

import pathlib
import re
import subprocess
import sys


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported(library):
    """Names with their version nodes, as name@@VERSION."""
    lines = run("nm", "-D", "--defined-only", "--with-symbol-versions", library).splitlines()
    return {line.split()[2] for line in lines if line.split()[1] != "A"}


def mapped(symbol_map):
    text = symbol_map.read_text()
    node, names, local = re.fullmatch(r"(\w+) \{\s*global:(.*?)local: (.*?);\s*\};\s*", text, re.DOTALL).groups()
    assert local == "*", "all else is local"
    return {f"{name}@@{node}" for name in re.findall(r"(\w+);", names)}


def declared(folder):
    names = set()
    for header in folder.glob("mapring/*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        names.update(re.findall(r"^MAPRING_API\s[^;(]*?(\w+)\(", text, re.MULTILINE))
    return names


def same(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: missing {sorted(expected - found)}, too many {sorted(found - expected)}")


def main(library, symbol_map, include):
    symbols = exported(library)
    same("exported, against the map", symbols, mapped(symbol_map))
    same("exported, against the headers", {symbol.split("@")[0] for symbol in symbols}, declared(include))
    assert len(symbols) > 30

    version = re.search(r"#define MAPRING_ABI_VERSION (\d+)", (include / "mapring/version.h").read_text()).group(1)
    soname = re.search(r"SONAME.*\[(.*)\]", run("readelf", "-d", library)).group(1)
    same("SONAME", {soname}, {f"libmapring.so.{version}"})

    # No work at load time, and nothing of the process's: no constructor, no thread-local state.
    sections = run("readelf", "-S", "-W", library)
    for section in (".tdata", ".tbss"):
        assert section not in sections, f"{section}: thread-local state"
    print(f"{len(symbols)} symbols, {soname}")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
