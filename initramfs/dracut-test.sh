#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2031,SC2016 # the module reads them; the inner shell expands
# The module for dracut: when it wants to be in an image, and which boot lines it claims there.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
client=$(realpath "$B/nbd-client")

fails() {
	echo "$*" >&2
	exit 1
}

# check() with these variables set exits with this status.
expect_check() { # STATUS VARIABLE=VALUE...
	local expected=$1 status=0
	shift
	(
		hostonly='' mount_needs='' dracutsysrootdir='' nbd_client=$client nbd_sysfs=$work/none
		dinfo() { echo "$*" >>"$work/said"; }
		local "$@"
		. initramfs/dracut/module-setup.sh
		check
	) || status=$?
	[ "$status" = "$expected" ] || fails "check() with $*: $status, should be $expected"
}

mkdir -p "$work/attached/nbd1" "$work/detached/nbd0"
echo 1 >"$work/attached/nbd1/pid"
expect_check 0 hostonly=
expect_check 255 hostonly=yes "nbd_sysfs=$work/detached"
expect_check 0 hostonly=yes "nbd_sysfs=$work/attached"
expect_check 255 mount_needs=1
expect_check 1 nbd_client=/bin/true
grep -q '^nbd: /bin/true is not the client' "$work/said" || fails "check() does not say why"

# Hook cmdline, as dracut sources it, of a machine with this boot line: what it leaves.
claim() { # LINE
	echo "$1" >"$work/cmdline"
	rm -rf "$work/hooks"
	mkdir -p "$work/hooks/initqueue/finished" "$work/bin"
	ln -sf "$client" "$work/bin/nbd-client"
	unshare --user --map-root-user --mount sh -euc '
		mount --bind "$1/cmdline" /proc/cmdline
		PATH=$1/bin:$PATH hookdir=$1/hooks root=
		die() { echo "died: $*"; exit; }
		set +e
		. initramfs/dracut/claim.sh
		echo "${rootok:-not ours} $root $(ls "$hookdir/initqueue/finished")"' sh "$work"
}

unshare --user --map-root-user --mount true 2>/dev/null || {
	echo "skip: no user name spaces for the rest"
	exit 77
}
while IFS='|' read -r line expected; do
	found=$(claim "$line")
	[[ $found = "$expected"* ]] || fails "$line: \"$found\", should begin \"$expected\""
done <<-END
	root=nbd://s/r|1 nbd nbd.sh
	root=nbd:s:r:ext4:ro|1 nbd nbd.sh
	netroot=nbd:s:r root=LABEL=x|1 nbd nbd.sh
	netroot=nbd://s/r root=/dev/mapper/v-root nbdswap=nbd://s/w|1 nbd nbd.sh
	netroot=dhcp|1 nbd nbd.sh
	nbdroot=s,r,nbd0|1 nbd nbd.sh
	root=/dev/sda1 quiet|not ours
	root=UUID=1234 netroot=iscsi:s::::x|not ours
	quiet|not ours
	root=nbd:s|died: nbd-client: kernel command line: root=nbd:s: wants nbd:SERVER:EXPORT
	root=nbd://s/r nbdswp=nbd://s/w|died: nbd-client: kernel command line: nbdswp: unknown
END
