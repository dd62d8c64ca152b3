#!/bin/sh
# Runs a test with a folder of names of its own, so that runs do not meet, and fails if the test leaves names in it.
#
#   private.sh PROGRAM ARGUMENTS...
set -u
base=/dev/shm
[ -w "$base" ] || base=${TMPDIR:-/tmp}
MAPRING_DIR=$(mktemp -d "$base/mapring-test-XXXXXX") || exit 1
export MAPRING_DIR
trap 'rm -rf "$MAPRING_DIR"' EXIT
trap 'exit 1' HUP INT TERM

"$@"
status=$?

left=$(ls -A "$MAPRING_DIR")
if [ -n "$left" ] && [ "$status" -eq 0 ]; then
    echo "left in the folder of names: $left" >&2
    exit 1
fi
exit "$status"
