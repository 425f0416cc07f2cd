# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a request that a server in shutdown refuses is done by the next one"
ROOT=ram SWAP=0 TIMEOUT=60
KERNELS="6.12 6.1 l1"
KERNEL_ALLOW='I/O error, dev nbd0' # the read says it

guest() {
	faults_attach 0 3600
	dd if=/dev/urandom of=/tmp/data bs=4k count=4
	dd if=/tmp/data of=/dev/nbd0 bs=4k oflag=direct
	faults shutdown
	dd if=/dev/nbd0 of=/tmp/found bs=4k count=4 iflag=direct &
	reader=$!
	until faults replace; do
		kill -0 "$reader" || fail "the read has ended without a connection"
		usleep 10000
	done
	wait "$reader" || fail "the read failed"
	cmp /tmp/data /tmp/found
}
