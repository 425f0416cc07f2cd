# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine with a card of type vmxnet3 boots by PXE to root and swap"
BOOT=pxe NIC=vmxnet3
KERNELS="debian"

requires() {
	kernel_has CONFIG_VMXNET3
}

guest() {
	[ "$(basename "$(readlink /sys/class/net/eth0/device/driver)")" = vmxnet3 ]
	expect_root nbd0
	expect_swap /dev/nb1
}
