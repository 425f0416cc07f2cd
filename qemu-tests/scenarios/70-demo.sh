# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="make demo: PXE, Debian 12, a login on the console, swap on /dev/nb1, a clean power off"
ROOT=debian12 BOOT=pxe MEM=512M TIMEOUT=120

requires() {
	is_built roots/debian12.ext4
}

host() {
	expect_console 'root@[a-z]*:~# '
	console_send 'findmnt -no SOURCE /; grep nb1 /proc/swaps; systemctl poweroff'
	expect_console '^/dev/nb'
	expect_console '^/dev/nb1 +partition'
	vm_wait "$(seconds_left)" || judge_wait "the machine does not power off"
}

after() {
	expect_clean_root
}
