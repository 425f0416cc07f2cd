# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="nbd-server PORT FILE and nbd-client HOST PORT /dev/nbN work as documented, on two devices"
ROOT=ram SWAP=0
KERNELS="debian 6.12 6.1"

host() {
	truncate -s 64M "$dir/first.img"
	truncate -s 32M "$dir/second.img"
	server_run 0 "$dir/first.img" || host_failed "nbd-server PORT FILE"
	tell "$port"
	server_run 0 "$dir/second.img" || host_failed "nbd-server PORT FILE"
	tell "$port"
}

guest() {
	network
	next_event first
	next_event second
	nbd-client 10.0.2.2 "$first" /dev/nb0
	nbd-client 10.0.2.2 "$second" /dev/nb1
	[ "$(cat /sys/block/nbd0/size /sys/block/nbd1/size)" = "$(printf '131072\n65536')" ]
	dd if=/dev/urandom of=/tmp/data bs=1M count=8
	dd if=/tmp/data of=/dev/nb0 bs=1M conv=fsync
	dd if=/tmp/data of=/dev/nb1 bs=1M conv=fsync
	echo 3 >/proc/sys/vm/drop_caches
	cmp -n 8388608 /tmp/data /dev/nb0
	cmp -n 8388608 /tmp/data /dev/nb1
	nbd-client -d /dev/nb0
	nbd-client -d /dev/nb1
	expect_failure nbd-client -c /dev/nb0
}

after() {
	cmp -n 8388608 "$dir/first.img" "$dir/second.img"
}
