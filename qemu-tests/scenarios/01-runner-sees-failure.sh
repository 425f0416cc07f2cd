# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034
DESCRIPTION="a guest half that fails is a FAIL with its reason"
ROOT=ram SWAP=0
EXPECT='guest: exit 1: on purpose'

guest() {
	say failing
	false || fail "on purpose"
}

host() {
	wait_event failing
}
