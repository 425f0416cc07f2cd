# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="an allocation that may have the whole reserve gets the pages of HIGHATOMIC blocks too"
ROOT=ram SWAP=0 MEM=256M TIMEOUT=60
KERNELS=''
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

# The fourth kind of block in the table of /proc/pagetypeinfo.
highatomic_blocks() {
	awk '/^Number of blocks/ { table = 1 } table && /^Node/ { blocks += $8 } END { print blocks + 0 }' \
		/proc/pagetypeinfo
}

# On its way to the goal the drain takes blocks of pages, some of them below the low watermark:
# for the next such allocation the kernel makes a HIGHATOMIC block.
guest() {
	drain 16 3
	! read -r -t 4 event <&9
	cat "$memdrain/report"
	cat /proc/pagetypeinfo
	[ "$(highatomic_blocks)" -gt 0 ] || fail "there is no HIGHATOMIC block"
	[ "$(drain_saw refused_pages)" = 0 ] ||
		fail "an allocation with __GFP_MEMALLOC failed, and $(drain_saw refused_pages) pages were free"
}
