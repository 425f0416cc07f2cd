# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="Debian 12 on a partition of a read-only image, its changes in a tmpfs that swaps encrypted"
ROOT=debian12 MEM=160M TIMEOUT=100
KERNELS=debian
BOOTLINE='netroot=nbd://10.0.2.2:PORT/root root=LABEL=debian12 rw nbdoverlay=tmpfs,size=200% nbdswap=nbd://10.0.2.2:PORT/swap nbdopts=crypt,size=150%'

requires() {
	is_built roots/debian12.ext4
}

# A disk with the root as its second partition.
images() {
	mv "$dir/root.img" "$dir/system.img"
	truncate -s 1028M "$dir/root.img"
	printf 'label: gpt\nsize=1MiB, name=other\nname=system\n' | /sbin/sfdisk -q "$dir/root.img"
	dd if="$dir/system.img" of="$dir/root.img" bs=1M seek=2 conv=notrunc,sparse status=none
	rm "$dir/system.img"
	sha256sum <"$dir/root.img" >"$dir/root.sum"
}

guest() {
	systemctl is-active multi-user.target
	grep -q ' / overlay rw' /proc/mounts
	grep -q '^/dev/nbd0p2 /run/nbd-client/overlay/image ext4 ro' /proc/mounts
	[ "$(cat /sys/block/nbd0/ro)" = 1 ]
	expect_swap /dev/dm-0
	[ "$(cat /sys/block/dm-0/slaves/nbd1/size)" -ge 1000000 ]
	# More than half of the 512 MiB export, and not all of it.
	awk '$1 == "/dev/dm-0" { exit !($3 > 150000 && $3 < 320000) }' /proc/swaps
	# More than is free in memory; read back, it is the same.
	yes 'the server must not read this line' | head -c 64M >/var/tmp/changes
	yes 'the server must not read this line' | cmp -n 67108864 - /var/tmp/changes
	expect_swapped 16
}

after() {
	sha256sum <"$dir/root.img" | diff - "$dir/root.sum" || return
	[ "$(du -k "$dir/swap.img" | cut -f 1)" -ge 16384 ] || { echo "nothing was swapped" && return 1; }
	! grep -qa 'the server must not read' "$dir/swap.img" || { echo "swap is readable" && return 1; }
	# What the tmpfs held was more than systemd could take back; it ended all the same.
	grep -q 'Could not deactivate swap /dev/dm-0: Cannot allocate memory' "$dir/console.log" ||
		{ echo "swap was turned off: the machine had memory for it" && return 1; }
	expect_detached root swap
}
