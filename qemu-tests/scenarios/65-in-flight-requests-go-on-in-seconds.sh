# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="requests that a killed server had taken are sent again in seconds, not after the kernel's 30"
ROOT=ram SWAP=64M TIMEOUT=60
# Where the driver has no cure of its own, which scenario 92 shows.
KERNELS=debian

host() {
	for round in 1 2; do
		wait_event "pause $round"
		server_pause
		tell paused
		wait_event "reading $round"
		server_stop KILL
		server_start
		tell back
	done
}

# Leaves in $waited_s how long four reads took from the return of a server that was killed meanwhile.
read_over_restart() { # ROUND
	say pause "$1"
	wait_event paused
	# Apart, so that they are not merged.
	for i in 1 2 3 4; do
		dd if=/dev/nb0 of=/dev/null bs=4k count=1 skip="$((i * 16))" iflag=direct &
	done
	until read -r reads _ </sys/block/nbd0/inflight && [ "$reads" = 4 ]; do :; done
	say reading "$1"
	wait_event back
	from=$(cut -d. -f1 /proc/uptime)
	wait
	waited_s=$(($(cut -d. -f1 /proc/uptime) - from))
}

guest() {
	network
	nbd-client nbd://10.0.2.2:"$port"/swap /dev/nb0
	dd if=/dev/nb0 of=/dev/null bs=4k count=1 # the first open looks for partitions
	read_over_restart 1
	[ "$waited_s" -lt 15 ] || fail "reads waited $waited_s s"
	echo 30000 >/sys/block/nbd0/queue/io_timeout
	read_over_restart 2
	[ "$waited_s" -ge 15 ] || fail "with the kernel's own interval reads waited only $waited_s s"
	nbd-client -d /dev/nb0
	while pidof @nbd-client; do :; done
}
