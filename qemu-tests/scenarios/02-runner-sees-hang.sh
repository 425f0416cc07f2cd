# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a machine that hangs is a FAIL with a dump of its tasks and memory"
ROOT=ram SWAP=16M
EXPECT='hang: no verdict in *'

host() {
	wait_event attached
	server_pause
	tell paused
	wait_event hanging
	deadline_in 3
}

guest() {
	network
	nbd-client -N swap 10.0.2.2 "$port" /dev/nbd0
	say attached
	wait_event paused
	say hanging
	dd if=/dev/nbd0 of=/dev/null bs=4k skip=100 count=1
}

after() {
	for evidence in 'Show Blocked State' 'task:dd .* state:D' 'Mem-Info:' \
		'NMI backtrace for cpu' 'Show State' 'Kernel panic - not syncing: NMI'; do
		grep -q "$evidence" "$dir/console.log" || { echo "no \"$evidence\"" && return 1; }
	done
}
