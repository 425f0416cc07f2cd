# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a hung task is a FAIL of the kernel although guest() passes"
ROOT=ram SWAP=16M
EXPECT='kernel: INFO: task dd:* blocked for more than 2 seconds.'

host() {
	wait_event attached
	server_pause
	tell paused
	expect_console 'task dd:[0-9]+ blocked for more than' 20
	server_resume
}

guest() {
	network
	echo 2 >/proc/sys/kernel/hung_task_timeout_secs
	nbd-client -N swap 10.0.2.2 "$port" /dev/nbd0
	dd if=/dev/nbd0 of=/dev/null bs=4k count=1
	say attached
	wait_event paused
	dd if=/dev/zero of=/dev/nbd0 bs=4k seek=100 count=1 conv=fsync
}
