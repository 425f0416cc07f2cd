# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# The host writes an invalid instruction over a system call (sync), as a wild pointer could.
DESCRIPTION="a kernel that oopses ends the scenario at once as a FAIL of the kernel"
ROOT=ram SWAP=0
EXPECT='kernel: *invalid opcode: 0000 \[#1\]*'

host() {
	wait_event 'sync [0-9a-f]+'
	memory_write "$(sed -n 's/^sync //p' "$dir/events.log")" 0f0b ||
		host_failed "memory_write"
	tell written
}

guest() {
	say sync "$(sed -n 's/ [tT] __x64_sys_sync$//p' /proc/kallsyms)"
	wait_event written
	sync
}

after() {
	grep -q 'Kernel panic - not syncing: Fatal exception' "$dir/console.log" ||
		{ echo 'no panic after the oops' && return 1; }
}
