# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a reply that stops in the middle ends the connection after the timeout of the device"
ROOT=ram SWAP=0 TIMEOUT=30
KERNELS="6.12 6.1 l1"

guest() {
	faults_attach 2 3600
	dd if=/dev/urandom of=/tmp/data bs=4k count=1
	dd if=/tmp/data of=/dev/nbd0 bs=4k oflag=direct
	faults half
	dd if=/dev/nbd0 of=/tmp/found bs=4k count=1 iflag=direct &
	reader=$!
	timeout 20 sh -c 'until dmesg | grep "Receive data failed"; do usleep 100000; done' ||
		fail "after 20 s the driver still waits for the rest"
	faults_reconnect
	wait "$reader"
	cmp /tmp/data /tmp/found
}
