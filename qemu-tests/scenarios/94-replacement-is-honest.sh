# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a new connection is taken, or refused with an error; one by one they replace each other"
ROOT=ram SWAP=0 TIMEOUT=60
KERNELS="6.12 6.1 l1"

expect_refusal() { # TEXT COMMAND...
	text=$1
	shift
	said=$("$@") && fail "$*: succeeded"
	[ "$said" = "$text" ] || fail "$*: $said, not $text"
}

read_all() {
	until [ -e /run/enough ]; do
		dd if=/dev/nbd0 bs=64k count=16 iflag=direct | cmp -n 1048576 - /tmp/data
	done
}

guest() {
	faults_attach 0 3600
	dd if=/dev/urandom of=/tmp/data bs=64k count=16
	dd if=/tmp/data of=/dev/nbd0 bs=64k oflag=direct
	[ "$(faults status)" = live ] || fail "the first connection is not live"

	expect_refusal 'No space left on device' faults replace
	faults replace 0 || fail "the connection cannot be replaced while it is live"
	expect_refusal 'Invalid argument' faults replace 1

	read_all &
	reader=$!
	for i in $(seq 50); do
		faults replace 0
		[ "$(faults status)" = live ] || fail "connection $i was ended by the one before it"
	done
	: >/run/enough
	wait "$reader"

	# With a request in flight that only another connection ends.
	faults hold
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1 iflag=direct &
	reader=$!
	faults_in_flight 1 0
	faults close
	expect_refusal 'Invalid argument' faults replace 0 33554432
	until [ "$(faults status)" = dead ]; do usleep 10000; done
	faults_reconnect
	wait "$reader"

	# More connections than the machine has processors, and the block layer hardware queues.
	faults detach
	faults attach 0 3600 0 20
	[ "$(faults status)" = live ] || fail "20 connections: no state"
}
