# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="pxelinux starts a machine by its card's ROM alone"
BOOT=pxelinux KERNELS=debian ROOT=${MEDIA_ROOT:-test} MEM=512M TIMEOUT=120

guest() {
	grep -q 'BOOT_IMAGE=vmlinuz' /proc/cmdline
	grep -q 'BOOTIF=01-52-54-00-12-34-56' /proc/cmdline
	expect_root nbd0
	expect_swap /dev/nb1
}
