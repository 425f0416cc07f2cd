# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The host side of a scenario: the verbs that host() and after() may use, besides server_start and
# server_stop. Every wait has a deadline, by default the end of the scenario's TIMEOUT; a verb that
# cannot do its work ends the scenario with the reason. Times are seconds on KVM; on TCG they are
# multiplied by $scale.

seconds_left() {
	local left=$((deadline_s - SECONDS))
	echo "$((left > 1 ? left : 1))"
}

# Ends the scenario as failed by the host half.
host_failed() { # WHY
	judge "host: $*"
}

# Waits for what the guest half says by `say WORD`.
wait_event() { # WORD
	wait_text "$dir/events.log" "^$1\$" "$(seconds_left)" || judge_wait "guest did not say $1"
}

# Tells the guest half; its wait_event WORD ends.
tell() { # WORD
	echo "$1" >&"$events_in"
}

# Waits for text on the console of the machine.
expect_console() { # EXTENDED-REGEX [SECONDS]
	local time_s
	time_s=$((${2:-0} * scale))
	wait_text "$dir/console.log" "$1" "$((time_s ? time_s : $(seconds_left)))" ||
		judge_wait "console does not show: $1"
}

# Waits for text on the console that comes after this call: what repeats, such as progress.
expect_new() { # EXTENDED-REGEX
	local seen
	seen=$(wc -l <"$dir/console.log")
	tail -n "+$((seen + 1))" -s 0.2 -f "$dir/console.log" >"$dir/console.new" &
	local tail_pid=$!
	wait_text "$dir/console.new" "$1" "$(seconds_left)" ||
		judge_wait "console does not show again: $1"
	kill "$tail_pid"
}

# The hog of guest() ends a pass from now on; or does, with at least 10 MB of it in swap.
expect_pass() {
	expect_new 'hog: pass [0-9]+ page'
}

expect_swapping() {
	expect_new 'hog: pass [0-9]+ page .* [0-9]{5,} KiB swapped'
}

# A wait that failed is a hang, unless the machine has ended: then what it says of itself counts
# first.
judge_wait() { # WHY
	local result
	if vm_is_running && [ ! -s "$dir/verdict" ]; then
		judge "hang: $*"
	fi
	vm_wait "$((5 * scale))" || judge "hang: $*"
	result=$(vm_result)
	[ "$result" != ok ] || result="host: $*"
	judge "$result"
}

# Types a line at the console.
console_send() { # TEXT
	printf '%s\r' "$1" >&"$console"
}

# Three fingers at its keyboard.
ctrl_alt_del() {
	qmp send-key '{"keys":[{"type":"qcode","data":"ctrl"},{"type":"qcode","data":"alt"},{"type":"qcode","data":"delete"}]}' >&2 ||
		host_failed "ctrl_alt_del"
}

# Pulls the network cable, or puts it back.
link_set() { # on|off
	local up=false
	[ "$1" = off ] || up=true
	qmp set_link "{\"name\":\"net0\",\"up\":$up}" >&2 || host_failed "link_set $1"
}

# A server that is there and does not answer, and its return.
server_pause() {
	kill -STOP "$server_pid"
}

server_resume() {
	kill -CONT "$server_pid"
}

# Lets time pass while the machine runs; for faults that have a length, not to wait for something.
let_pass() { # SECONDS
	! vm_wait "$1" || judge_wait "the machine ended while $1 s should pass"
}

last_console_line() { # BEGINNING
	grep -a "^$1: " "$dir/console.log" | tail -n 1
}

requests_done() {
	last_console_line watch | sed -nE 's/.* ([0-9]+) requests done.*/\1/p'
}

# Waits until the machine ends, or its hog is judged to have stopped or to be too slow.
# The hog says where it is every 3 s as long as it moves. When it has said nothing for a minute, the
# requests of swap that were done in that minute tell whether it is slow or has stopped. Looks are
# counted, not seconds, so that a host that was suspended is not taken for a machine that hangs.
watch_hog() {
	local look_s=2 quiet_s=60 requests_of_slow=60
	local looks=0 at='' now since=0 done_now
	until vm_wait "$look_s"; do
		((SECONDS < deadline_s)) || judge "hang: too slow: ${at:-no line of the hog}"
		now=$(last_console_line hog)
		if [ "$now" != "$at" ]; then
			at=$now looks=0 since=$(requests_done)
			continue
		fi
		((++looks * look_s >= quiet_s)) || continue
		done_now=$(requests_done)
		((${done_now:-0} - ${since:-0} >= requests_of_slow)) ||
			judge "hang: stopped for $quiet_s s: $((${done_now:-0} - ${since:-0}))" \
				"requests of swap done meanwhile; ${at:-no line of the hog}"
		looks=0 since=$done_now
	done
}

# From now on the machine has only so much time.
deadline_in() { # SECONDS
	deadline_s=$((SECONDS + $1 * scale))
}

# The root image after power off, checked without changing it. For after().
expect_clean_root() {
	e2fsck -fn "$dir/root.img" >"$dir/e2fsck.log" 2>&1 ||
		{ echo "root.img: not clean, see e2fsck.log" && return 1; }
	! grep -q 'recovering journal' "$dir/e2fsck.log" ||
		{ echo "root.img: was not unmounted" && return 1; }
}

# Boots another machine beside the first: NUMBER is its folder in $dir and counts its MAC address on. Its
# connections to 10.0.2.100 come to the server from 127.0.0.(1 + NUMBER). Leaves machine_pid[NUMBER].
# shellcheck disable=SC2034 # vm_command reads BOOTLINE
another_machine() { # NUMBER BOOTLINE [BOOT-WORD...]
	local dir=$dir/$1 BOOTLINE=$2 vm=() mac
	local forward="guestfwd=tcp:10.0.2.100:10809-cmd:socat - TCP:127.0.0.1:$port,,bind=127.0.0.$(($1 + 1))"
	printf -v mac :12:34:%02x $((0x56 + $1))
	mkdir "$dir"
	mkfifo "$dir/events.in" "$dir/events.out"
	touch "$dir"/{console.log,events.log,verdict}
	vm_command "$(vm_boot_line "${@:3}")" "file,id=console,path=$dir/console.log"
	vm=("${vm[@]/#user,id=net0/user,id=net0,$forward}")
	"${vm[@]/:12:34:56/$mac}" >"$dir/qemu.log" 2>&1 &
	machine_pid[$1]=$!
}

end_machine() { # NUMBER
	kill "${machine_pid[$1]}"
}

# Waits for text on the console of another machine, or for what its guest half says.
expect_console_of() { # NUMBER EXTENDED-REGEX
	wait_text "$dir/$1/console.log" "$2" "$(seconds_left)" ||
		host_failed "console of machine $1 does not show: $2"
}

wait_event_of() { # NUMBER WORD
	wait_text "$dir/$1/events.log" "^$2\$" "$(seconds_left)" || host_failed "machine $1 did not say $2"
}

result_of() { # NUMBER
	local dir=$dir/$1
	vm_result
}

# Waits until another machine has ended, and wants of it what the first has to show.
expect_ok_of() { # NUMBER
	local result
	timeout "$(seconds_left)" tail -s 0.2 --pid="${machine_pid[$1]}" -f /dev/null ||
		host_failed "machine $1 does not end"
	result=$(result_of "$1")
	[ "$result" = ok ] || host_failed "machine $1: $result"
}

# A server_config() for exports of each machine: a layer on root.img, and a swap of SWAP bytes.
machine_config() { # PORT SWAP
	local folder
	folder=$(realpath "$dir")
	mkdir -p "$dir/layers" "$dir/swaps"
	printf '[generic]\nlistenaddr = 127.0.0.1\nport = %s\n' "$1"
	printf '[root/*]\nexportname = %s/root.img\nper_client = cow\n' "$folder"
	printf 'cowdir = %s/layers\n' "$folder"
	printf '[swap/*]\nexportname = %s/swaps\nper_client = swap\nsize = %s\n' "$folder" "$2"
}

# What the machines have, in $dir/machines.
list_machines() {
	"$build/nbd-server" -C "$dir/server.conf" --machines >"$dir/machines"
}

# The machine has ended its connections itself, after it had flushed. For after().
expect_detached() { # EXPORT...
	local served
	for served; do
		grep -q "export \"$served\": disconnected" "$dir/server.log" ||
			{ echo "server: no NBD_CMD_DISC for $served" && return 1; }
	done
}
