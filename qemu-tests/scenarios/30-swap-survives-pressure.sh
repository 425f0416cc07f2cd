# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a process of 1.5 times the memory runs, and every page comes back as it was written"
MEM=128M SWAP=512M TIMEOUT=120
KERNELS="debian 6.12 6.1"

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	hog 192M 20
	expect_swapped 64
	cat /proc/swaps
}

after() {
	expect_clean_root
}
