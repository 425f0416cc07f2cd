# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="a USB stick with iPXE starts a machine whose card has no boot ROM"
BOOT=ipxe-usb KERNELS='' ROOT=${MEDIA_ROOT:-test} MEM=512M TIMEOUT=60
[ -z "${MEDIA_ROOT:-}" ] || TIMEOUT=120 # systemd takes longer

guest() {
	grep -q 'BOOTIF=01-52-54-00-12-34-56' /proc/cmdline
	expect_root nbd0
	expect_swap /dev/nb1
}
