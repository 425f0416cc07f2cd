# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# While memory is drained only builtins of the shell run at once: a new process waits for memory.
DESCRIPTION="memdrain takes memory to the last pages, holds that while pages are freed, counts, lets go by itself"
ROOT=ram SWAP=16M MEM=256M TIMEOUT=60
KERNELS="debian 6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace'

free_now() {
	sed -n 's/^nr_free_pages //p' /proc/vmstat
}

at_least() { # NAME PAGES
	[ "$(drain_saw "$1")" -ge "$2" ] || fail "$1 is $(drain_saw "$1"), not $2 or more"
}

guest() {
	load_memdrain
	free=$(free_now)
	drain 64 20
	drain_end
	[ "$(drain_saw lowest_free_pages)" -le 64 ] || fail "$(drain_saw lowest_free_pages) pages left"
	at_least most_held_pages $((free * 9 / 10))
	[ "$(free_now)" -ge $((free * 9 / 10)) ] || fail "only $(free_now) of $free are back"

	# Pages of a file that only this shell still has open: to free them asks for no memory.
	dd if=/dev/zero of=/tmp/file bs=1M count=64
	exec 7</tmp/file
	rm /tmp/file
	drain 64 20
	exec 7<&-
	# shellcheck disable=SC3045 # busybox has it
	! read -r -t 1 event <&9 || fail "$event: nothing was to be told"
	drain_end
	at_least retaken_pages $((16384 * 9 / 10))

	# What is received while nothing can be allocated for it.
	network
	ping -i 0.01 -c 1000 10.0.2.2 >/tmp/ping &
	until grep -q 'seq=10 ' /tmp/ping; do usleep 10000; done
	echo 1 >"$memdrain/places"
	drain 64 3
	drops
	[ "$(drops failed)" -gt 0 ] || fail "no allocation failed"
	cat "$memdrain/report" /proc/pagetypeinfo
	[ "$(drain_saw state)" = idle ] || fail "holds although its time is over"
	at_least duration_ms 3000

	loss 100
	expect_failure ping -c 2 -W 1 10.0.2.2
	loss 0
	ping -c 2 10.0.2.2

	# Packets of a memalloc socket that are dropped count by place, and TCP sends them again.
	nbd-client -N swap 10.0.2.2 "$port" /dev/nbd0
	echo 1 >"$memdrain/places"
	loss 100
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1 &
	until [ "$(drops dropped)" -gt 0 ]; do usleep 10000; done
	drops
	loss 0
	wait "$!"

	rmmod memdrain
	[ ! -e "$memdrain" ] || fail "memdrain is unloaded, and $memdrain is there"
}
