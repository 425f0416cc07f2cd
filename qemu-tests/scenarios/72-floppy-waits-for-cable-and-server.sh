# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a Pentium with a floppy says that the cable is out, that the server is absent, and boots"
BOOT=floppy CPU=pentium KERNELS=floppy ROOT=test-i586 MEM=16M SMP=1 SWAP=0 SERVER=absent TIMEOUT=60
BOOTLINE='root=nbd://10.0.2.2:PORT/root rw'

requires() {
	boots_own_kernel floppy
}

host() {
	expect_console 'boot: root='
	link_set off
	expect_console 'init: network: .*no link: is the cable in'
	link_set on
	expect_console 'init: .*: address 10\.0\.2\.15 \(DHCP\)'
	expect_console 'init: .*: Connection refused'
	expect_console 'init: trying again in [0-9]+ s'
	server_start
	expect_console 'init: a guest runs here'
	vm_wait "$(seconds_left)" || judge_wait "the machine does not restart"
}
