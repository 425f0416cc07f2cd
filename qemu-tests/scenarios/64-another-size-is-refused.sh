# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="an export that comes back with another size is refused by name, and taken again when right"
MEM=128M SWAP=512M TIMEOUT=240

host() {
	expect_swapping
	server_stop KILL
	truncate -s 513M "$dir/swap.img"
	server_start
	expect_console '/dev/nb1: .* export "swap": REFUSED, .* its size in bytes was 536870912, is 537919488'
	expect_console '/dev/nb0: connected again \(1\)'
	! grep -q '/dev/nb1: connected again' "$dir/console.log" ||
		host_failed "an export of another size was attached"
	server_stop TERM
	truncate -s 512M "$dir/swap.img"
	server_start
	expect_console '/dev/nb1: connected again \(1\) to 10.0.2.2:'
	expect_pass
	tell enough
}

guest() {
	hog_until enough 192M
	expect_swapped 64
}

after() {
	expect_clean_root
}
