# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a cable that is out for 20 s while a small machine begins to swap: all go on, nobody is killed"
MEM=64M SMP=1 TIMEOUT=60
APPEND='nbdopts=reserve=keep'
KERNELS="6.12 6.1"

host() {
	wait_event filling
	link_set off
	let_pass 20
	link_set on
}

guest() {
	expect_swap /dev/nb1
	pids=''
	say filling
	for seed in 1 2 3 4 5 6 7 8; do
		hog 9M 0 "$seed" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid"
	done
	expect_swapped 16
}
