#!/usr/bin/env python3
"""Every public header compiles alone, as C11 and as C++17, with every compiler there is.

Usage: headers.py INCLUDE_FOLDER
"""

import pathlib
import shutil
import subprocess
import sys

COMPILERS = [("gcc", "c", "c11"), ("clang", "c", "c11"), ("g++", "c++", "c++17"), ("clang++", "c++", "c++17")]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]


def main(include):
    headers = sorted(include.glob("mapring/*.h"))
    assert len(headers) > 5
    languages = set()
    failed = False
    for compiler, language, standard in COMPILERS:
        if shutil.which(compiler) is None:
            print(f"no {compiler} here: not tried")
            continue
        languages.add(language)
        for header in headers:
            # Twice: a header must not mind being included again. A C file must declare something.
            source = f"#include <mapring/{header.name}>\n" * 2 + "extern int something;\n"
            result = subprocess.run(
                [compiler, "-x", language, f"-std={standard}", *WARNINGS, "-fsyntax-only", f"-I{include}", "-"],
                input=source, text=True, capture_output=True)
            if result.returncode != 0:
                failed = True
                print(f"{header.name} with {compiler} as {standard}:\n{result.stderr}")
    assert languages == {"c", "c++"}, f"only compilers for {languages} were found"
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
