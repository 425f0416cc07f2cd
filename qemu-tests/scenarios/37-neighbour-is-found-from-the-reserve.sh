# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="the link address of the server is found again while nothing but the reserve is free"
ROOT=ram SWAP=512M MEM=256M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS=''
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

# A card without carrier forgets its neighbours.
host() {
	expect_console 'guest: read -r -t 20'
	link_set off
	let_pass 2
	link_set on
}

guest() {
	drain_objects
	swap_drained 160 20
	failed=$(drops failed '(neigh_.*|___neigh_.*|__neigh_.*|arp_.*|ndisc_.*)')
	[ "$failed" = 0 ] || fail "$failed allocations for the search of a neighbour failed"
}
