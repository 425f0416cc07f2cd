# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a request that was sent in part is finished, or its connection dropped; nothing sleeps for it"
ROOT=ram SWAP=0 TIMEOUT=60
KERNELS="6.12 6.1 l1"

# Requests are larger than the send buffer, and the server takes the header of the first.
write_to_the_deaf() { # COUNT
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1 # the first open looks for partitions
	faults deaf
	writers=
	for i in $(seq "$1"); do
		dd if="/tmp/data$i" of=/dev/nbd0 bs=128k seek="$i" oflag=direct &
		writers="$writers $!"
	done
	until read -r _ writes </sys/block/nbd0/inflight && [ "$writes" -ge 1 ]; do usleep 10000; done
}

expect_written() { # COUNT
	# shellcheck disable=SC2086 # one word for each
	wait $writers || fail "a write failed"
	for i in $(seq "$1"); do
		dd if=/dev/nbd0 of=/tmp/found bs=128k skip="$i" count=1 iflag=direct
		cmp /tmp/found "/tmp/data$i"
	done
}

guest() {
	for i in 1 2 3 4; do dd if=/dev/urandom of="/tmp/data$i" bs=128k count=1; done

	# Signals of who submits, as a terminal or a debugger sends them.
	faults_attach 0 3600 32768
	write_to_the_deaf 4
	for i in $(seq 40); do
		# shellcheck disable=SC2086 # one word for each
		kill -STOP $writers
		! sleeper=$(grep -l sk_stream_wait_memory /proc/[0-9]*/stack 2>/dev/null) ||
			fail "$(cat "${sleeper%stack}comm") waits for the server in ->queue_rq"
		# shellcheck disable=SC2086 # one word for each
		kill -CONT $writers
		usleep 10000
	done
	faults none
	expect_written 4
	[ "$(faults status)" = live ] || fail "the connection was lost"
	! dmesg | grep -E 'nbd0: .*(Receive|Unexpected|Double|Suspicious)' || fail "the stream was torn"

	# A server that never takes the rest.
	faults detach
	faults attach 2 3600 32768
	write_to_the_deaf 1
	until dmesg | grep 'Connection timed out, retrying'; do usleep 50000; done
	faults_reconnect
	expect_written 1
}
