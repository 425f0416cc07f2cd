# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a machine writes to its own layer of a shared image and swaps to its own file"
MEM=128M TIMEOUT=120
BOOTLINE='root=nbd://10.0.2.2:PORT/root/%m rw nbdswap=nbd://10.0.2.2:PORT/swap/%m'

server_config() { # PORT
	machine_config "$1" 256M
}

images() {
	sha256sum "$dir/root.img" >"$dir/root.sum"
}

guest() {
	expect_root nbd0
	expect_swap /dev/nb1
	dd if=/dev/urandom of=/written bs=1M count=8
	sum=$(sha256sum </written)
	hog 160M 10
	expect_swapped 32
	sync
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(sha256sum </written)" = "$sum" ]
}

after() {
	sha256sum --quiet -c "$dir/root.sum" || return
	list_machines || return
	[ "$(grep -cE '52:54:00:12:34:56 +(layer|swap +262144 +2621[0-9][0-9]) ' "$dir/machines")" = 2 ] ||
		{ cat "$dir/machines" && return 1; }
}
