# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a host half that does not see what it waits for is a FAIL although guest() passes"
ROOT=ram SWAP=0
EXPECT='host: console does not show: never shown'

host() {
	expect_console 'never shown'
}

guest() {
	say passing
}
