# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The host half of a cell of the fault matrix (scenario 67-outlives-a-fault), and of the restarts: the
# machine reaches its server through qemu-tests/faults/proxy, which can break the wire and measures how
# long the first request takes after the server is back.

# The machine's port is the proxy's; a restarted server is met at the same one.
wire() {
	server_port=$port
	[ -n "${proxy_pid:-}" ] || proxy_start
	port=$proxy_port
}

proxy_start() {
	mkfifo "$dir/proxy.in"
	exec {proxy}<>"$dir/proxy.in"
	touch "$dir/proxy.out"
	setpriv --pdeathsig KILL qemu-tests/faults/proxy "$server_port" \
		<"$dir/proxy.in" >>"$dir/proxy.out" 2>"$dir/proxy.log" &
	proxy_pid=$!
	disown
	proxy_port=$(timeout "$((10 * scale))" \
		tail -s 0.1 --pid="$proxy_pid" -n +1 -f "$dir/proxy.out" | sed -nE '/^[0-9]+$/{p;q}')
	[ -n "$proxy_port" ] || host_failed "proxy: $(tail -n 1 "$dir/proxy.log")"
	echo "tail -f /dev/null | qemu-tests/faults/proxy $server_port $proxy_port &" >>"$dir/qemu.cmd"
}

# Breaks the next transfer of the kind, and returns when it is broken.
proxy_break() { # cut|reset
	echo "$1" >&"$proxy"
	! wait_text "$dir/proxy.out" '^hit$' "$(seconds_left)" || return 0
	! vm_is_running || host_failed "untested: nothing to $1"
	judge_wait "nothing to $1"
}

server_restart() { # SIGNAL
	server_stop "$1"
	server_start
}

# Its server is another machine, which is reset: nothing comes from it until it is back.
server_reset() {
	link_set off
	server_restart KILL
	link_set on
}

link_out() { # SECONDS
	link_set off
	let_pass "$1"
	link_set on
}

# Nothing comes through for so long, with the cable in: the machine gives its connection up after 10 s,
# of which its server never hears. Not done by the machine, which needs its swap to undo it. A stock
# client sets no such limit.
half_open() { # SECONDS
	local attached
	attached=$(connections_made)
	silence "$1"
	until [ "$(connections_made)" -gt "$attached" ]; do
		! vm_wait 1 || judge_wait "no connection after the silence"
		((SECONDS < deadline_s)) || host_failed "untested: the machine kept its connection"
	done
}

connections_made() {
	grep -c ': attached$' "$dir/server.log"
}

silence() { # SECONDS
	qmp chardev-add '{"id":"nowhere","backend":{"type":"null","data":{}}}' >&2 ||
		host_failed "silence: no null device"
	qmp object-add '{"qom-type":"filter-redirector","id":"silence","netdev":"net0","outdev":"nowhere"}' >&2 ||
		host_failed "silence: no filter"
	let_pass "$1"
	qmp object-del '{"id":"silence"}' >&2 || host_failed "the end of silence"
}

slow_wire() { # BYTES-PER-SECOND SECONDS
	echo "slow $1" >&"$proxy"
	let_pass "$2"
	echo pass >&"$proxy"
}

strike() { # FAULT
	case $1 in
	kill | daemon) server_restart KILL ;;
	stop) server_restart TERM ;;
	reset) server_reset ;;
	link-*) link_out "$(fault_seconds "$1")" ;;
	reset-in-write) proxy_break reset ;;
	cut-reply) proxy_break cut ;;
	slow) slow_wire 262144 "$(fault_seconds "$1")" ;;
	half-open) half_open "$(fault_seconds "$1")" ;;
	loss-*) let_pass "$(fault_seconds "$1")" ;;
	*) host_failed "$1: not a fault" ;;
	esac
}

# The loads of the machine say where they are as long as they move, and its heartbeat every 3 s that it
# runs. It hangs when it has run for 3 minutes in which no load moved: TCP itself may wait for 2
# after an outage. What has not come in time otherwise tells nothing: the host may have had none.
wait_while_loads_move() { # EVENT
	local beats since=0 at='' now
	until grep -qx "$1" "$dir/events.log"; do
		if vm_wait 2; then
			grep -qx "$1" "$dir/events.log" || judge_wait "no \"$1\""
			return
		fi
		kill -0 "$proxy_pid" 2>/dev/null || host_failed "proxy: $(tail -n 1 "$dir/proxy.log")"
		[ ! -s "$dir/verdict" ] || judge_verdict
		((SECONDS < deadline_s)) || host_failed "no \"$1\" in time; ${at:-no line of a load}"
		now=$(grep -aE '^(hog|files): ' "$dir/console.log" | tail -n 1)
		beats=$(grep -ac '^watch: ' "$dir/console.log")
		[ "$now" = "$at" ] || { at=$now since=$beats; }
		((beats - since < 60)) || judge "hang: stopped for 180 s; ${at:-no line of a load}"
	done
}

# A machine that has failed cannot always power off.
judge_verdict() {
	vm_wait "$((15 * scale))" || true
	judge "$(vm_result)"
}

# While only 64 pages are free, and for 10 s more, in which the connection has to come back.
strike_exhausted() { # FAULT
	wait_text "$dir/console.log" 'memdrain: holding' "$(seconds_left)" ||
		host_failed "the memory was not taken"
	strike "$1"
	! grep -q 'memdrain: time is over' "$dir/console.log" ||
		host_failed "untested: the fault came only when there was memory again"
	let_pass 10
}

faults_host() {
	deadline_in 200
	wait_while_loads_move ready
	deadline_in $(($(fault_seconds "$FAULT") / scale + 30))
	if [ "$EXHAUSTED" = yes ]; then
		strike_exhausted "$FAULT"
	else
		strike "$FAULT"
	fi
	tell struck
	deadline_in 225
	wait_while_loads_move checked
	deadline_in 60
}
