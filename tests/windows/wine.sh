#!/bin/sh
# Runs a Windows program under Wine:  wine.sh PROGRAM.exe [ARGUMENT...]
#
# WINEPREFIX is used if it is set. Else the Windows of this build lives in its build folder, which the program is in or
# which is the current folder; outside of one it is made for this run and removed.
set -eu

find_program() {
    for candidate in "$@"; do
        if command -v "$candidate"; then
            return
        fi
    done
    echo "Wine was not found: install wine64" >&2
    exit 127
}
wine=$(find_program wine64 /usr/lib/wine/wine64 /usr/lib64/wine/wine64 /opt/wine-stable/bin/wine64)
wineserver=$(find_program wineserver /usr/lib/wine/wineserver64 /usr/lib/wine/wineserver \
    /opt/wine-stable/bin/wineserver)

build_folder() {
    folder=$(cd "$(dirname "$1")" 2>/dev/null && pwd) || folder=$PWD
    while [ "$folder" != / ]; do
        if [ -d "$folder/meson-private" ]; then
            echo "$folder"
            return
        fi
        folder=$(dirname "$folder")
    done
    if [ -d meson-private ]; then
        pwd
    fi
}

temporary=
if [ -z "${WINEPREFIX:-}" ]; then
    build=$(build_folder "$1")
    if [ -n "$build" ]; then
        WINEPREFIX=$build/wine
    else
        temporary=$(mktemp -d)
        WINEPREFIX=$temporary/wine
    fi
fi

export WINEPREFIX WINEDEBUG=-all WINEDLLOVERRIDES='mscoree=;mshtml=;winemenubuilder.exe='
unset DISPLAY

# The first makes the prefix, which takes some seconds, and the others wait for it.
if [ ! -e "$WINEPREFIX/ready" ]; then
    mkdir -p "$WINEPREFIX"
    (
        flock 9
        if [ ! -e "$WINEPREFIX/ready" ]; then
            # The server outlives this line, and must not keep the lock.
            "$wine" wineboot --init </dev/null >/dev/null 2>&1 9>&-
            touch "$WINEPREFIX/ready"
        fi
    ) 9>"$WINEPREFIX/lock"
fi

if [ -n "$temporary" ]; then
    result=0
    "$wine" "$@" || result=$?
    "$wineserver" -k || true
    "$wineserver" -w
    rm -rf "$temporary"
    exit "$result"
fi

# A start with a server takes 50 ms, without one 2.6 s: it outlives its last program by a while.
"$wineserver" -p60 2>/dev/null || true
exec "$wine" "$@"
