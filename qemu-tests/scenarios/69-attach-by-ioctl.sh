# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="-nonetlink attaches by ioctl, and says that this cannot be swap-safe"
ROOT=ram SWAP=64M
KERNELS=debian

guest() {
	network
	nbd-client -nonetlink -name swap 10.0.2.2 "$port" /dev/nb0 2>/tmp/said
	cat /tmp/said
	grep -q 'cannot be swap-safe' /tmp/said
	nbd-client -c /dev/nb0
	dd if=/qemu-tests/sample.squashfs of=/dev/nb0 bs=64k conv=fsync
	echo 3 >/proc/sys/vm/drop_caches
	cmp -n "$(wc -c </qemu-tests/sample.squashfs)" /qemu-tests/sample.squashfs /dev/nb0
	expect_failure nbd-client -nonetlink -swap -name swap 10.0.2.2 "$port" /dev/nb1
	expect_failure nbd-client -doctor
	nbd-client -d /dev/nb0
	expect_failure nbd-client -c /dev/nb0
}
