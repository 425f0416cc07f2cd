# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="Debian 12 on a partition of a read-only image, its changes in a tmpfs that swaps, and not in the image"
ROOT=debian12 MEM=256M TIMEOUT=120
KERNELS=debian
BOOTLINE='netroot=nbd://10.0.2.2:PORT/root root=LABEL=debian12 rw nbdoverlay=tmpfs,size=150% nbdswap=nbd://10.0.2.2:PORT/swap'

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
	expect_swap /dev/nb1
	# Twice what is free in memory; read back, it is the same.
	head -c 220M /dev/urandom | tee /var/tmp/changes | sha256sum >/run/sum
	sha256sum </var/tmp/changes | diff - /run/sum
	expect_swapped 32
}

after() {
	sha256sum <"$dir/root.img" | diff - "$dir/root.sum" && expect_detached root swap
}
