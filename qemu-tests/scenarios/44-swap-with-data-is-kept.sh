# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="an export with data that is named as swap by mistake is refused and keeps every byte"
SWAP=16M

images() {
	mkfs.ext4 -q -F "$dir/swap.img"
	sha256sum "$dir/swap.img" >"$dir/swap.sum"
}

host() {
	expect_console '/dev/nb1: swap: the export holds other data and is not touched'
	expect_console 'press Enter for a shell'
}

after() {
	sha256sum --quiet -c "$dir/swap.sum"
}
