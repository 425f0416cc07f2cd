# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="Debian 12 with systemd reaches multi-user.target on root and swap, and powers off clean"
ROOT=debian12 MEM=256M TIMEOUT=120
KERNELS="debian 6.12"

requires() {
	is_built roots/debian12.ext4
}

guest() {
	systemctl is-active multi-user.target
	[ -z "$(systemctl --failed --no-legend --plain | tee /dev/stderr)" ]
	expect_root nbd0
	expect_swap /dev/nb1
	hog 240M 0
	expect_swapped 32
}

after() {
	expect_clean_root && expect_detached root swap
}
