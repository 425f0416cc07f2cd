# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# While memory is drained only builtins of the shell run at once: a new process waits for memory.
DESCRIPTION="memdrain takes memory to the last pages, holds that while pages are freed, counts, lets go by itself"
ROOT=ram SWAP=0 MEM=256M TIMEOUT=60
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

	# Has all its memory before the drain, asks for none, and gives it back when it is killed.
	dd if=/dev/zero of=/dev/null bs=64M &
	eater=$!
	until grep -qE '^VmRSS:\s+6[5-9][0-9]{3} kB' "/proc/$eater/status"; do usleep 100000; done
	drain 64 20
	kill -KILL "$eater"
	! wait "$eater" || fail "dd had ended"
	drain_end
	at_least retaken_pages $((16384 / 2))

	# Its ring empties while nothing can be put back: the network driver asks, and gets nothing.
	network
	echo 1 >"$memdrain/places"
	ping 10.0.2.2 >/dev/null &
	drain 64 3
	drops
	[ "$(drops failed)" -gt 0 ] || fail "no allocation failed"
	cat "$memdrain/report"
	[ "$(drain_saw state)" = idle ] || fail "holds although its time is over"
	at_least duration_ms 3000
	kill "$!"

	loss 100
	expect_failure ping -c 2 -W 1 10.0.2.2
	loss 0
	ping -c 2 10.0.2.2
}
