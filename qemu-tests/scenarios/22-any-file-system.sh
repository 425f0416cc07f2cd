# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="ext4, squashfs below an overlay, and swap live on the same device, one after the other"
ROOT=ram SWAP=64M

guest() {
	network
	driver squashfs overlay
	nbd-client -N swap 10.0.2.2 "$port" /dev/nb0

	mkfs.ext4 -q -F /dev/nb0
	mount -t ext4 /dev/nb0 /mnt
	cp /bin/busybox /mnt/ && umount /mnt
	mount -t ext4 /dev/nb0 /mnt
	cmp /bin/busybox /mnt/busybox && umount /mnt

	dd if=/qemu-tests/sample.squashfs of=/dev/nb0 bs=1M conv=fsync
	mkdir -p /tmp/lower /tmp/upper /tmp/work
	mount -t squashfs /dev/nb0 /tmp/lower
	mount -t overlay overlay -o lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work /mnt
	(cd /mnt && sha256sum -c sums && echo changed >sums)
	grep -q changed /tmp/upper/sums
	umount /mnt /tmp/lower

	mkswap /dev/nb0
	swapon /dev/nb0
	expect_swap /dev/nb0
	swapoff /dev/nb0
	nbd-client -d /dev/nb0
}
