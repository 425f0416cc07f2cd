# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# A stock kernel writes what is in flight when the drain begins, some 70 pages, then nothing, and
# does not recover. The host half judges by the console: such a guest says nothing any more.
DESCRIPTION="a machine in which 64 pages are free goes on swapping out, and loses nothing"
MEM=96M SWAP=512M TIMEOUT=120
KERNELS="6.12 6.1"
KERNEL_ALLOW='page allocation failure|Call Trace' # of what may not use the reserve

host() {
	expect_console 'memdrain: time is over .* [0-9]+ written'
	written=$(sed -nE 's/.*memdrain: time is over .* ([0-9]+) written.*/\1/p' "$dir/console.log")
	[ "$written" -ge 512 ] ||
		host_failed "only $written pages were written in 20 s with 64 free pages"
}

guest() {
	load_memdrain
	hog 112M 1 &
	hog=$!
	until [ "$(vmstat_bytes pswpout)" -ge $((16 << 20)) ]; do usleep 100000; done
	drain 64 20
	wait "$hog"
	cat "$memdrain/report"
	drops
}
