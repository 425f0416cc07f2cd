# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="the link address of the server is found again while nothing but the reserve is free"
ROOT=ram SWAP=512M MEM=256M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

# A card whose IFF_NOARP changes forgets its neighbours.
forget_neighbours() {
	echo 0x1083 >&6
	echo 0x1003 >&6
}

guest() {
	exec 6>/sys/class/net/eth0/flags
	drain_objects
	swap_drained 512 15 forget_neighbours
	failed=$(drops failed '(___neigh_|arp_).*')
	[ "$failed" = 0 ] || fail "$failed allocations for the search of a neighbour failed"
	[ "$(drain_saw written_pages)" -ge 256 ] ||
		fail "only $(drain_saw written_pages) pages were written in 15 s"
}
