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

# A start takes 2.6 s, with a server 50 ms: so there is one, which outlives its last program by a minute. Windows, which it
# may have shut down by then, is started by a program of no importance, since what stays behind must not keep our output
# open, whose end others wait for, nor the lock. (wineboot, started as a program, would start it twice.)
mkdir -p "$WINEPREFIX"
(
    flock 9
    "$wineserver" -p60 9>&- || true
    "$wine" cmd /c exit 9>&-
) 9>"$WINEPREFIX/lock" </dev/null >/dev/null 2>&1 || true

if [ -n "$temporary" ]; then
    result=0
    "$wine" "$@" || result=$?
    "$wineserver" -k || true
    "$wineserver" -w
    rm -rf "$temporary"
    exit "$result"
fi

exec "$wine" "$@"
