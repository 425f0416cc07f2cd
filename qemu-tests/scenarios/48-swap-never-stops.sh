# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# One cell of the swap campaign (qemu-tests/campaign), and its short form in `make check`: eight
# processes, together of 1.5 times the memory, with the reserve that the boot line asks for. First
# they only make their memory dirty, a few times: stock kernels stop most often in the moment when
# the last free page goes and many tasks begin to write out at once while packets come in, or none
# comes: the root is read meanwhile, and now and then the cable is out for 8 s, and the server stands
# still for 3 s. Then every page is filled and checked.
# 49-* and the campaign give other values to MEM, SMP, NIC and APPEND. An allocation that failed
# with a warning is no failure here: what counts is that all go on.
DESCRIPTION="eight processes of 1.5 times the memory never stop, with no reserve set, 1 % of packets lost, and link and server away for seconds"
MEM=96M
APPEND='nbdopts=reserve=keep fills=3 hogs=8 hog=18M loss=1 outages=1 seed=1'
KERNEL_ALLOW='page allocation failure|Call Trace:'
KERNELS="6.12 6.1"

host() {
	wait_event hog
	deadline_in 150
	disturb "$(boot_word outages "$APPEND")"
	watch_hog
}

# Ends early when the machine does; who waits for that next judges.
disturb() { # TIMES
	for _ in $(seq "$1"); do
		! vm_wait 4 || return 0
		link_set off
		! vm_wait 8 || return 0
		link_set on
		! vm_wait 4 || return 0
		server_pause
		vm_wait 3 && ended=yes || ended=no
		server_resume
		[ "$ended" = no ] || return 0
	done
}

boot_word() { # KEY BOOT-LINE
	echo "$2" | sed -nE "s/.*\<$1=([^ ]+).*/\1/p"
}

read_root() {
	dd if=/dev/nb0 of=/dev/null bs=1M iflag=direct
	dd if=/dev/nb0 of=/dev/null bs=1M iflag=direct
}

# All at once; the status of one that failed.
run_hogs() { # NUMBER SIZE SECONDS|fill SEED
	pids='' status=0
	for i in $(seq "$1"); do
		hog "$2" "$3" "$4$i" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || status=$?
	done
	return "$status"
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	line=$(cat /proc/cmdline)
	size=$(boot_word hog "$line")
	loss_percent=$(boot_word loss "$line")
	[ "$loss_percent" = 0 ] || loss "$loss_percent"
	swap-watch nbd1 3 &
	say hog
	read_root &
	hogs=$(boot_word hogs "$line") seed=$(boot_word seed "$line") failed=0
	for fill in $(seq "$(boot_word fills "$line")"); do
		[ "$failed" != 0 ] || run_hogs "$hogs" "$size" fill "$seed$fill" || failed=$?
		echo "hog: pass of $fill fills"
	done
	[ "$failed" != 0 ] || run_hogs "$hogs" "$size" 0 "$seed" || failed=$?
	case $failed in
	0) ;;
	1) fail "corrupt: a page was not what had been written" ;;
	137) fail "killed: hog by signal 9" ;;
	*) fail "hog: exit $failed" ;;
	esac
	expect_swapped "${size%M}"
}
