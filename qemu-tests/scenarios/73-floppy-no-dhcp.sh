# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine with a floppy whom no DHCP server answers says so, and asks again"
BOOT=floppy KERNELS='' ROOT=test-i586 MEM=16M SMP=1 SWAP=0 NETWORK=silent TIMEOUT=60
BOOTLINE='root=dhcp rw'

requires() {
	boots_own_kernel floppy
}

host() {
	expect_console 'init: network: eth0: no DHCP lease'
	expect_console 'init: trying again in 1 s'
	expect_new 'init: network: eth0: no DHCP lease'
}
