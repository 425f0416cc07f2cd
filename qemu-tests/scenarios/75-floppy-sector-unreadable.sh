# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a sector of the floppy that the BIOS cannot read is named, and tried again"
BOOT=floppy KERNELS='' ROOT=test-i586 MEM=16M SMP=1 SWAP=0

requires() {
	boots_own_kernel floppy
}

# QEMU answers a bad sector with zeros, and refuses one on a third side as a drive refuses a bad one.
floppy() {
	printf '\003' | dd of="$dir/floppy.img" bs=1 seek=26 conv=notrunc status=none
}

host() {
	expect_console 'floppy: sector 36: read error [0-9]+: press a key to try again'
	console_send ''
	expect_new 'floppy: sector 36: read error [0-9]+: press a key to try again'
}
