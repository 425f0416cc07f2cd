# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="supervisors that were killed, before and during an outage, are started again and take over"
MEM=128M SWAP=512M TIMEOUT=240

host() {
	wait_event killed
	server_stop KILL
	tell gone
	wait_event started
	server_start
	expect_console '/dev/nb1: took over with a connection to 10.0.2.2:'
	expect_swapping
	server_stop KILL
	server_start
	expect_console '/dev/nb1: connected again \(1\) to 10.0.2.2:'
	expect_pass
	tell enough
}

kill_supervisors() {
	# shellcheck disable=SC2046 # one word for each
	kill -KILL $(pidof @nbd-client)
	while pidof @nbd-client; do :; done
}

start_supervisors() {
	/mnt/nbd-client nbd://10.0.2.2:"$port"/root /dev/nb0
	/mnt/nbd-client nbd://10.0.2.2:"$port"/swap /dev/nb1
}

guest() {
	# Where no dead server can hold a program back.
	mount -t ramfs ramfs /mnt
	cp /sbin/nbd-client /mnt/
	expect_supervisors 2
	expect_failure /mnt/nbd-client nbd://10.0.2.2:"$port"/swap /dev/nb1

	kill_supervisors
	expect_failure /mnt/nbd-client nbd://10.0.2.2:"$port"/other /dev/nb1
	start_supervisors # while their connections stand
	expect_supervisors 2

	kill_supervisors
	say killed
	wait_event gone
	start_supervisors # while there is no server
	say started
	hog_until enough 192M
	expect_swapped 64
	expect_supervisors 2
}

after() {
	expect_clean_root
}
