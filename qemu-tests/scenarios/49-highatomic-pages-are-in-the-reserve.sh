# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="an allocation that may have the whole reserve gets the pages of HIGHATOMIC blocks too"
ROOT=ram SWAP=0 MEM=256M TIMEOUT=60
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

guest() {
	drain 16 3 highatomic
	# shellcheck disable=SC3045 # busybox has it
	! read -r -t 4 event <&9 || fail "$event: nothing was to be told"
	cat "$memdrain/report"
	[ "$(drain_saw highatomic_pages)" -gt 16 ] || fail "there is no HIGHATOMIC block"
	[ "$(drain_saw refused_pages)" = 0 ] ||
		fail "an allocation with __GFP_MEMALLOC failed, and $(drain_saw refused_pages) pages were free"
}
