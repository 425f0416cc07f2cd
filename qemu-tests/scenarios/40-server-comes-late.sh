# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine whose server starts 20 s late says so, retries and boots"
SERVER=absent

host() {
	expect_console 'init: .*: Connection refused'
	expect_console 'init: trying again in [0-9]+ s'
	let_pass 20
	server_start
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
}
