# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# With 16 pages free the ring cannot be filled. Who tries it again must not switch reception
# off meanwhile: what is received is what frees memory.
DESCRIPTION="virtio_net receives on while its ring cannot be filled from the reserve either"
ROOT=ram SWAP=2G MEM=192M TIMEOUT=90
APPEND=rootfstype=ramfs # the programs themselves are not swapped out
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

# Reads in flight fill the ring, which is filled again when half of it is used up.
read_on() {
	until [ -e /sys/block/nbd0/pid ]; do usleep 20000; done
	for cpu in 1 2; do
		taskset "$cpu" dd if=/dev/nb0 of=/dev/null bs=1M iflag=direct &
	done
}

guest() {
	read_on &
	load_memdrain
	swap_drained 16 10
	[ "$(drops failed try_fill_recv)" -gt 0 ] || fail "the ring was never short"
	[ "$(drain_saw reception_off_ms)" -le 100 ] ||
		fail "the card did not receive for $(drain_saw reception_off_ms) ms"
}
