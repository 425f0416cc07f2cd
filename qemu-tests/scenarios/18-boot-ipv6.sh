# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="/init boots to root and swap over IPv6 alone, by the address that a router's announcement gives"
BOOTLINE='root=nbd://[fec0::2]:PORT/root rw nbdswap=nbd://[fec0::2]:PORT/swap'

requires() {
	grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null || { echo "the host has no ::1" && return 1; }
}

server_config() { # PORT
	printf '[generic]\nlistenaddr = ::1\nport = %s\n' "$1"
	printf '[root]\nexportname = %s\n[swap]\nexportname = %s\n' "$(realpath "$dir")/root.img" "$(realpath "$dir")/swap.img"
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	expect_failure grep -q 10.0.2 /proc/net/fib_trie
	nbd-client -status | grep -qF '[fec0::2]'
	hog 300M 0
	expect_swapped 32
}

after() {
	expect_clean_root
}
