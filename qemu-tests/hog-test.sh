#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The hog must see a page that is not what it wrote: eight bytes of a running hog are changed behind
# its back, and it has to name the page and exit 1; left alone, it exits 0.
set -euo pipefail

hog=${B:-build}/qemu-tests/hog
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fail() {
	echo "hog-test: $*" >&2
	cat "$out" >&2
	exit 1
}

# Where the mapping of 8 MiB begins, once it is there and filled.
mapping() { # PID
	local range
	range=$(awk '$1 == "Rss:" && $2 >= 8192 { print at; exit } /^[0-9a-f]+-/ { at = $1 }' \
		"/proc/$1/smaps")
	[ -n "$range" ] && echo $((16#${range%-*}))
}

"$hog" 8M 0 >"$out" || fail "fails although nothing was changed"
grep -q ' 0 bad pages' "$out" || fail "does not report 0 bad pages"

"$hog" 8M 4 >"$out" &
until at=$(mapping $!); do
	kill -0 $! || fail "ended before it had filled its memory"
done
printf 'changed!' | dd of="/proc/$!/mem" bs=8 oflag=seek_bytes seek=$((at + 1234560)) conv=notrunc status=none
! wait $! || fail "passes although its memory was changed"
grep -q '^hog: BAD page 301 byte 1664:' "$out" || fail "does not name the page that was changed"
