# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="after a minute without link, I/O moves within 10 s, however far the timer had backed off"
ROOT=ram SWAP=64M TIMEOUT=90
KERNELS="6.12 6.1"

host() {
	wait_event attached
	link_set off
	tell cut
	wait_event waited
	link_set on
	tell mended
}

# Seconds until the timer of the device's connection fires, as /proc/net/tcp tells it.
timer_s() {
	local line
	line=$(connection)
	# shellcheck disable=SC2086 # its fields
	set -- $line
	echo $((0x${6#*:} / 100))
}

timer_is_far_off() {
	[ "$(timer_s)" -ge 20 ]
}

write_data() {
	dd if=/tmp/data of=/dev/nb0 bs=64k seek=1 oflag=direct
	: >/run/written
}

guest() {
	network
	nbd-client -N swap -swap -reserve keep 10.0.2.2 "$port" /dev/nb0
	dd if=/dev/urandom of=/tmp/data bs=64k count=1
	dd if=/tmp/data of=/dev/nb0 bs=64k oflag=direct
	# Else the kernel's own "host unreachable" takes back the backoff, as it would not if the
	# fault were behind a router.
	arp -s 10.0.2.2 "$(arp -n 10.0.2.2 | grep -oE '(..:){5}..')"
	say attached
	wait_event cut
	write_data &
	# The backoff doubles for as long as it may; one that waits 20 s more will do.
	within 55 timer_is_far_off || echo "the timer has $(timer_s) s to wait"
	left_s=$(timer_s)
	say waited
	wait_event mended
	within 11 [ -e /run/written ] ||
		fail "no I/O 10 s after the link returned: the timer had $left_s s to wait then"
	dd if=/dev/nb0 bs=64k skip=1 count=1 iflag=direct | cmp - /tmp/data
}
