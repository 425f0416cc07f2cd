# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="what swapsafe-image makes of a tar boots by PXE: its kernel, its modules, a shared root and its exports"
BOOT=pxe
BOOTLINE='root=nbd://10.0.2.2:PORT/root rw ip=dhcp nbdoverlay=tmpfs,size=150% nbdswap=nbd://10.0.2.2:PORT/root-swap/%m'

requires() {
	is_built kernel/debian/vmlinuz
}

# The test root in a tar, and all that the tool makes of it.
# shellcheck disable=SC2016 # the inner shell expands
images() {
	local tree=$dir/tree
	mkdir "$tree"
	fakeroot bash -euc '
		gzip -dc "$1/roots/test.cpio.gz" | (cd "$2/tree" && cpio -id --quiet)
		tar -C "$2/tree" -cf "$2/root.tar" .
		rm -r "$2/tree"
		media/swapsafe-image --image "$2/root.tar" --kernel "$1/kernel/debian" --swap 256M "$2"
		rm "$2/root.tar"
	' bash "${build:-build}" "$dir" >"$dir/image.log" 2>&1
}

server_config() { # PORT
	install -D -m 644 -t "$dir/conf.d" "$dir/root.conf"
	printf '[generic]\nlistenaddr = 127.0.0.1\nport = %s\nincludedir = %s\n' "$1" "$(realpath "$dir/conf.d")"
}

guest() {
	grep -q ' / overlay rw' /proc/mounts
	[ "$(cat /sys/block/nbd0/ro)" = 1 ]
	expect_swap /dev/nb1
	[ "$(cat /sys/block/nbd1/size)" = $((256 << 11)) ]
	[ -x /usr/local/sbin/nbd-client ]
	[ -s "/boot/swapsafe-initrd.img-$(uname -r)" ]
	nbd-client -status
	nbd-client -status | grep -q 'root-swap/52:54:00:12:34:56'
	hog 300M 0
	expect_swapped 32
}

after() {
	# The line for all machines is the one that this machine had, but for the port of the server.
	sed 's/[$]{next-server}/10.0.2.2:PORT/g' "$dir/pxe/boot.ipxe" | grep -qF "$BOOTLINE" ||
		{ cat "$dir/pxe/boot.ipxe" && return 1; }
	rm "$dir/swap/52:54:00:12:34:56.swap"
}
