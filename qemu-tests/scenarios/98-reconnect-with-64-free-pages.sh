# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# The port and the route of the new connection need a page each: objects that slabs still have are
# taken, and the routes that are known are forgotten. The host half judges by the console, as a
# process of this machine may wait for memory at any step.
DESCRIPTION="with the daemon killed and 64 pages free, the driver finds a restarted server again"
ROOT=ram SWAP=64M MEM=128M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

host() {
	wait_event attached
	server_pause
	tell paused
	expect_console 'memdrain: holding'
	server_stop KILL
	server_start
	expect_console 'nbd0: connection 0 stands again|memdrain: time is over'
	if grep 'memdrain: time is over' "$dir/console.log"; then
		tell late
	else
		tell found
	fi
}

guest() {
	network
	faults_attach attach-server 10.0.2.2 "$port" swap
	kill -KILL "$faults"
	exec 6>/proc/sys/net/ipv4/route/flush
	dd if=/dev/urandom of=/tmp/data bs=4k count=16
	dd if=/tmp/data of=/dev/nbd0 bs=4k oflag=direct
	say attached
	wait_event paused
	dd if=/dev/nbd0 of=/tmp/found bs=4k count=16 iflag=direct &
	reader=$!
	faults_in_flight 1 0
	drain_objects
	echo 1 >&6
	drain 64 20
	next_event when
	drain_end
	drops
	[ "$when" = found ] || fail "no connection before there was memory"
	wait "$reader"
	failed=$(drops failed '(__)?(inet|dst|rt_dst)_.*')
	[ "$failed" = 0 ] || fail "$failed allocations of the connect() failed"
	cmp /tmp/data /tmp/found
}
