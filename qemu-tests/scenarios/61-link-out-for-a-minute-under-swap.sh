# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine that swaps outlives a cable that is out for a minute: no error, no bad page"
MEM=128M SWAP=512M TIMEOUT=240
KERNELS="debian 6.12"

host() {
	expect_swapping
	link_set off
	# TCP gives up after 60 s: then nothing but a new connection can help.
	expect_console '/dev/nb1: lost the connection to 10.0.2.2:'
	expect_console '/dev/nb1: 10.0.2.2:[0-9]+: export "swap": connect: .*; trying again'
	link_set on
	expect_console '/dev/nb1: connected again \(1\) to 10.0.2.2:'
	expect_pass
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
