# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a machine that swaps outlives RESTARTS restarts of its server and LINKS losses of its link"
MEM=128M SWAP=512M TIMEOUT=$((120 + 10 * ${RESTARTS:-0} + 30 * ${LINKS:-0}))
KERNELS="debian 6.12"
# A link that is out is noticed in 5 s, not in 60: what is proven is the way back.
BOOTLINE='root=nbd://10.0.2.2:PORT/root rw nbdswap=nbd://10.0.2.2:PORT/swap nbdopts=tcp-timeout=5'

requires() {
	[ -n "${RESTARTS:-}" ] || { echo "is run by make proof-client" && return 1; }
}

host() {
	for i in $(seq "$RESTARTS"); do
		expect_swapping
		server_stop KILL
		server_start
		expect_console "/dev/nb1: connected again \($i\) to 10.0.2.2:"
	done
	for i in $(seq $((RESTARTS + 1)) $((RESTARTS + LINKS))); do
		expect_swapping
		link_set off
		expect_new '/dev/nb1: lost the connection to 10.0.2.2:'
		link_set on
		expect_console "/dev/nb1: connected again \($i\) to 10.0.2.2:"
	done
	expect_swapping
	tell enough
}

guest() {
	outage_may_last 600
	hog_until enough 192M
	expect_swapped 64
	expect_supervisors 2
}

after() {
	expect_clean_root
}
