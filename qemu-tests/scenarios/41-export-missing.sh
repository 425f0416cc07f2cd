# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="an export that the server does not have is named, and a rescue shell offered"
BOOTLINE='root=nbd://10.0.2.2:PORT/nosuch rw'

host() {
	expect_console 'export "nosuch": .*'
	expect_console 'press Enter for a shell'
	console_send ''
	expect_console '\(rescue\) #'
	# shellcheck disable=SC2016
	console_send 'echo rescue-$((6 * 7))'
	expect_console 'rescue-42'
}
