#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest side of a scenario: the verbs that guest() may use, then guest() itself. init.c runs
# this with `prepare` in the test root, and with `run NAME` or `shell NAME`. A command that fails
# fails the scenario; what ran is on the console, line by line.
# shellcheck disable=SC1090
PATH=/qemu-tests:/usr/sbin:/usr/bin:/sbin:/bin

# shellcheck disable=SC2034 # scenarios use it
# Where the server of the scenario listens on 10.0.2.2.
port=$(sed -nE 's/.*\<scenario_port=([0-9]+).*/\1/p' /proc/cmdline)

# Ends the scenario as failed, with the reason in the verdict.
fail() { # WHY
	echo "$*" >/run/guest-failure
	exit 1
}

# When the scenario is over the machine ends by this shell command, not by power off.
end_by() { # COMMAND...
	echo "$*" >/run/end
}

# Tells the host half; its wait_event WORD sees it.
say() { # WORD
	echo "$*" >&9
}

# /dev/nbd0 by the program `faults` in this machine, without our client: from its own server, or
# with attach-server ADDRESS PORT EXPORT from another, which the driver then connects again itself.
faults_attach() { # TIMEOUT_S DEAD_TIMEOUT_S [SEND_BUFFER_BYTES] | attach-server ...
	driver nbd
	ip link set lo up
	faults serve &
	# shellcheck disable=SC2034 # scenarios kill it
	faults=$!
	until [ -S /run/faults ]; do usleep 10000; done
	case $1 in
	attach-server) faults "$@" ;;
	*) faults attach "$@" ;;
	esac
}

# Gives the device a new connection as soon as the driver has found out that it needs one.
faults_reconnect() {
	until faults replace; do usleep 10000; done
}

# Waits until the driver has so many requests that have not come to an end.
faults_in_flight() { # READS WRITES
	until read -r reads writes </sys/block/nbd0/inflight && [ "$reads $writes" = "$1 $2" ]; do
		usleep 10000
	done
}

# Waits for the host half to tell WORD. The runner ends a wait that lasts too long.
wait_event() { # WORD
	while read -r event <&9; do
		[ "$event" != "$1" ] || return 0
	done
	fail "$1: the host ended the event port"
}

# What the host half tells next.
next_event() { # VARIABLE
	read -r "${1?}" <&9
}

# Loads drivers where the kernel has them as modules.
driver() { # NAME...
	[ ! -d "/lib/modules/$(uname -r)" ] || modprobe -a "$@"
}

# Drivers and DHCP for a machine whose root is not on the network.
network() {
	driver virtio_pci virtio_net nbd
	ip link set lo up
	ip link set eth0 up
	udhcpc -i eth0 -t 20 -q -n -f -s /qemu-tests/udhcpc.sh
}

expect_root() { # DEVICE-IN-SYSFS
	root=$(sed -nE 's/^[0-9]+ [0-9]+ ([0-9:]+) [^ ]+ \/ .*/\1/p' /proc/self/mountinfo | tail -n 1)
	[ "$root" = "$(cat "/sys/block/$1/dev")" ] || fail "root is device $root, not $1"
}

expect_swap() { # DEVICE
	grep -q "^$1 " /proc/swaps || fail "$1 is not in /proc/swaps"
}

vmstat_bytes() { # COUNTER-OF-PAGES
	echo $(($(sed -n "s/^$1 //p" /proc/vmstat) * 4096))
}

# At least so much went out to swap, and came back, since boot.
expect_swapped() { # MIB
	[ "$(vmstat_bytes pswpout)" -ge $(($1 << 20)) ] ||
		fail "only $(vmstat_bytes pswpout) bytes went to swap, expected $1 MiB"
	[ "$(vmstat_bytes pswpin)" -ge $(($1 << 20)) ] ||
		fail "only $(vmstat_bytes pswpin) bytes came back from swap, expected $1 MiB"
}

# Fills so much memory and checks it, again and again, until the host half tells WORD.
hog_until() { # WORD SIZE
	rm -f /run/told
	{ wait_event "$1" && touch /run/told; } &
	until [ -e /run/told ]; do
		hog "$2" 5
	done
}

# From now on tasks may wait so long for a server before the kernel calls it a hang. So may the works
# of a pool that needs another worker: the task that makes workers waits for memory like any other.
outage_may_last() { # SECONDS
	echo "$1" >/proc/sys/kernel/hung_task_timeout_secs
	workqueues=/sys/module/workqueue/parameters/watchdog_thresh
	[ ! -e "$workqueues" ] || echo "$1" >"$workqueues"
}

# The processes that keep the devices are so many, locked, and hold nothing but sockets and the log.
expect_supervisors() { # COUNT
	found=0
	for pid in $(pidof @nbd-client); do
		found=$((found + 1))
		grep -E '^(Name|VmLck|VmRSS|VmSwap):' "/proc/$pid/status"
		for fd in "/proc/$pid/fd"/*; do
			case $(readlink "$fd") in
			socket:* | /dev/kmsg) ;;
			*) fail "supervisor $pid holds $(readlink "$fd")" ;;
			esac
		done
		[ "$(cat "/proc/$pid/oom_score_adj")" = -1000 ] || fail "supervisor $pid: OOM killer"
		[ "$(sed -nE 's/^VmLck:[^0-9]*([0-9]+) kB/\1/p' "/proc/$pid/status")" -le 400 ] ||
			fail "supervisor $pid locks more than 400 KiB"
	done
	[ "$found" -eq "$1" ] || fail "$found supervisors, not $1"
}

# A command must fail; the reason it gives goes to the console.
expect_failure() { # COMMAND...
	! "$@" || fail "succeeded, and should not: $*"
}

# The test module for this kernel, loaded once.
memdrain=/sys/kernel/memdrain
load_memdrain() {
	[ ! -d "$memdrain" ] || return 0
	module=/qemu-tests/modules/$(uname -r)/memdrain.ko
	[ -e "$module" ] || fail "$module is not in the test root: see docs/testing.md"
	insmod "$module"
	exec 8>"$memdrain/release"
}

# Takes all memory until only so many pages are free, reserves included, and holds that until
# drain_end, but no longer than this time. Meanwhile a process that needs memory waits for it.
# With highatomic it first has the kernel set a HIGHATOMIC block aside, as the network may do.
drain() { # PAGES [SECONDS [highatomic]]
	load_memdrain
	echo "$1 ${2:-10} ${3-}" >"$memdrain/drain" || fail "drain $*: see the kernel's message"
}

# A drain takes free objects of the network's caches too, so that each allocation needs a page.
drain_objects() {
	load_memdrain
	echo 1 >"$memdrain/objects"
}

uptime_s() {
	cut -d. -f1 /proc/uptime
}

# Looks again and again whether COMMAND is true; false when it is not within so many seconds.
within() { # SECONDS COMMAND...
	within_end_s=$(($(uptime_s) + $1))
	shift
	until "$@"; do
		[ "$(uptime_s)" -lt "$within_end_s" ] || return
		sleep 0.1
	done
}

# The line of /proc/net/tcp that has the one connection to the server.
connection() {
	grep " 0202000A:$(printf %04X "$port") 01 " /proc/net/tcp
}

# Its timer is the one that probes a closed window: all buffers on the way are full.
connection_is_full() {
	connection | grep -qE ' 01 [0-9A-F:]+ 04:'
}

# A drain also leaves no worker free for what is queued to the kernel's common workqueues.
drain_workers() {
	load_memdrain
	echo 1 >"$memdrain/workers"
}

# Gives the memory back; needs none for that.
drain_end() {
	echo 1 >&8
}

# What failed for want of memory since load_memdrain, lines KIND PLACE COUNT, or the sum of those
# that match: dropped (a packet of a memalloc socket), failed, failed-ORDER (an allocation),
# reserve-ORDER (an allocation of more than one page that took reserve).
# shellcheck disable=SC2119,SC2120 # both forms are used by scenarios
drops() { # [KIND-REGEX [PLACE-REGEX]]
	if [ $# = 0 ]; then
		cat "$memdrain/places"
	else
		awk -v kind="^($1)\$" -v place="^(${2:-.*})\$" \
			'$1 ~ kind && $2 ~ place { sum += $3 } END { print sum + 0 }' "$memdrain/places"
	fi
}

# Loses so many of the packets that the machine sends, from now on; 0: none. The shell would take
# its own tc, which knows no netem.
loss() { # PERCENT
	driver sch_netem
	/sbin/tc qdisc replace dev eth0 root netem loss "$1%"
}

# A number of the drain that runs, or of the last one.
drain_saw() { # NAME
	sed -n "s/^$1 //p" "$memdrain/report"
}

# A debug kernel's objects have red zones, so that its slabs are of two and eight adjacent pages: what a
# connection may pin takes so many more. Below 64 the point is to come to the end.
drain_pages() { # PAGES
	case $(uname -r) in
	*-debug) echo "$(($1 < 64 ? $1 * 4 : $1 + 1536))" ;;
	*) echo "$1" ;;
	esac
}

# Swaps for so many seconds while only so many pages are free, over a client that leaves the
# reserves as the kernel made them. A process fills memory meanwhile. The drain begins when it has
# 24 MiB, so that what is given back at the end is enough to judge with, whatever hangs. Until then
# the shell asks for no memory, since it might wait for it for ever; nor must the command that may
# come before the wait. Another one may come before the process.
swap_drained() { # PAGES SECONDS [COMMAND [COMMAND-BEFORE]]
	network
	nbd-client -N swap -swap -reserve keep 10.0.2.2 "$port" /dev/nb0
	mkswap /dev/nb0
	swapon /dev/nb0
	load_memdrain
	pages=$(drain_pages "$1")
	"${4-:}"
	hog 400M 600 7<&- & # what a scenario holds open there, it alone holds
	hog=$!
	until [ "$(awk '/^VmRSS/ { print $2 }' /proc/$hog/status)" -ge 24576 ]; do usleep 20000; done
	drain "$pages" "$2"
	"${3-:}"
	# shellcheck disable=SC3045 # busybox has it
	! read -r -t $(($2 + 1)) event <&9 || fail "$event: nothing was to be told"
	kill -KILL "$hog"
	cat "$memdrain/report" "$memdrain/places"
}

# The debug kernel then says how many objects nobody knows. kmemleak compares with the scan before, so the
# first one finds nothing.
find_leaks() {
	case $(uname -r) in
	*-debug) ;;
	*) return 0 ;;
	esac
	grep -q ' /sys/kernel/debug ' /proc/mounts || mount -t debugfs debugfs /sys/kernel/debug
	if echo scan >/sys/kernel/debug/kmemleak && echo scan >/sys/kernel/debug/kmemleak; then
		cat /sys/kernel/debug/kmemleak
	else
		echo "kmemleak has ended: it had no memory"
	fi
}

case ${1-} in
prepare)
	set -eu
	hostname guest
	ln -sf /proc/mounts /etc/mtab
	driver virtio_pci virtio_console
	;;
run)
	set -eu
	exec 9<>/dev/virtio-ports/events
	. "/qemu-tests/scenarios/$2.sh"
	PS4='guest: '
	set -x
	guest </dev/null
	find_leaks
	;;
shell)
	export ENV=/qemu-tests/guest.sh SCENARIO="$2"
	exec 9<>/dev/virtio-ports/events
	exec sh -i
	;;
'')
	# The interactive shell reads its ENV.
	if [ "$SCENARIO" = shell ]; then
		echo "A shell in the machine under test: 'exit' or Ctrl-A X leaves."
	else
		. "/qemu-tests/scenarios/$SCENARIO.sh"
		echo "A shell in $SCENARIO: 'guest' runs its guest half, 'exit' or Ctrl-A X leaves."
	fi
	unset ENV
	;;
esac
