#!/bin/sh
# Runs a test with folders of names of its own, so that runs do not meet, and fails if the test leaves names in it.
#
#   private.sh PROGRAM ARGUMENTS...
set -u
base=/dev/shm
[ -w "$base" ] || base=${TMPDIR:-/tmp}
MAPRING_DIR=$(mktemp -d "$base/mapring-test-XXXXXX") || exit 1
MAPRING_GLOBAL_DIR=$MAPRING_DIR.global
export MAPRING_DIR MAPRING_GLOBAL_DIR
mkdir -m 1777 "$MAPRING_GLOBAL_DIR" || exit 1
trap 'rm -rf "$MAPRING_DIR" "$MAPRING_GLOBAL_DIR"' EXIT
trap 'exit 1' HUP INT TERM

"$@"
status=$?

left=$(ls -A "$MAPRING_DIR" && ls -A "$MAPRING_GLOBAL_DIR")
if [ -n "$left" ] && [ "$status" -eq 0 ]; then
    echo "left in the folder of names: $left" >&2
    exit 1
fi
exit "$status"
