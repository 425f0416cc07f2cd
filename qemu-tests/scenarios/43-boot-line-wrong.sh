# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a boot line with a mistake is named with what would be right, and a rescue shell offered"
BOOTLINE='root=nbd://10.0.2.2:notaport/root rw'

host() {
	expect_console 'root=nbd://10.0.2.2:notaport/root.*port'
	expect_console 'shell'
}
