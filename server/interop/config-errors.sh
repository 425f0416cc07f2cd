#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mistake in the configuration gives one line that names file, line and key,
# and the server does not start. The same for mistakes on the command line.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"

config=$work/config
truncate -s 1M "$work/disk"

# refused NAME ARGUMENT...: the server must exit not 0, after exactly one line,
# left in $work/message.
refused() {
	local name=$1 status=0
	shift
	timeout "$deadline_s" "$nbd_server" -n "$@" </dev/null >"$work/output" 2>"$work/message" ||
		status=$?
	[ "$status" -ne 0 ] || fail "$name: accepted"
	[ "$status" -lt 124 ] || fail "$name: exit $status: $(cat "$work/message")"
	expect "$name: lines of standard output" 0 "$(wc -l <"$work/output")"
	expect "$name: lines ($(cat "$work/message"))" 1 "$(wc -l <"$work/message")"
	grep -q '^nbd-server: ' "$work/message" || fail "$name: who speaks? $(cat "$work/message")"
}

# wrong LINE KEY: the config on standard input has a mistake in LINE.
wrong() {
	cat >"$config"
	sed -i "s|DISK|$work/disk|" "$config"
	refused "line $1: $2" -C "$config"
	grep -F "$config:$1: " "$work/message" | grep -qF "$2" ||
		fail "$2: expected $config:$1 and the key in: $(cat "$work/message")"
}

generic="[generic]
listenaddr = 127.0.0.1
port = 0"

wrong 5 colour <<<"$generic
[disk]
colour = red
exportname = DISK"
wrong 4 colour <<<"$generic
colour = red"
wrong 6 readonly <<<"$generic
[disk]
exportname = DISK
readonly = yes"
wrong 3 port <<<'[generic]
listenaddr = 127.0.0.1
port = 70000'
wrong 2 port <<<'[generic]
port = nbd?'
wrong 4 exportname <<<"$generic
[disk]
readonly = true"
wrong 5 exportname <<<"$generic
[disk]
exportname ="
wrong 6 filesize <<<"$generic
[disk]
exportname = DISK
filesize = 12Q"
wrong 6 filesize <<<"$generic
[disk]
exportname = DISK
filesize = 99999999999999999999"
wrong 6 maxconnections <<<"$generic
[disk]
exportname = DISK
maxconnections = many"
wrong 6 disk <<<"$generic
[disk]
exportname = DISK
[disk]
exportname = DISK"
wrong 1 exportname <<<'exportname = DISK'
wrong 5 'KEY = VALUE' <<<"$generic
[disk]
exportname DISK"
wrong 4 '[SECTION]' <<<"$generic
[disk
exportname = DISK"

# What would share or destroy data when it was ignored.
for key in copyonwrite temporary multifile treefiles force_tls; do
	wrong 6 "$key" <<<"$generic
[disk]
exportname = DISK
$key = true"
done
wrong 6 authfile <<<"$generic
[disk]
exportname = DISK
authfile = /etc/nbd-server/allow"
wrong 6 /dev/zero <<<"$generic
[disk]
exportname = DISK
authfile = /dev/zero"
wrong 4 certfile <<<"$generic
certfile = /etc/ssl/server.pem"

# Two mistakes are two lines.
printf '%s\n[disk]\nexportname = %s\ncolour = red\nreadonly = maybe\n' "$generic" "$work/disk" >"$config"
! "$nbd_server" -n -C "$config" 2>"$work/message" || fail 'two mistakes: accepted'
expect 'two mistakes' 2 "$(wc -l <"$work/message")"

# Mistakes that only the system sees name the file.
refused 'no config' -C "$work/missing.conf"
grep -qF "$work/missing.conf" "$work/message" || fail "$(cat "$work/message")"
printf '%s\n[disk]\nexportname = %s/missing\n' "$generic" "$work" >"$config"
refused 'no file to export' -C "$config"
grep -qF "$work/missing" "$work/message" || fail "$(cat "$work/message")"
printf '%s\nincludedir = %s/missing.d\n' "$generic" "$work" >"$config"
refused 'no includedir' -C "$config"
grep -qF "$work/missing.d" "$work/message" || fail "$(cat "$work/message")"

# An included file is named, not the one that includes it.
mkdir "$work/conf.d"
printf '%s\nincludedir = %s/conf.d\n' "$generic" "$work" >"$config"
printf '[disk]\nexportname = %s\nreadonly = 2\n' "$work/disk" >"$work/conf.d/one.conf"
refused 'mistake in an included file' -C "$config"
grep -qF "$work/conf.d/one.conf:3: " "$work/message" || fail "$(cat "$work/message")"
printf '[disk]\nexportname = %s\nreadonly = true\n' "$work/disk" >"$work/conf.d/one.conf"
server_start -C "$config"
server_stop

# The command line.
refused 'unknown option' --colour
grep -qF colour "$work/message" || fail "$(cat "$work/message")"
refused '--io' --io threads 127.0.0.1:0 "$work/disk"
grep -qF 'io_uring or epoll' "$work/message" || fail "$(cat "$work/message")"
for count in 0 17 x; do
	refused '--workers' --workers "$count" 127.0.0.1:0 "$work/disk"
	grep -qF 'from 1 to 16' "$work/message" || fail "$(cat "$work/message")"
done
refused 'port' 127.0.0.1:99999 "$work/disk"
grep -qF 99999 "$work/message" || fail "$(cat "$work/message")"
refused 'size' 127.0.0.1:0 "$work/disk" 12Q
grep -qF 12Q "$work/message" || fail "$(cat "$work/message")"
refused 'missing file' 127.0.0.1:0 "$work/missing"
grep -qF "$work/missing" "$work/message" || fail "$(cat "$work/message")"
refused 'no file' 127.0.0.1:0

# An empty config, and /dev/null as one, mean that there is none.
: >"$config"
for empty in "$config" /dev/null; do
	server_start 127.0.0.1:0 "$work/disk" -C "$empty"
	server_stop
done
