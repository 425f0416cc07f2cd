# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# With 16 pages the reserve itself runs out every now and then, and the ring cannot be filled.
DESCRIPTION="virtio_net goes on when the ring could not be filled even from the reserve"
ROOT=ram SWAP=512M MEM=128M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS=''
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

guest() {
	swap_drained 16 15
	[ "$(drops failed try_fill_recv)" -gt 0 ] || fail "the ring was never short"
	[ "$(drain_saw written_pages)" -ge 128 ] ||
		fail "only $(drain_saw written_pages) pages were written in 15 s with 16 free"
}
