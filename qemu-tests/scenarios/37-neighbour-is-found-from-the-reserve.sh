# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="the link address of the server is found again while nothing but the reserve is free"
ROOT=ram SWAP=512M MEM=128M TIMEOUT=90
KERNELS=''
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

# A card without carrier forgets its neighbours.
host() {
	wait_event draining
	expect_console 'memdrain: 64 pages'
	link_set off
	let_pass 2
	link_set on
}

guest() {
	say draining
	swap_drained 64 20
	failed=$(drops failed '(neigh_.*|___neigh_.*|__neigh_.*|arp_.*|ndisc_.*)')
	[ "$failed" = 0 ] || fail "$failed allocations for the search of a neighbour failed"
}
