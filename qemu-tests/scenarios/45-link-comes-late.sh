# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine whose cable is plugged in late waits for the link and boots when it comes"
APPEND=rescue # holds the boot until the cable is out

host() {
	expect_console '\(rescue\) #'
	link_set off
	console_send exit
	expect_console 'init: network: waiting for a link'
	link_set on
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
}
