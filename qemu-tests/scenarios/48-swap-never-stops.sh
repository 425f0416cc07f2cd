# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# One cell of the swap campaign (qemu-tests/campaign), and its short form in `make check`: a process
# of 1.5 times the memory is filled and checked once, with the reserve that the boot line asks for.
# The others of this name, and the campaign, give other values to MEM, SMP, NIC and APPEND.
DESCRIPTION="a process of 1.5 times the memory never stops, with no reserve set and 1 % of packets lost"
MEM=96M
APPEND='nbdopts=reserve=keep hog=144M loss=1 seed=1'
KERNELS=''

host() {
	wait_event hog
	deadline_in 150
	watch_hog
}

boot_word() { # KEY
	sed -nE "s/.*\<$1=([^ ]+).*/\1/p" /proc/cmdline
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	size=$(boot_word hog)
	loss_percent=$(boot_word loss)
	[ "$loss_percent" = 0 ] || loss "$loss_percent"
	swap-watch nbd1 3 &
	say hog
	status=0
	hog "$size" 0 "$(boot_word seed)" || status=$?
	case $status in
	0) ;;
	1) fail "corrupt: $(sed -n 's/^MemTotal: *//p' /proc/meminfo) of memory, hog of $size" ;;
	137) fail "killed: hog by signal 9" ;;
	*) fail "hog: exit $status" ;;
	esac
	expect_swapped $((${size%M} / 8))
}
