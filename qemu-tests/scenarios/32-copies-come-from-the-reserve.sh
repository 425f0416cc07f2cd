# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="no packet is dropped for want of its copy, for a card that cannot gather fragments"
ROOT=ram SWAP=512M MEM=128M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

guest() {
	swap_drained 512 15
	dropped=$(drops dropped 'validate_xmit_skb.*')
	[ "$dropped" = 0 ] || fail "$dropped packets of the device's socket were dropped uncopied"
	[ "$(drain_saw written_pages)" -ge 256 ] ||
		fail "only $(drain_saw written_pages) pages were written in 15 s"
}
