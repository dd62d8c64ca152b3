#!/bin/sh
# Builds mapring, and streams a real file from one producer process to three
# consumer processes through a ring in shared memory. Checks that each of them received every
# byte, and says how fast it went.
#
#   sh tools/demo.sh
set -eu
cd "$(dirname "$0")/.."

input_bytes=67108864 # 64 MiB
block_bytes=4096
rounds=5

fail() {
    echo "demo: $1" >&2
    exit 1
}

work=
consumers=
cleanup() {
    status=$?
    trap '' HUP INT TERM
    for pid in $consumers; do
        kill "$pid" 2>/dev/null || true
    done
    [ -z "$work" ] || rm -rf "$work"
    exit $status
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

sh tools/packages.sh build

# In memory if there is room for the input, three copies and a ring: then the disk is not what is measured.
folder=${TMPDIR:-/tmp}
if [ -w /dev/shm ]; then
    free_kib=$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')
    [ "$free_kib" -lt 393216 ] || folder=/dev/shm
fi
work=$(mktemp -d "$folder/mapring-demo.XXXXXX")

echo "demo: building in build-demo"
{
    [ -f build-demo/build.ninja ] ||
        meson setup build-demo --buildtype=release -Dtests=false -Dbench=false
    ninja -C build-demo
} >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "the build failed"
}
mapring=build-demo/tools/mapring

# Real data: the programs and libraries of this machine. tar finds the pipe closed when there is enough.
tar --sort=name -cf - -C / usr/lib usr/share 2>/dev/null | head -c "$input_bytes" >"$work/input"
bytes=$(wc -c <"$work/input")
[ "$bytes" -ge 33554432 ] || fail "only $bytes bytes found in /usr/lib and /usr/share"
blocks=$(((bytes + block_bytes - 1) / block_bytes))
echo "demo: $bytes bytes of /usr/lib and /usr/share, as $blocks messages of $block_bytes bytes," \
    "from one producer to three consumers, $rounds times"

ring=demo-$$
round=1
while [ "$round" -le "$rounds" ]; do
    consumers=
    for number in 1 2 3; do
        "$mapring" sub "$ring" --raw --timeout 60s >"$work/output$number" &
        consumers="$consumers $!"
    done
    "$mapring" pub "$ring" --raw "$block_bytes" --wait-consumers 3 --timeout 60s --verbose \
        <"$work/input" 2>"$work/figures" || {
        cat "$work/figures" >&2
        fail "the producer failed"
    }
    for pid in $consumers; do
        wait "$pid" || fail "a consumer failed"
    done
    consumers=
    for number in 1 2 3; do
        cmp "$work/input" "$work/output$number" || fail "consumer $number received something else"
    done
    figures=$(sed 's/^.* s: //' "$work/figures")
    echo "$figures" >>"$work/rounds"
    echo "demo: round $round: every byte arrived three times; $figures"
    round=$((round + 1))
done
echo "demo: median: $(sort -n "$work/rounds" | sed -n $(((rounds + 1) / 2))p), of what the producer sent"
