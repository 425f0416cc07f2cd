# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="client and server on one machine work over loopback, as in the kernel's documentation"
ROOT=ram SWAP=0

guest() {
	network
	truncate -s 32M /tmp/export
	nbd-server 1234 /tmp/export
	nbd-client localhost 1234 /dev/nb0
	mkfs.ext4 -q /dev/nb0
	mount -t ext4 /dev/nb0 /mnt
	cp /qemu-tests/sample.squashfs /mnt/
	umount /mnt
	mount -t ext4 /dev/nb0 /mnt
	cmp /qemu-tests/sample.squashfs /mnt/sample.squashfs
	umount /mnt
	nbd-client -d /dev/nb0
}
