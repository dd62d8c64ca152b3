#!/usr/bin/env python3
"""Every name that the static library gives to the linker has the prefix of the project."""

import subprocess
import sys

listing = subprocess.run(["nm", "--defined-only", "--extern-only", sys.argv[1]],
                         capture_output=True, text=True, check=True).stdout
names = {line.split()[2] for line in listing.splitlines() if len(line.split()) == 3}
if "mapring_publish" not in names:
    sys.exit("the static library has no mapring_publish: this test looks at the wrong file")
strangers = sorted(name for name in names if not name.startswith("mapring_"))
if strangers:
    sys.exit(f"add to lib/namespace.h: {', '.join(strangers)}")
