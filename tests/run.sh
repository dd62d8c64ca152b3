#!/bin/sh
# Runs all tests, from a fresh machine on: installs what is missing, builds with gcc and with clang, and for Windows
# with mingw-w64, whose programs run under Wine. Says at the end how many passed.
#
# MAPRING_TEST_LENGTH=N makes the tests that repeat something repeat it N times as often.
set -u
cd "$(dirname "$0")/.." || exit 1
sh tools/packages.sh test || exit 1

failed=0
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# One step that is no Meson test: its name, then its command.
step() {
    name=$1
    shift
    echo "== $name"
    if "$@"; then
        echo "Ok: 1" >>"$results"
    else
        echo "Fail: 1" >>"$results"
        echo "FAILED: $name"
        failed=1
    fi
}

# Builds into a folder: the compilers for C and C++, the folder, options of Meson.
build() {
    cc=$1 cxx=$2 folder=$3
    shift 3
    again=
    [ -d "$folder/meson-info" ] && again=--reconfigure
    if ! { CC=$cc CXX=$cxx meson setup $again "$folder" -Dwerror=true "$@" && ninja -C "$folder"; } >"$folder.log" 2>&1
    then
        cat "$folder.log"
        return 1
    fi
}

run_tests() {
    echo "== tests in $1"
    meson test -C "$1" --no-rebuild --print-errorlogs --num-processes 2 >"$1.log" 2>&1 || failed=1
    cat "$1.log"
    grep -E '^(Ok|Fail|Unexpected Pass|Skipped|Timeout): ' "$1.log" >>"$results"
}

formatted() {
    git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror
}

step "formatting" formatted
# Without what is optional.
step "build with clang" build clang clang++ build-clang -Dliburing=disabled
step "build with gcc" build gcc g++ build-gcc
step "build for Windows" build gcc g++ build-windows --cross-file tests/windows/x86_64-w64-mingw32.ini

run_tests build-gcc
run_tests build-windows

awk '
    /^Ok:/ { passed += $2 }
    /^(Fail|Unexpected Pass|Timeout):/ { failed += $NF }
    /^Skipped:/ { skipped += $2 }
    END {
        printf "%d passed, %d failed", passed, failed
        if (skipped) printf ", %d skipped", skipped
        print ""
    }' "$results"
exit $failed
