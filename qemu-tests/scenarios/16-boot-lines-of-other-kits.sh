# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="/init boots by Debian's line: the server of DHCP, the device of root="
# ":PORT/root" leaves the server to DHCP; swap gives way when root is on its device
KERNELS=debian
BOOTLINE='nbdroot=:PORT/root root=/dev/nbd1 rw ip=eth0:dhcp rd.neednet=1 nbdswap=nbd://10.0.2.2:PORT/swap'

guest() {
	expect_root nbd1
	grep -q '^/dev/nb0 ' /proc/swaps
}
