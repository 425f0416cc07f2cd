# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine with a card of type e1000 boots by PXE to root and swap"
BOOT=pxe NIC=e1000
KERNELS="6.12 6.1"

requires() {
	kernel_has CONFIG_E1000
}

guest() {
	[ "$(basename "$(readlink /sys/class/net/eth0/device/driver)")" = e1000 ]
	expect_root nbd0
	expect_swap /dev/nb1
}
