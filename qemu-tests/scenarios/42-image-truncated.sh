# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a root image that was cut off is named with both sizes, and a rescue shell offered"

images() {
	truncate -s 32M "$dir/root.img"
}

host() {
	expect_console '/dev/nb0: root: the image is truncated: .* wants 67108864 bytes.* 33554432'
	expect_console 'press Enter for a shell'
}
