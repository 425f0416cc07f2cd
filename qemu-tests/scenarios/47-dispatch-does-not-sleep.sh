# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="no task sleeps for send space in nbd's dispatch when the server stops reading"
ROOT=ram SWAP=128M TIMEOUT=90
KERNELS="6.12 6.1"

host() {
	wait_event attached
	server_pause
	tell paused
	wait_event looked
	server_resume
	tell resumed
}

guest() {
	network
	nbd-client -N swap -swap -reserve keep 10.0.2.2 "$port" /dev/nb0
	dd if=/dev/urandom of=/tmp/data bs=1M count=64
	dd if=/dev/nb0 of=/tmp/first bs=64k count=1 # looks for partitions as well
	say attached
	wait_event paused
	dd if=/tmp/data of=/dev/nb0 bs=1M conv=fsync &
	within 60 connection_is_full || full=no # else the next request is at the send buffer
	sleepers=$(grep -l sk_stream_wait_memory /proc/[0-9]*/stack) || :
	for stack in $sleepers; do
		name=$(cat "${stack%stack}comm")
		cat "$stack"
	done
	say looked
	wait_event resumed
	wait $!
	[ -z "${full-}" ] || fail "the server's window did not close in 60 s"
	[ -z "$sleepers" ] || fail "$name sleeps in sk_stream_wait_memory"
	cmp -n 67108864 /dev/nb0 /tmp/data
}
