# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# The host half judges by the console, as a process of this machine may wait for memory at any step.
DESCRIPTION="with 64 pages free and no worker to spare, the driver still tells that a link is dead"
ROOT=ram SWAP=64M MEM=128M TIMEOUT=60
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1 l1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

host() {
	expect_console 'memdrain: holding'
	server_stop KILL
	expect_console 'link: dead|memdrain: time is over'
	if grep 'memdrain: time is over' "$dir/console.log"; then
		tell late
	else
		tell told
	fi
}

guest() {
	network
	faults_attach attach-server 10.0.2.2 "$port" swap
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1 # the first open looks for partitions
	faults listen &
	until grep netlink_recvmsg "/proc/$!/stack"; do usleep 10000; done
	drain_workers
	drain 64 20
	next_event when
	drain_end
	[ "$when" = told ] || fail "nobody was told before there was memory"
}
