# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the runner does to a machine that runs, from outside of it: QMP commands, writes to its
# memory, and the evidence of a hang. Enters: $dir, $scale and $console of lib/vm.sh.

# One QMP command; its error is the message.
qmp() ( # COMMAND [ARGUMENTS-AS-JSON]
	coproc socat - "UNIX-CONNECT:$dir/qmp.sock"
	printf '%s\n' '{"execute":"qmp_capabilities"}' \
		"{\"execute\":\"$1\",\"arguments\":${2:-{\}}}" >&"${COPROC[1]}"
	answers=0
	while IFS= read -r -t "$((10 * scale))" line <&"${COPROC[0]}"; do
		case $line in
		'{"return"'*) ((++answers < 2)) || return 0 ;;
		'{"error"'*) break ;;
		esac
	done
	echo "qmp: $1: ${line:-no answer}" >&2
	return 1
)

# One packet of the GDB remote protocol to the coprocess GDB; false when it is not answered OK.
gdb_packet() { # DATA
	local i character sum=0 answer=''
	for ((i = 0; i < ${#1}; i++)); do
		printf -v character %d "'${1:i:1}"
		((sum += character))
	done
	printf '$%s#%02x' "$1" "$((sum % 256))" >&"${GDB[1]}"
	until [[ $answer = *'$'@(OK|E??) ]]; do
		IFS= read -r -t "$((10 * scale))" -d '#' answer <&"${GDB[0]}" || return
	done
	[[ $answer = *OK ]]
}

# Writes to kernel memory of the machine, whatever its protection.
memory_write() { # ADDRESS-IN-HEX BYTES-IN-HEX
	local socket=$dir/gdb.sock
	qmp human-monitor-command \
		"{\"command-line\":\"gdbserver unix:$socket,server=on,wait=off\"}" || return
	coproc GDB { socat - "UNIX-CONNECT:$socket"; }
	gdb_packet "M$1,$(printf %x "$((${#2} / 2))"):$2" && gdb_packet D
}

# What a machine that hangs is doing: blocked tasks, memory, CPUs, all tasks; then an NMI, which
# ends it (unknown_nmi_panic) and shows a CPU that does not take interrupts any more.
vm_dump_tasks() {
	local key
	[ "${CORE:-0}" = 0 ] ||
		qmp dump-guest-memory "{\"paging\":false,\"protocol\":\"file:$dir/core\"}"
	for key in w m l t; do
		qmp chardev-send-break '{"id":"console"}' || return
		printf %s "$key" >&"$console"
		wait_quiet_console
	done
	qmp inject-nmi
	vm_wait "$((5 * scale))"
}

# The console is quiet when nothing was added to it for two seconds.
wait_quiet_console() {
	local size=-1 tries
	for ((tries = 0; tries < 15; tries++)); do
		[ "$size" != "$(stat -c %s "$dir/console.log")" ] || return 0
		size=$(stat -c %s "$dir/console.log")
		vm_wait 2 && return 0
	done
}
