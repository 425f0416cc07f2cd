# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="virtio_net goes on after the ring could not be filled even from the reserve"
ROOT=ram SWAP=2G MEM=192M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS='' # whether the ring runs short is not sure yet: by name only
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

# The reserve is not empty any more: pages of a file that only this shell has open become free. The
# kernel's ways to get memory without the reserve are as shut as before.
refill_reserve() {
	# shellcheck disable=SC3045 # busybox has it
	! read -r -t 4 event <&9 || fail "$event: nothing was to be told"
	echo 512 15 >&6
	exec 7<&-
}

# Reads in flight fill the ring, which is filled again when half of it is used up.
read_on() {
	until [ -e /sys/block/nbd0/pid ]; do usleep 20000; done
	dd if=/dev/nb0 of=/dev/null bs=1M iflag=direct
}

guest() {
	dd if=/dev/zero of=/file bs=1M count=4
	exec 7</file
	rm /file
	read_on 7<&- &
	load_memdrain
	exec 6>"$memdrain/drain"
	swap_drained 0 15 refill_reserve
	[ "$(drops failed try_fill_recv)" -gt 0 ] || fail "the ring was never short"
	[ "$(drain_saw written_pages)" -ge 128 ] ||
		fail "only $(drain_saw written_pages) pages were written in 15 s after the ring was short"
}
