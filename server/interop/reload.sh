#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGHUP: all of a right configuration comes into force and nothing of a wrong one; clients
# keep what they have, and two machines never share what one may use (reload.py).
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin
need_libnbd_python
export PYTHONDONTWRITEBYTECODE=1

config=$work/config
truncate -s 1M "$work/disk" "$work/disk2" "$work/swap"

# configure: writes [generic], and the sections on standard input.
configure() {
	{
		printf '[generic]\nport = 0\nlistenaddr = 127.0.0.1\nallowlist = true\n'
		cat
	} >"$config"
}

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

configure <<END
[one]
exportname = $work/disk
[old]
exportname = $work/disk
END
server_start -C "$config"
expect "one" 1048576 "$(size_of one)"
expect "two before the reload" none "$(size_of two)"
reload "reloaded: 0 exports added, 0 changed, 0 removed"

configure <<END
[one]
exportname = $work/disk
filesize = 64k
[two]
exportname = $work/disk
filesize = 512k
END
reload "reloaded: 1 exports added, 1 changed, 1 removed"
expect "one after the reload" 65536 "$(size_of one)"
expect "two after the reload" 524288 "$(size_of two)"
expect "old after the reload" none "$(size_of old)"

# A file of the same name that is another one.
truncate -s 2M "$work/disk.new"
configure <<<"[one]
exportname = $work/disk"
reload "reloaded: 0 exports added, 1 changed, 1 removed"
expect "one" 1048576 "$(size_of one)"
mv "$work/disk.new" "$work/disk"
expect "one before the reload" 1048576 "$(size_of one)"
reload "reloaded: 0 exports added, 1 changed, 0 removed"
expect "one of the new file" 2097152 "$(size_of one)"

# An image of the same size under the same name has another generation, and only then.
generation_of() {
	nbdinfo --json "$uri/$1" | sed -nE 's/.*"description": "(a text; )?generation ([^"]+)".*/\2/p'
}
random_file "$work/shared" 1
configure <<<"[one]
exportname = $work/disk
[shared]
exportname = $work/shared
description = a text
readonly = true"
reload "reloaded: 1 exports added, 0 changed, 0 removed"
first=$(generation_of shared)
[ -n "$first" ] || fail 'a read-only export does not tell its generation'
reload "reloaded: 0 exports added, 0 changed, 0 removed"
expect 'generation after a reload' "$first" "$(generation_of shared)"
expect 'generation of a writable export' '' "$(generation_of one)"
random_file "$work/shared.new" 1
mv "$work/shared.new" "$work/shared"
reload "reloaded: 0 exports added, 1 changed, 0 removed"
[ "$(generation_of shared)" != "$first" ] || fail 'another image has the same generation'
[ -n "$(generation_of shared)" ] || fail 'another image tells no generation'

configure <<<"[one]
exportname = $work/disk
[shared]
exportname = $work/shared
generation = debian12.7
readonly = true"
reload "reloaded: 0 exports added, 1 changed, 0 removed"
expect 'generation of the configuration' debian12.7 "$(generation_of shared)"

# Where nothing was written at the start nothing is later, and an image to read may lie anywhere.
mkdir "$work/elsewhere"
truncate -s 1M "$work/elsewhere/disk"
configure <<<"[one]
exportname = $work/disk
[elsewhere]
exportname = $work/elsewhere/disk
readonly = true"
reload "reloaded: 1 exports added, 0 changed, 1 removed"
expect 'an image elsewhere' 1048576 "$(size_of elsewhere)"
mkdir "$work.other"
truncate -s 1M "$work.other/disk"
configure <<<"[one]
exportname = $work/disk
[elsewhere]
exportname = $work.other/disk"
if "$python" -c 'import ctypes; exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 2)'; then # Landlock
	reload "not reloaded"
	grep -q 'section \[elsewhere\] writes where nothing was written at the start' "$work/server.log" ||
		fail 'why is a directory that is new refused?'
fi
rm -r "$work.other"

# wrong LINE TEXT: the configuration is refused with that line, by --check too.
wrong() {
	reload "not reloaded"
	grep -qF "$config:$1: $2" "$work/server.log" || fail "no line $config:$1: $2"
	! timeout "$deadline_s" "$nbd_server" --check "$config" >"$work/check" 2>&1 ||
		fail "--check takes $2"
	expect "lines of --check: $(cat "$work/check")" 1 "$(wc -l <"$work/check")"
	grep -qF "$config:$1: $2" "$work/check" || fail "--check: $(cat "$work/check")"
	expect "one after a wrong configuration" 2097152 "$(size_of one)"
	expect "three of a wrong configuration" none "$(size_of three)"
}

configure <<<"[three]
exportname = $work/disk
[four]
exportname = $work/nothing"
wrong 7 "exportname = $work/nothing cannot open"
configure <<<"[three]
exportname = $work/disk
colour = red"
wrong 7 "unknown key colour"
configure <<<"[three]
exportname = $work/disk
port = 1"
wrong 7 "port is not implemented"
server_stop

configure <<<"[one]
exportname = $work/disk"
expect '--check' "$config: right: 1 exports" "$("$nbd_server" --check "$config")"
sed -i 's/^port = 0/port = 1/' "$config"
server_start -C "$config" --port 0
sed -i 's/^port = 1/port = 2/' "$config"
reload "listenaddr, port, unixsock, duallisten and statussock change at a restart"
server_stop

# Running clients.
mkdir "$work/layers" "$work/swaps"
cp "$work/disk" "$work/image"
cat >"$work/before" <<END
[open]
exportname = $work/disk
exclusive = false
[swap/*]
exportname = $work/swap
exclusive = true
[pc/*]
exportname = $work/swaps
per_client = swap
size = 1M
[root/*]
exportname = $work/image
per_client = cow
cowdir = $work/layers
END
cat >"$work/after" <<END
[open]
exportname = $work/disk2
exclusive = false
[swap/*]
exportname = $work/swap
description = another
exclusive = true
[pc/*]
exportname = $work/swaps
per_client = swap
size = 2M
[root/*]
exportname = $work/image
per_client = cow
cowdir = $work/layers
END
configure <"$work/before"
server_start -C "$config"
export uri work server_pid config
timeout 100 "$python" "$(dirname "$0")/reload.py"
server_stop
