# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="requests of a lost connection are sent again when the next one stands, not after 30 s"
ROOT=ram SWAP=0 TIMEOUT=60
KERNELS="6.12 6.1"

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
}
