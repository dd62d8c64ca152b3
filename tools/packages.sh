#!/bin/sh
# Installs the Debian or Ubuntu packages that a purpose needs, those that are missing and only those:
#
#   sh tools/packages.sh build    to build and use mapring
#   sh tools/packages.sh test     to run all tests as well
#   sh tools/packages.sh bench    to compare with others in the benchmarks as well
#
# On another system it says what is missing, and fails.
set -eu

build="gcc libc6-dev meson ninja-build pkg-config libatomic-ops-dev"
test="$build liburing-dev clang g++ clang-format libcriterion-dev python3 gcc-mingw-w64-x86-64 wine64 valgrind"
optional=

case "${1-}" in
build) packages=$build ;;
test)
    packages=$test
    optional="rustc"
    ;;
bench)
    packages=$build
    optional="g++ libzmq3-dev libnng-dev libboost-dev libck-dev libdpdk-dev iceoryx libiceoryx-posh-dev"
    ;;
*)
    echo "usage: sh tools/packages.sh build|test|bench" >&2
    exit 2
    ;;
esac

has_command() {
    command -v "$1" >/dev/null 2>&1
}

has_header() {
    has_command gcc && echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1
}

# Its headers are in a folder that has the version's name.
has_iceoryx() {
    for folder in /usr/include/iceoryx/v* /usr/local/include/iceoryx/v*; do
        [ ! -d "$folder/iceoryx_posh" ] || return 0
    done
    return 1
}

# What is there counts, not where it came from: tools may also be installed by hand.
has() {
    case $1 in
    libc6-dev) has_header stdio.h ;;
    libatomic-ops-dev) has_header atomic_ops.h ;;
    libcriterion-dev) has_header criterion/criterion.h ;;
    liburing-dev) has_header liburing.h ;;
    libzmq3-dev) has_header zmq.h ;;
    libnng-dev) has_header nng/nng.h ;;
    libboost-dev) has_header boost/version.hpp ;;
    libck-dev) has_header ck_ring.h ;;
    libdpdk-dev) pkg-config --exists libdpdk 2>/dev/null ;;
    iceoryx) has_command iox-roudi ;;
    libiceoryx-posh-dev) has_iceoryx ;;
    ninja-build) has_command ninja ;;
    gcc-mingw-w64-x86-64) has_command x86_64-w64-mingw32-gcc ;;
    wine64) has_command wine64 || [ -x /usr/lib/wine/wine64 ] ;;
    *) has_command "$1" ;;
    esac
}

missing_of() {
    for package in "$@"; do
        has "$package" || printf '%s ' "$package"
    done
}

# shellcheck disable=SC2086 # the lists are words
missing=$(missing_of $packages)
# shellcheck disable=SC2086
missing_optional=$(missing_of $optional)
[ -n "$missing$missing_optional" ] || exit 0

fail() {
    echo "packages: $1" >&2
    exit 1
}

if ! has_command apt-get; then
    [ -n "$missing" ] || exit 0
    fail "this is no Debian or Ubuntu; install what these packages hold: $missing"
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    has_command sudo || fail "neither root nor sudo is there to install: $missing$missing_optional"
    as_root=sudo
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

# shellcheck disable=SC2086
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$log" 2>&1
}

echo "packages: installing $missing$missing_optional"
if ! $as_root apt-get update -q >"$log" 2>&1; then
    cat "$log" >&2
    fail "apt-get update failed"
fi
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    install $missing || {
        cat "$log" >&2
        fail "apt-get could not install: $missing"
    }
fi
for package in $missing_optional; do
    install "$package" || echo "packages: $package could not be installed; what needs it will be skipped"
done
