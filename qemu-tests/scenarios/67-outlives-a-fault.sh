# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# A cell of the fault matrix (qemu-tests/faults/matrix): a machine whose USES (root, swap, both) are at
# LEVEL (stock, l0, l1, l2) works without a pause, and FAULT happens to it, with the memory EXHAUSTED
# meanwhile or not. Then it has to find every page and every block as they were written. The host half
# is qemu-tests/faults/host.sh. By hand: make check-qemu T=67-outlives KERNEL=6.12
: "${USES:=both}" "${FAULT:=kill}" "${EXHAUSTED:=no}"
case ${LEVEL:-}${kernel:-} in
debian) LEVEL=l0 ;;
l1) LEVEL=l1 ;;
*) : "${LEVEL:=l2}" ;;
esac
DESCRIPTION="$USES on the network at $LEVEL outlives: $FAULT"
MEM=128M SWAP=512M TIMEOUT=120
KERNELS=''
[ "$USES" != root ] || SWAP=0
[ "$USES" != swap ] && [ "$LEVEL" != stock ] || ROOT=ram
[ "$EXHAUSTED" = no ] || KERNEL_ALLOW='page allocation failure|Call Trace:' # of what may not use the reserve
APPEND="nbdopts=tcp-timeout=10 uses=$USES level=$LEVEL fault=$FAULT exhausted=$EXHAUSTED"

# shellcheck source=/dev/null
[ -z "${build:-}" ] || . qemu-tests/faults/host.sh # in the runner, not in the machine

# Such a machine boots from memory and mounts the root.
if [ "$LEVEL" = stock ] && [ "$USES" != swap ]; then
	images() {
		cp --reflink=auto --sparse=always "$(dirname "$dir")/../roots/test.ext4" "$dir/root.img"
	}
	server_config() { # PORT
		printf '[generic]\nlistenaddr = 127.0.0.1\nport = %s\n' "$1"
		printf '[root]\nexportname = %s/root.img\n' "$(realpath "$dir")"
		[ "$SWAP" = 0 ] || printf '[swap]\nexportname = %s/swap.img\n' "$(realpath "$dir")"
	}
fi

host() {
	faults_host
}

boot_word() { # KEY
	sed -nE "s/.*\<$1=([^ ]+).*/\1/p" /proc/cmdline
}

# How long the fault lasts besides what it takes by itself.
fault_seconds() { # FAULT
	case $1 in
	link-5s) echo 5 ;;
	link-60s) echo 60 ;;
	link-10min) echo 600 ;;
	half-open | slow | loss-*) echo 20 ;;
	*) echo 0 ;;
	esac
}

attach() { # DEVICE OPTION...
	device=$1
	shift
	if [ "$level" = stock ]; then
		/usr/lib/debian/nbd-client 10.0.2.2 "$@" "$port" "$device" -persist -systemd-mark
	else
		nbd-client "$@" -tcp-timeout 10 10.0.2.2 "$port" "$device"
	fi
}

# What the boot itself does not attach. Leaves in $data the folder for files.
set_up() {
	data=/root
	if [ "$uses" = swap ] || [ "$level" = stock ]; then
		network
		[ "$uses" = root ] || attach /dev/nbd1 -N swap -swap
		[ "$uses" = root ] || swapon /dev/nbd1
	fi
	[ "$level" = stock ] && [ "$uses" != swap ] || return 0
	attach /dev/nbd0 -N root
	mount /dev/nbd0 /mnt
	data=/mnt/root
	mkdir -p "$data"
}

# Says every 3 s that the machine is there, also when it has no free page.
start_heartbeat() {
	case $uses in
	root) swap-watch nbd0 3 & ;;
	*) swap-watch nbd1 3 & ;;
	esac
}

bad() { # WHY
	echo "$*" >/run/bad
}

# Fills more than the memory and checks all of it, again and again; a line in /run/pages each time.
pages_load() {
	while [ ! -e /run/end ]; do
		hog 128M 1 && status=0 || status=$?
		case $status in
		0) echo >>/run/pages ;;
		1) bad "corrupt: a page was not what had been written" && return ;;
		*) bad "hog: exit $status" && return ;;
		esac
	done
}

# Writes one of two files, and checks both as the server has them; a line in /run/files each time.
files_load() {
	n=0
	while [ ! -e /run/end ]; do
		n=$((n + 1))
		head -c 2097152 /dev/urandom >/run/content
		cp /run/content "$data/file.$((n % 2))" || { bad "file $n: not written" && return; }
		sync
		(cd /run && sha256sum content | sed "s/content/file.$((n % 2))/") >/run/sum.$((n % 2))
		echo 3 >/proc/sys/vm/drop_caches
		cat /run/sum.* >/run/sums
		(cd "$data" && sha256sum -c /run/sums) || { bad "corrupt: file $n or the one before" && return; }
		echo "files: $n written and found"
		echo >>/run/files
	done
}

rounds() { # LOAD
	wc -l <"/run/$1"
}

is_at() { # LOAD ROUNDS
	[ "$(rounds "$1")" -ge "$2" ]
}

# So many more rounds of each load. With two, one began after what has happened, and the one that ran
# meanwhile is over: all that was written is checked.
check_loads() { # ROUNDS
	pages_goal=$(($(rounds pages) + $1))
	files_goal=$(($(rounds files) + $1))
	[ "$uses" != root ] || pages_goal=0
	[ "$uses" != swap ] || files_goal=0
	until is_at pages "$pages_goal" && is_at files "$files_goal"; do
		[ ! -e /run/bad ] || fail "$(cat /run/bad)"
		sleep 0.5
	done
}

# A stock client leaves no process once the driver has its connection.
kill_daemons() {
	daemons=$(pidof @nbd-client nbd-client) || fail "untested: no process keeps the device"
	for daemon in $daemons; do
		kill -KILL "$daemon"
	done
}

# The machine's own part of the fault.
begin_fault() {
	case $fault in
	loss-*) loss "${fault#loss-}" ;;
	daemon) kill_daemons ;;
	esac
}

end_fault() {
	case $fault in
	loss-*) loss 0 ;;
	esac
}

guest() {
	uses=$(boot_word uses) level=$(boot_word level)
	fault=$(boot_word fault) exhausted=$(boot_word exhausted)
	outage_may_last 1200
	set_up
	start_heartbeat
	[ "$exhausted" = no ] || load_memdrain
	: >/run/pages
	: >/run/files
	[ "$uses" = root ] || pages_load || bad "pages: exit $?" &
	pages=$!
	[ "$uses" = swap ] || files_load || bad "files: exit $?" &
	files=$!
	drain_s=$(($(fault_seconds "$fault") + 20))
	check_loads 1
	begin_fault
	say ready
	[ "$exhausted" = no ] || drain 64 "$drain_s"
	wait_event struck
	[ "$exhausted" = no ] || drain_end
	end_fault
	check_loads 2
	say checked
	touch /run/end
	wait "$pages" "$files"
	[ ! -e /run/bad ] || fail "$(cat /run/bad)"
	[ "$data" = /root ] || umount /mnt
}

after() {
	[ ! -e "$dir/root.img" ] || expect_clean_root
}
