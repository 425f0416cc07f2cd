# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a device whose server dies goes on with the next server that has the same export"
ROOT=ram SWAP=64M

# A server without that export, and one with it.
host() {
	first=$server_pid
	truncate -s 65M "$dir/larger.img"
	server_run 0 "$dir/larger.img" || host_failed "the server of another image"
	tell "$port"
	server_config 0 >"$dir/second.conf"
	server_run -C "$dir/second.conf" || host_failed "the second server"
	tell "$port"
	wait_event written
	kill -KILL "$first"
	# A driver that connects by itself asks the servers itself.
	expect_console '/dev/nb0: 10.0.2.2:[0-9]+: export "swap": the server has no such export.*; trying again|nbd0: address 1: the server is not what it was, refused'
	expect_console "/dev/nb0: connected again \(1\) to 10.0.2.2:$port "
	tell moved
}

guest() {
	network
	next_event other
	next_event second
	nbd-client nbd://10.0.2.2:"$port",10.0.2.2:"$other",10.0.2.2:"$second"/swap /dev/nb0
	dd if=/qemu-tests/sample.squashfs of=/dev/nb0 bs=64k conv=fsync
	say written
	wait_event moved
	echo 3 >/proc/sys/vm/drop_caches
	cmp -n "$(wc -c </qemu-tests/sample.squashfs)" /qemu-tests/sample.squashfs /dev/nb0
	nbd-client -d /dev/nb0
}
