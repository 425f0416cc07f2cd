# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a cable that is put back while memory is exhausted and no worker is free carries swap again"
ROOT=ram SWAP=512M MEM=256M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

host() {
	wait_event attached
	link_set off
	expect_console 'memdrain: holding: '
	let_pass 2
	link_set on
}

link_goes() {
	say attached
	until [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do usleep 20000; done
}

guest() {
	drain_workers
	swap_drained 160 20 : link_goes
	[ "$(drain_saw written_pages)" -ge 256 ] ||
		fail "only $(drain_saw written_pages) pages were written in 20 s"
}
