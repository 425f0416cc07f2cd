# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="requests of a lost connection are sent again when the next one stands, not after 30 s, nor after others"
ROOT=ram SWAP=0 TIMEOUT=60
KERNELS="6.12 6.1 l1"

uptime_ms() {
	read -r uptime _ </proc/uptime
	echo "${uptime%.*}${uptime#*.}0"
}

guest() {
	faults_attach 0 3600
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1 # the first open looks for partitions
	faults hold
	# Apart, so that they are not merged.
	for i in 1 2 3 4; do
		dd if=/dev/nbd0 of=/dev/null bs=4k count=1 skip="$((i * 16))" iflag=direct &
		readers="${readers-} $!"
	done
	faults_in_flight 4 0
	faults close
	faults_reconnect
	from_ms=$(uptime_ms)
	# shellcheck disable=SC2086 # one word for each
	wait $readers
	waited_ms=$(($(uptime_ms) - from_ms))
	echo "reads waited $waited_ms ms for the new connection"
	[ "$waited_ms" -lt 5000 ] || fail "reads waited $waited_ms ms"

	# While the other connection waits for the rest of a reply.
	faults detach
	faults attach 0 3600 0 2
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1
	faults half 0
	taskset 1 dd if=/dev/nbd0 of=/dev/null bs=4k count=1 iflag=direct &
	half=$!
	until grep -l nbd_handle_reply /proc/[0-9]*/stack 2>/dev/null; do usleep 10000; done
	faults hold 1
	taskset 2 dd if=/dev/nbd0 of=/dev/null bs=4k count=1 skip=16 iflag=direct &
	other=$!
	faults_in_flight 2 0
	faults close 1
	faults_reconnect
	wait "$other"
	faults close 0
	faults_reconnect
	wait "$half"
}
