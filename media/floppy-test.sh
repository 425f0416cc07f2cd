#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make-floppy lays out a medium that fits and refuses what does not; swapsafe-floppy changes the line
# and nothing else, and refuses a line that /init would refuse.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=$B/swapsafe-floppy
image=$work/floppy.img

fail() {
	echo "floppy-test: $*" >&2
	exit 1
}

# refused TEXT COMMAND...: exit status 100, and one line that says TEXT.
refused() {
	text=$1
	shift
	status=0
	"$@" >"$work/out" 2>&1 || status=$?
	[ "$status" = 100 ] || fail "$*: exit $status"
	grep -qF -- "$text" "$work/out" || fail "$*: says $(cat "$work/out"), not $text"
}

# A bzImage as far as a loader looks: 4 sectors of setup, protocol 2.15, loaded high, 4 MiB to unpack.
make_kernel() { # SIZE_BYTES
	rm -f "$work/kernel"
	truncate -s "$1" "$work/kernel"
	poke 497 '\004' && poke 514 'HdrS\017\002' && poke 529 '\001'
	poke 600 '\000\000\020\000\000\000\000\000' && poke 608 '\000\000\100\000'
}

poke() { # OFFSET BYTES
	# shellcheck disable=SC2059 # the bytes are the format
	printf "$2" | dd of="$work/kernel" bs=1 seek="$1" conv=notrunc status=none
}

byte_at() { # OFFSET COUNT
	od -An -tu1 -j "$1" -N "$2" "$image" | tr -s ' ' | sed 's/^ //'
}

make_floppy() {
	"$B/make-floppy" "$B/media/boot.bin" "$work/kernel" "$work/initramfs" "$1" "$image"
}

head -c 70000 /dev/urandom >"$work/initramfs"
make_kernel 1300000
make_floppy 2880 >"$work/budget"
grep -q ' 1300480  kernel' "$work/budget"
[ "$(stat -c %s "$image")" = 1474560 ] || fail "not 1474560 bytes"
[ "$(byte_at 510 2)" = '85 170' ] || fail "no boot sector"
[ "$(byte_at 24 1)" = 18 ] || fail "not 18 sectors in a track"
# setup: from sector 5 on, 5 of them, to 0x20000
[ "$(byte_at 1540 8)" = '5 0 5 0 0 0 2 0' ] || fail "entry of the setup: $(byte_at 1540 8)"
# The initramfs goes behind the 4 MiB, to 0x500000, and the setup says so (offset 0x218).
[ "$(byte_at $((5 * 512 + 0x218)) 4)" = '0 0 80 0' ] || fail "initramfs elsewhere"
make_floppy 5760 >/dev/null
[ "$(byte_at 24 1)" = 36 ] || fail "not 36 sectors in a track"
make_floppy 2880 >/dev/null

# One of an older protocol, such as iPXE, says nothing of its size: 8 times what it has here.
make_kernel 100000
poke 518 '\007'
make_floppy 2880 >/dev/null
[ "$(byte_at $((5 * 512 + 0x218)) 4)" = '0 64 28 0' ] || fail "initramfs of an old kernel elsewhere"

make_kernel 1500000
refused 'bytes too many' make_floppy 2880
grep -q ' -98304  free' "$work/out" || fail "no budget of what does not fit"
head -c 5000 /dev/zero >"$work/kernel"
refused 'not a bzImage' make_floppy 2880

cp "$image" "$work/before"
line='root=nbd://10.0.0.1/root nbdswap=nbd://10.0.0.1/swap/%m console=ttyS0,115200'
[ -z "$("$tool" --show "$image")" ] || fail "a new image has a line"
"$tool" --set "$line and more that is cut off later" "$image"
"$tool" --set "$line" "$image"
[ "$("$tool" --show "$image")" = "$line" ] || fail "shows $("$tool" --show "$image")"
"$tool" --set '' "$image"
cmp "$image" "$work/before"

refused 'nbdswap=disk' "$tool" --set 'root=nbd://10.0.0.1/root nbdswap=disk' "$image"
refused 'has room for 1007' "$tool" --set "root=nbd://10.0.0.1/root $(printf %1000s x)" "$image"
refused 'not printable' "$tool" --set 'root=nbd://10.0.0.1/root
x' "$image"
refused 'not a Swapsafe floppy' "$tool" --set "$line" "$work/kernel"
refused 'No such file' "$tool" --show "$work/absent"
refused 'usage:' "$tool" --set "$line" --show "$image"
refused 'usage:' "$tool" "$image"
cmp "$image" "$work/before"

# The manual and --help list the same options.
"$tool" --help | grep -oE '^ +--[a-z]+' | tr -d ' ' | sort >"$work/help"
sed -nE 's/^\.It Fl -([a-z]+).*/--\1/p' media/swapsafe-floppy.1 | sort | diff - "$work/help"
