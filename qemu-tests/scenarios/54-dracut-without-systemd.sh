# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="an image of dracut without systemd attaches, and dracut finds the root by its label"
TIMEOUT=90 INITRD=dracut-plain
KERNELS=debian
BOOTLINE='netroot=nbd://10.0.2.2:PORT/root root=LABEL=test rw nbdswap=nbd://10.0.2.2:PORT/swap'

requires() {
	has_initrd
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	hog 64M 0
}

after() {
	expect_clean_root
}
