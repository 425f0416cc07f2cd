# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a second machine that is told to swap on the same export is refused, and the first goes on"
MEM=128M SWAP=512M TIMEOUT=180

host() {
	wait_event swapping
	another_machine 1 'root=nbd://10.0.2.100/root rw nbdswap=nbd://10.0.2.100/swap'
	expect_console_of 1 'export "swap": refused .*in use by 127\.0\.0\.1 since 20'
	end_machine 1
	tell refused
}

guest() {
	expect_swap /dev/nb1
	hog 192M 5
	say swapping
	hog 192M 10
	wait_event refused
	hog 192M 10
	expect_swapped 64
}

after() {
	grep -q '127\.0\.0\.2:.*export "swap": refused: in use by 127\.0\.0\.1' "$dir/server.log" ||
		{ echo "server.log: no refusal" && return 1; }
	! grep -q fenced "$dir/server.log" || { echo "server.log: the first was fenced" && return 1; }
	expect_clean_root
}
