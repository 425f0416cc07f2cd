# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="virtio_net goes on receiving while only the reserve is free"
ROOT=ram SWAP=512M MEM=128M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

guest() {
	swap_drained 64 15
	[ "$(drain_saw written_pages)" -ge 256 ] ||
		fail "only $(drain_saw written_pages) pages were written in 15 s with 64 free;" \
			"$(drops failed try_fill_recv) buffers of the ring could not be had"
}
