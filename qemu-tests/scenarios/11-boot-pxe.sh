# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine with nothing but its network card boots by PXE to root and swap"
BOOT=pxe
KERNELS="debian 6.12"

guest() {
	grep -q 'BOOTIF=01-52-54-00-12-34-56' /proc/cmdline
	[ -z "$(ls -d /sys/block/[hsv]d* 2>/dev/null)" ] || fail "the machine has a disk"
	expect_root nbd0
	expect_swap /dev/nb1
}

after() {
	expect_clean_root
}
