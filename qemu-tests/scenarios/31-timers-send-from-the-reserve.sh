# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="TCP sends again what was lost while nothing but the reserve is free"
ROOT=ram SWAP=512M MEM=128M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

guest() {
	loss 5
	drain_objects
	swap_drained 512 15
	failed=$(drops failed 'tcp_(fragment|write_xmit|mtu_probe|trim_head)')
	[ "$failed" = 0 ] || fail "$failed allocations of TCP's timers and ACKs failed"
	[ "$(drain_saw written_pages)" -ge 256 ] ||
		fail "only $(drain_saw written_pages) pages were written in 15 s"
}
