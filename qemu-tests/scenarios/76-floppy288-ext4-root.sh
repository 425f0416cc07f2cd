# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a 2.88 MB floppy has a root with a journal, and drives cards that the small one does not"
BOOT=floppy KERNELS='' ROOT=test-i586 MEM=24M SMP=1 SWAP=64M TIMEOUT=90
[ "${NIC-}" != virtio-net-pci ] || NIC=e1000e # a card of its own
BOOTLINE='root=nbd://10.0.2.2:PORT/root rw nbdswap=nbd://10.0.2.2:PORT/swap'

requires() {
	boots_own_kernel floppy288
}

images() {
	tune2fs -O has_journal,extent "$dir/root.img" >/dev/null
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	grep -q '^/dev/[^ ]* / ext4 ' /proc/mounts || fail "root is no ext4: $(grep ' / ' /proc/mounts)"
	hog 48M 8
	expect_swapped 24
}

after() {
	expect_clean_root
}
