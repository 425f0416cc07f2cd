# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="with its supervisors killed a machine that swaps outlives a server, since its driver connects again"
MEM=128M SWAP=512M TIMEOUT=240
KERNELS=6.12

host() {
	wait_event killed
	server_stop KILL
	server_start
	expect_console 'nbd1: connection 0 stands again'
	expect_console 'nbd0: connection 0 stands again'
	expect_pass
	! grep -E '/dev/nb[01]: (lost|connected again)' "$dir/console.log" ||
		host_failed "a supervisor is there"
	tell start
	expect_console '/dev/nb1: took over with a connection to 10.0.2.2:'
	server_stop TERM
	truncate -s 513M "$dir/swap.img"
	server_start
	expect_console 'nbd1: address 0: the server is not what it was, refused'
	expect_console '/dev/nb1: .* export "swap": REFUSED, .* its size in bytes was 536870912, is 537919488'
	expect_console '/dev/nb0: connected again \(1\)'
	server_stop KILL
	truncate -s 512M "$dir/swap.img"
	server_start
	expect_console '/dev/nb1: connected again \(1\) to 10.0.2.2:'
	expect_pass
	tell enough
}

guest() {
	# Where no dead server can hold a program back.
	mount -t ramfs ramfs /mnt
	cp /sbin/nbd-client /mnt/
	/mnt/nbd-client -status -json | grep '"reconnects_by": "driver"'
	hog_until start 192M &
	hogging=$!
	# shellcheck disable=SC2046 # one word for each
	kill -KILL $(pidof @nbd-client)
	while pidof @nbd-client; do :; done
	say killed
	wait "$hogging"
	/mnt/nbd-client nbd://10.0.2.2:"$port"/root /dev/nb0
	/mnt/nbd-client nbd://10.0.2.2:"$port"/swap /dev/nb1
	hog_until enough 192M
	expect_swapped 64
	expect_supervisors 2
}

after() {
	expect_clean_root
}
