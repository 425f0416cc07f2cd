# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine that swaps waits 2 minutes for its server and goes on: no error, no bad page"
MEM=128M SWAP=512M TIMEOUT=300

host() {
	expect_swapping
	server_stop KILL
	expect_console '/dev/nb1: 10.0.2.2:[0-9]+: export "swap": connect: .*; trying again'
	let_pass 120
	server_start
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
