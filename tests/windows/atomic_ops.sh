#!/bin/sh
# Copies the headers of libatomic_ops, which suit mingw-w64 as they are, into a folder of their own: /usr/include as a
# whole would bring the C library's along. Prints the name of the folder.
set -eu

target=$1
for folder in ${ATOMIC_OPS_INCLUDE:-} /usr/include /usr/local/include /opt/homebrew/include; do
    if [ -f "$folder/atomic_ops.h" ]; then
        mkdir -p "$target"
        cp -R "$folder/atomic_ops.h" "$folder/atomic_ops" "$target/"
        basename "$target"
        exit 0
    fi
done
echo "the headers of libatomic_ops were not found: install libatomic-ops-dev, or set ATOMIC_OPS_INCLUDE" >&2
exit 1
