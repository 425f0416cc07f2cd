# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="page fragments take single pages of the reserve, never blocks of eight"
ROOT=ram SWAP=512M MEM=256M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

# Below the min watermark, and yet with blocks of eight pages among what is free.
guest() {
	swap_drained 300 15
	blocks=$(drops reserve-3 '(tcp_sendmsg_locked|try_fill_recv|page_to_skb)')
	[ "$blocks" = 0 ] || fail "$blocks page fragments took eight pages of the reserve"
	[ "$(drain_saw written_pages)" -ge 256 ] ||
		fail "only $(drain_saw written_pages) pages were written in 15 s"
}
