# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine with a card of type rtl8139 boots by PXE to root and swap"
BOOT=pxe NIC=rtl8139
KERNELS="6.12"

requires() {
	kernel_has CONFIG_8139CP
}

guest() {
	[ "$(basename "$(readlink /sys/class/net/eth0/device/driver)")" = 8139cp ]
	expect_root nbd0
	expect_swap /dev/nb1
}
