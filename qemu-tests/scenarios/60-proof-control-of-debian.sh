# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# The control of 60-proof-many-restarts-and-link-losses: the same hog and server, another client.
DESCRIPTION="with Debian's nbd-client -persist the first restart of the server is an I/O error"
ROOT=ram SWAP=512M MEM=256M TIMEOUT=120
KERNELS="debian 6.12"
EXPECT='kernel: *error*'

requires() {
	[ -n "${RESTARTS:-}" ] || { echo "is run by make proof-client" && return 1; }
}

host() {
	expect_swapping
	server_stop KILL
	server_start
	tell enough
}

guest() {
	network
	/usr/lib/debian/nbd-client 10.0.2.2 -N swap "$port" /dev/nbd0 -swap -persist -systemd-mark
	mkswap /dev/nbd0
	swapon /dev/nbd0
	hog_until enough 320M
}
