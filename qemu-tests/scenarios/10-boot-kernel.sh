# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="root is /dev/nb0 and swap /dev/nb1 before the real init starts"
KERNELS="debian 6.12 6.1"

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	[ -b /dev/nb0 ] && [ -b /dev/nb1 ]
	grep -q ' / ext4 rw' /proc/mounts
	dd if=/dev/urandom of=/root/file bs=64k count=64
	sha256sum /root/file >/root/sum
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum -c /root/sum
}

after() {
	expect_clean_root
}
