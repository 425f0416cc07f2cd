# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="ten machines at once run from one image, each with its own changes and its own swap"
MEM=96M SMP=1 TIMEOUT=240
BOOTLINE='root=nbd://10.0.2.2:PORT/root/%m rw nbdswap=nbd://10.0.2.2:PORT/swap/%m'

# Even machines write to a layer at the server, odd ones to their own memory and swap.
layer_line='root=nbd://10.0.2.100/root/%m rw nbdswap=nbd://10.0.2.100/swap/%m'
memory_line='root=nbd://10.0.2.100/image nbdoverlay=tmpfs nbdswap=nbd://10.0.2.100/swap/%m'

server_config() { # PORT
	machine_config "$1" 256M
	printf '[image]\nexportname = %s/root.img\nreadonly = true\n' "$(realpath "$dir")"
}

images() {
	sha256sum "$dir/root.img" >"$dir/root.sum"
}

host() {
	local i others='1 2 3 4 5 6 7 8 9'
	for i in 1 3 5 7 9; do another_machine "$i" "$memory_line" "scenario=$scenario"; done
	for i in 2 4 6 8; do another_machine "$i" "$layer_line" "scenario=$scenario"; done
	wait_event written
	for i in $others; do wait_event_of "$i" written; done
	tell go
	for i in $others; do echo go >"$dir/$i/events.in"; done
	for i in $others; do expect_ok_of "$i"; done
}

guest() {
	mac=$(cat /sys/class/net/eth0/address)
	case $(cat /proc/cmdline) in
	*nbdoverlay=*) grep -q '^nbdoverlay / overlay rw' /proc/mounts ;;
	*) expect_root nbd0 ;;
	esac
	expect_swap /dev/nb1
	expect_failure ls /changes-*
	dd if=/dev/urandom of="/changes-$mac" bs=1M count=8
	sum=$(sha256sum <"/changes-$mac")
	sync
	say written
	# all ten have written
	wait_event go
	hog 72M 0
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(sha256sum <"/changes-$mac")" = "$sum" ]
	[ "$(echo /changes-*)" = "/changes-$mac" ]
	expect_swapped 8
}

after() {
	sha256sum --quiet -c "$dir/root.sum" || return
	list_machines || return
	[ "$(grep -c ' swap ' "$dir/machines") swaps, $(grep -c ' layer ' "$dir/machines") layers" = '10 swaps, 5 layers' ] ||
		{ cat "$dir/machines" && return 1; }
	rm -r "$dir/layers" "$dir/swaps"
}
