# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a machine on its own layer, and swap for this boot, outlives a kill of the server and a cable that is out"
MEM=128M TIMEOUT=300
BOOTLINE='root=nbd://10.0.2.2:PORT/root/%m rw nbdswap=nbd://10.0.2.2:PORT/swap/%m/%i'

server_config() { # PORT
	machine_config "$1" 512M
	echo 'keep = boot'
}

images() {
	sha256sum "$dir/root.img" >"$dir/root.sum"
}

host() {
	expect_new 'hog: pass [0-9]+ page .* [0-9]{5,} KiB swapped'
	server_stop KILL
	server_start
	expect_console '/dev/nb1: connected again \(1\) to 10.0.2.2:'
	expect_console '/dev/nb0: connected again \(1\) to 10.0.2.2:'
	expect_new 'hog: pass [0-9]+ page'
	link_set off
	let_pass 60
	link_set on
	expect_new 'hog: pass [0-9]+ page'
	tell enough
}

guest() {
	outage_may_last 600
	dd if=/dev/urandom of=/written bs=1M count=8 conv=fsync
	sum=$(sha256sum </written)
	hog_until enough 192M
	expect_swapped 64
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(sha256sum </written)" = "$sum" ]
	expect_supervisors 2
}

after() {
	sha256sum --quiet -c "$dir/root.sum" || return
	list_machines && [ "$(grep -c '52:54:00:12:34:56' "$dir/machines")" = 2 ]
}
