# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a machine that swaps outlives a cable that is out for 60 s: no error, no bad page"
MEM=128M SWAP=512M TIMEOUT=240

host() {
	expect_new 'hog: pass [0-9]+ page .* [0-9]{5,} KiB swapped'
	link_set off
	let_pass 60
	link_set on
	expect_new 'hog: pass [0-9]+ page'
	tell enough
}

guest() {
	outage_may_last 600
	hog_until enough 192M
	expect_swapped 64
	expect_supervisors 2
}

after() {
	expect_clean_root
}
