#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGHUP adds the new exports of a right configuration and nothing of a wrong
# one; clients and old exports stay.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin

config=$work/config
truncate -s 1M "$work/disk"

# reload TEXT: sends SIGHUP and waits for the line that ends with TEXT.
reload() {
	local lines
	lines=$(wc -l <"$work/server.log")
	kill -HUP "$server_pid"
	grep -q -m 1 -- "$1\$" < <(timeout "$deadline_s" tail -n +$((lines + 1)) -f "$work/server.log") ||
		fail "no \"$1\" after SIGHUP"
}

size_of() {
	nbdinfo --size "$uri/$1" 2>/dev/null || echo none
}

cat >"$config" <<END
[generic]
port = 0
listenaddr = 127.0.0.1
[one]
exportname = $work/disk
[old]
exportname = $work/disk
END
server_start -C "$config"
expect "one" 1048576 "$(size_of one)"
expect "two before the reload" none "$(size_of two)"

cat >"$config" <<END
[generic]
port = 0
listenaddr = 127.0.0.1
[one]
exportname = $work/disk
filesize = 64k
[two]
exportname = $work/disk
filesize = 512k
END
reload "reloaded, 1 exports added"
grep -q "config:4: section \[one\] changed: needs a restart" "$work/server.log" ||
	fail "a changed section is not mentioned"
grep -q "section \[old\] is gone: served until a restart" "$work/server.log" ||
	fail "a section that is gone is not mentioned"
expect "one after the reload" 1048576 "$(size_of one)"
expect "two after the reload" 524288 "$(size_of two)"
expect "old after the reload" 1048576 "$(size_of old)"

printf '[three]\nexportname = %s/disk\n[four]\nexportname = %s/nothing\n' "$work" "$work" \
	>>"$config"
reload "not reloaded"
expect "three of a wrong configuration" none "$(size_of three)"
expect "one after a wrong configuration" 1048576 "$(size_of one)"
server_stop
