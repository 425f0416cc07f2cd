# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a write that a dead connection still had does not come back after newer ones"
ROOT=ram SWAP=0 TIMEOUT=60
KERNELS="6.12 6.1 l1"

# The page at 1 MiB is written twice, first on a connection whose server does not read. What fills
# the server's buffer before is read from it even after a reset, so the page comes behind it.
guest() {
	faults_attach 2 3600
	dd if=/dev/urandom of=/tmp/filler bs=64k count=1
	dd if=/dev/urandom of=/tmp/first bs=4k count=1
	dd if=/dev/urandom of=/tmp/second bs=4k count=1
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1 # the first open looks for partitions
	faults deaf
	dd if=/tmp/filler of=/dev/nbd0 bs=64k oflag=direct &
	filler=$!
	faults_in_flight 0 1
	dd if=/tmp/first of=/dev/nbd0 bs=4k seek=256 oflag=direct &
	first=$!
	until dmesg | grep 'Connection timed out, retrying'; do usleep 50000; done
	faults_reconnect
	wait "$filler" "$first"
	dd if=/tmp/second of=/dev/nbd0 bs=4k seek=256 oflag=direct
	faults drain-old
	dd if=/dev/nbd0 of=/tmp/found bs=4k skip=256 count=1 iflag=direct
	! cmp /tmp/found /tmp/first || fail "the older write came back"
	cmp /tmp/found /tmp/second
}
