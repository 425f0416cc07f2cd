# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a Pentium II with 16 MB and a floppy has root and swap, and holds twice its memory"
BOOT=floppy KERNELS=floppy ROOT=test-i586 MEM=${FLOPPY_MEM:-16M} SMP=1 SWAP=64M TIMEOUT=90
BOOTLINE='root=nbd://10.0.2.2:PORT/root rw nbdswap=nbd://10.0.2.2:PORT/swap'

requires() {
	boots_own_kernel floppy
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	hog 32M 8
	expect_swapped 24
}
