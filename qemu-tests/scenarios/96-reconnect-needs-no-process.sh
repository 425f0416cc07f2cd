# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="the driver finds a restarted server again by itself, refuses one of another size, and says goodbye"
ROOT=ram SWAP=64M TIMEOUT=60
KERNELS="6.12 6.1 l1"

host() {
	wait_event attached
	server_pause
	tell paused
	wait_event reading
	server_stop KILL
	server_start
	wait_event "read again"
	server_stop KILL
	truncate -s 65M "$dir/swap.img"
	server_start
	expect_console 'nbd0: address 0: the server is not what it was, refused'
	server_stop KILL
	truncate -s 64M "$dir/swap.img"
	server_start
	tell right
	wait_text "$dir/server.log" 'export "swap": disconnected' "$(seconds_left)" ||
		judge_wait "the server was not told of the disconnection"
	tell known
}

# No process of user space has to do with the device from here on.
guest() {
	network
	faults_attach attach-server 10.0.2.2 "$port" swap
	kill -KILL "$faults"
	dd if=/dev/urandom of=/tmp/data bs=4k count=16
	dd if=/tmp/data of=/dev/nbd0 bs=4k oflag=direct
	say attached
	wait_event paused
	{ dd if=/dev/nbd0 of=/tmp/found bs=4k count=16 iflag=direct && touch /tmp/read; } &
	faults_in_flight 1 0
	say reading
	within 60 [ -e /tmp/read ] || fail "the driver made no connection to the new server in 60 s"
	cmp /tmp/data /tmp/found
	say read again
	wait_event right
	dd if=/dev/nbd0 of=/tmp/found bs=4k count=16 iflag=direct
	cmp /tmp/data /tmp/found

	# What the driver says at the end is lost at first, and is to be sent again.
	rm /run/faults
	faults serve &
	until [ -S /run/faults ]; do usleep 10000; done
	loss 100
	faults detach
	loss 0
	wait_event known
}
