# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="the reserve grows by what a device's socket can pin, which is bounded, and shrinks after it"
ROOT=ram SWAP=128M TIMEOUT=90
KERNELS="6.12 6.1"

host() {
	wait_event attached
	server_pause
	tell paused
	wait_event looked
	server_resume
	tell resumed
}

# What only an allocation with access to the reserve gets, in pages.
watermark_pages() {
	awk '$1 == "min" { pages += $2 } END { print pages }' /proc/zoneinfo
}

# Prints how long the send queue becomes.
queue_bytes() {
	local line
	within 60 connection_is_full || return
	line=$(connection)
	# shellcheck disable=SC2086 # its fields
	set -- $line
	echo $((0x${5%:*}))
}

watermark_is_back() {
	after_pages=$(watermark_pages)
	[ "$after_pages" = "$before_pages" ]
}

guest() {
	network
	echo 4096 1048576 1048576 >/proc/sys/net/ipv4/tcp_wmem
	before_pages=$(watermark_pages)
	nbd-client -N swap -swap -reserve keep 10.0.2.2 "$port" /dev/nb0
	dd if=/dev/nb0 of=/dev/null bs=64k count=1 # looks for partitions as well
	attached_pages=$(watermark_pages)

	say attached
	wait_event paused
	dd if=/dev/zero of=/dev/nb0 bs=1M count=64 conv=fsync &
	queue_bytes=$(queue_bytes) || queue_bytes=''
	say looked
	wait_event resumed
	wait $!
	[ -n "$queue_bytes" ] || fail "the server's window did not close in 60 s"
	[ "$queue_bytes" -le 393216 ] || fail "$queue_bytes bytes are in the send queue"
	[ $((attached_pages - before_pages)) -ge 224 ] ||
		fail "the min watermarks were $before_pages pages, and with the socket $attached_pages"

	nbd-client -d /dev/nb0
	within 10 watermark_is_back ||
		fail "the min watermarks were $before_pages pages, and are $after_pages without a socket"
}
