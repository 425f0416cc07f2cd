# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine that swaps outlives kills and stops of its server: no error, no bad page"
MEM=128M SWAP=512M TIMEOUT=240
KERNELS="debian 6.12"

restart() { # SIGNAL COUNT
	expect_swapping
	server_stop "$1"
	server_start
	expect_console "/dev/nb1: connected again \($2\) to 10.0.2.2:"
	expect_console "/dev/nb0: connected again \($2\) to 10.0.2.2:"
}

host() {
	restart KILL 1
	restart TERM 2
	restart KILL 3
	expect_pass
	tell enough
}

guest() {
	expect_supervisors 2
	hog_until enough 192M
	expect_swapped 64
	expect_supervisors 2
}

after() {
	expect_clean_root
}
