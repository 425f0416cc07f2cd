# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What every interop test sources: starts nbd-server on a free port of loopback,
# waits for its ready line, and at the end of the test asks it to stop and wants
# exit 0. NBD_SERVER names another program with the same command line.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

: "${B:=build}"
nbd_server=${NBD_SERVER:-$B/nbd-server}
python=/usr/bin/python3 # the one that Debian's python3-libnbd is for
deadline_s=20
export server_pid='' port='' uri=''

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

# need TOOL PACKAGE: skips the test when the program is not there.
need() {
	command -v "$1" >/dev/null || skip "$1: not installed (Debian package $2)"
}

need_libnbd_python() {
	"$python" -c 'import nbd' 2>/dev/null || skip "python3: no nbd module (Debian package python3-libnbd)"
}

# Each test runs twice: with io_uring where there is one and several workers, and with
# neither. NBD_WORKERS asks for the same number in both.
if [ -z "${NBD_IO:-}" ]; then
	for way in auto:3 epoll:1; do
		echo "--io ${way%:*} --workers ${NBD_WORKERS:-${way#*:}}"
		NBD_IO=${way%:*} NBD_WORKERS=${NBD_WORKERS:-${way#*:}} "$0" || exit
	done
	exit
fi

# server_start ARGUMENT...: sets server_pid, port and uri (of the default export).
server_start() {
	local line
	rm -f "$work/stderr"
	mkfifo "$work/stderr"
	exec 9<>"$work/stderr"
	"$nbd_server" -n --io "$NBD_IO" --workers "$NBD_WORKERS" "$@" </dev/null 2>"$work/stderr" 9<&- &
	server_pid=$!
	port=
	while [ -z "$port" ] && read -r -t "$deadline_s" -u 9 line; do
		echo "$line" >>"$work/server.log"
		case $line in "nbd-server: ready: listening on "*) port=${line##*:} ;; esac
	done
	cat <"$work/stderr" >>"$work/server.log" 9<&- &
	drain_pid=$!
	exec 9<&-
	[ -n "$port" ] || fail "$nbd_server $*: no ready line in $deadline_s s"
	uri=nbd://127.0.0.1:$port
}

# Fails unless the server ends with exit 0 after SIGTERM.
server_stop() {
	kill -TERM "$server_pid" || fail "server: died before it was asked to stop"
	server_ended
}

# Fails unless the server, which was sent SIGTERM, ends with exit 0.
server_ended() {
	local status=0 pid=$server_pid
	timeout "$deadline_s" tail --pid="$pid" -f /dev/null ||
		fail "server: still there $deadline_s s after SIGTERM"
	server_pid=
	wait "$pid" || status=$?
	wait "$drain_pid"
	[ "$status" -eq 0 ] || fail "server: exit $status after SIGTERM"
}

clean_up() {
	local status=$?
	if [ -n "$server_pid" ] && kill -KILL "$server_pid" 2>/dev/null; then
		wait "$server_pid" 2>/dev/null || [ $? -eq 137 ]
	fi
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ] && [ -s "$work/server.log" ]; then
		sed 's/^/server.log: /' "$work/server.log" >&2
	fi
	rm -rf "$work"
	exit "$status"
}

# expect NAME WANTED GOT
expect() {
	[ "$2" = "$3" ] || fail "$1: expected $2, got $3"
}

# A file of MIB random mebibytes: no two blocks are alike.
random_file() { # PATH MIB
	head -c "$(($2 << 20))" /dev/urandom >"$1"
}

work=$(mktemp -d)
trap clean_up EXIT
