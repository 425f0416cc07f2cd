# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a floppy with a sector that is not what was written does not start its kernel, and says so"
BOOT=floppy KERNELS='' ROOT=test-i586 MEM=16M SMP=1 SWAP=0

requires() {
	boots_own_kernel floppy
}

floppy() {
	dd if=/dev/zero of="$dir/floppy.img" bs=512 seek=1000 count=1 conv=notrunc status=none
}

host() {
	expect_console 'floppy: what was read is not what was written: press a key to try again'
	console_send ''
	expect_new 'floppy: what was read is not what was written: press a key to try again'
}
