# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="e1000 goes on receiving, into fragments and into pages, while only the reserve is free"
ROOT=ram SWAP=2G MEM=128M TIMEOUT=90
NIC=e1000
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

requires() {
	kernel_has CONFIG_E1000
}

read_kib() {
	awk '{ print int($3 / 2) }' /sys/block/nbd0/stat
}

# A ring is 256 buffers. Packets below 256 bytes are copied and leave theirs in it, so it has to be
# reads.
read_drained() { # WHAT
	dd if=/dev/nb0 of=/dev/null bs=16k iflag=direct &
	reader=$!
	begin_kib=$(($(read_kib) + 1024))
	until [ "$(read_kib)" -ge "$begin_kib" ]; do usleep 20000; done
	begin_kib=$(read_kib)
	pages=$(drain_pages 64)
	drain "$pages" 15
	! read -r -t 10 event <&9
	kill -KILL "$reader"
	drain_end
	drops
	read_kib=$(($(read_kib) - begin_kib))
	[ "$read_kib" -ge 4096 ] ||
		fail "with 64 free pages only $read_kib KiB were received into $1 in 10 s"
}

guest() {
	network
	nbd-client -N swap -swap -reserve keep 10.0.2.2 "$port" /dev/nb0
	load_memdrain
	read_drained fragments
	ip link set eth0 mtu 9000
	read_drained pages
}
