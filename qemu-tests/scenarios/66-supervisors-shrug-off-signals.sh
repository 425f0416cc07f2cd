# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="supervisors stay through storms of signals, wake from SIGSTOP to a lost link, end with a device"
SWAP=64M

host() {
	wait_event stopped
	server_stop KILL
	server_start
	tell restarted
	expect_console '/dev/nb0: connected again \(1\) to 10.0.2.2:'
	tell connected
}

guest() {
	expect_supervisors 2
	processes=$(pidof @nbd-client)
	for signal in HUP INT QUIT USR1 USR2 PIPE ALRM TERM VTALRM TERM TERM; do
		# shellcheck disable=SC2086 # one word for each
		kill -s "$signal" $processes
	done
	# shellcheck disable=SC2086
	kill -s STOP $processes
	say stopped
	wait_event restarted
	# shellcheck disable=SC2086
	kill -s TERM $processes
	# shellcheck disable=SC2086
	kill -s CONT $processes
	wait_event connected
	[ "$(pidof @nbd-client)" = "$processes" ]
	expect_supervisors 2
	nbd-client -status | grep '^/dev/nb0: connected for .* export "root", reconnects 1, process'
	nbd-client -status -json | grep '"/dev/nb1", .*"state": "connected"'
	swapoff /dev/nb1
	nbd-client -d /dev/nb1
	while [ "$(pidof @nbd-client)" = "$processes" ]; do :; done
	expect_supervisors 1
}

after() {
	expect_clean_root
}
