# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="while there is no connection no task sleeps in nbd's dispatch, and the limit still ends it"
ROOT=ram SWAP=0 TIMEOUT=60
KERNELS="6.12 6.1 l1"
KERNEL_ALLOW='I/O error,? (on )?dev nbd0|task dd:|Call Trace'

sleeps_in_dispatch() {
	grep -lE 'wait_for_reconnect|nbd_queue_rq' /proc/[0-9]*/stack 2>/dev/null
}

# Leaves in $sleepers who sleeps once the driver has a request and no connection for it.
look() {
	until sleepers=$(sleeps_in_dispatch) || dmesg | grep 'requests wait for one'; do
		usleep 50000
	done
}

guest() {
	faults_attach 0 3600
	dd if=/dev/urandom of=/tmp/data bs=4k count=16
	dd if=/tmp/data of=/dev/nbd0 bs=4k oflag=direct
	faults close
	dd if=/dev/nbd0 of=/tmp/found bs=4k count=16 iflag=direct &
	reader=$!
	look
	for stack in $sleepers; do
		cat "$stack" "${stack%stack}comm"
	done
	[ -z "$sleepers" ] || fail "a task sleeps in nbd_queue_rq"

	# The kernel's own word: who reads waits, and nobody else. It looks in the order of their age.
	echo -1 >/proc/sys/kernel/hung_task_warnings
	echo 2 >/proc/sys/kernel/hung_task_timeout_secs
	until [ "$(dmesg | grep -c 'task dd:.* blocked for more than')" -ge 2 ]; do usleep 50000; done
	! dmesg | grep 'blocked for more than' | grep -v 'task dd:' || fail "the outage hangs another task"
	echo 0 >/proc/sys/kernel/hung_task_timeout_secs
	faults_reconnect
	wait "$reader"
	cmp /tmp/data /tmp/found

	faults detach
	faults attach 0 2
	faults close
	expect_failure dd if=/dev/nbd0 of=/dev/null bs=4k count=1 iflag=direct
}
