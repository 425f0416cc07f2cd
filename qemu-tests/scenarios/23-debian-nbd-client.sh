# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="Debian's nbd-client attaches our export, and ours that of Debian's nbd-server"
ROOT=ram SWAP=64M
KERNELS="debian 6.12"

fill() { # DEVICE
	mkfs.ext4 -q -F "$1"
	mount -t ext4 "$1" /mnt
	cp /qemu-tests/sample.squashfs /mnt/
	umount /mnt
}

check() { # DEVICE
	mount -t ext4 "$1" /mnt
	cmp /qemu-tests/sample.squashfs /mnt/sample.squashfs
	umount /mnt
	mkswap "$1"
	swapon "$1"
	expect_swap "$1"
	swapoff "$1"
}

# Debian's server goes into the background before it listens; with -d it would serve one client only.
start_their_server() {
	truncate -s 32M /tmp/export
	printf '[generic]\nlistenaddr = 127.0.0.1\nport = 10809\n[disk]\nexportname = /tmp/export\n' \
		>/tmp/config
	"$theirs/nbd-server" -C /tmp/config
	timeout 60 sh -c 'until grep -q ":2A39 .* 0A " /proc/net/tcp; do :; done'
}

guest() {
	theirs=/usr/lib/debian
	network
	start_their_server
	"$theirs/nbd-client" 10.0.2.2 "$port" -N swap /dev/nbd0
	fill /dev/nbd0
	"$theirs/nbd-client" -d /dev/nbd0
	expect_failure "$theirs/nbd-client" -c /dev/nbd0
	# The call of the initramfs script of Debian's nbd-client.
	"$theirs/nbd-client" 10.0.2.2 -N swap "$port" /dev/nbd0 -swap -persist -systemd-mark
	expect_failure test -d "/proc/$(cat /sys/block/nbd0/pid)" # attached by netlink
	check /dev/nbd0
	"$theirs/nbd-client" -d /dev/nbd0

	# It looks for a prime number for TLS before it greets, which may take longer than we wait.
	until nbd-client -N disk localhost /dev/nb1; do
		[ $? = 111 ]
	done
	fill /dev/nb1
	nbd-client -d /dev/nb1
	expect_failure nbd-client -c /dev/nb1
	nbd-client -N disk localhost /dev/nb1
	check /dev/nb1
	nbd-client -d /dev/nb1
}
