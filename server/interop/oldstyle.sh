#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Oldstyle on request: libnbd and qemu get the export of the port that they connect to, under
# the same rules as by its name; what the server does not have there is said at its start.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin
need qemu-io qemu-utils
need_libnbd_python

truncate -s 5M "$work/disk"
truncate -s 3M "$work/swap"
echo 192.0.2.1 >"$work/allow"
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	oldstyle = true
	[disk]
	exportname = $work/disk
	port = 0
	[swap]
	exportname = $work/swap
	exclusive = true
	port = 0
	[far]
	exportname = $work/disk
	readonly = true
	authfile = $work/allow
	port = 0
END

port_of() { # EXPORT
	local line="listening on 127.0.0.1:[0-9]*, oldstyle, for export \"$1\""
	grep -q -m 1 "$line" < <(timeout "$deadline_s" tail -n +1 -f "$work/server.log") || fail "$1: no ready line"
	sed -n "s/.*listening on 127.0.0.1:\([0-9]*\), oldstyle, for export \"$1\"$/\1/p" "$work/server.log" | tail -n 1
}

server_start -C "$work/config"
disk=nbd://127.0.0.1:$(port_of disk) swap=nbd://127.0.0.1:$(port_of swap) far=nbd://127.0.0.1:$(port_of far)

expect 'size and protocol' '5242880 oldstyle' \
	"$(nbdinfo --json "$disk" | jq -r '"\(.exports[0]["export-size"]) \(.protocol)"')"
expect 'newstyle beside it' 5242880 "$(nbdinfo --size "$uri/disk")"
qemu-io -f raw -c 'write -P 0x61 0 1M' -c 'read -P 0x61 512k 512k' -c flush "$disk" >"$work/qemu" ||
	fail "$(cat "$work/qemu")"
qemu-io -f raw -c 'read -P 0x61 0 1M' "$uri/disk" >"$work/qemu" || fail "$(cat "$work/qemu")"
! timeout "$deadline_s" nbdinfo --size "$far" 2>"$work/refused" || fail 'the authfile is not asked'
grep -q ': export "far": export not found' "$work/server.log" || fail 'no line about the authfile'

# The rules of an exclusive export: the new connection takes over, for writing too.
swap=$swap uri=$uri "$python" - <<-'END'
	import os, nbd

	old = nbd.NBD()
	old.connect_uri(os.environ["swap"])
	old.pwrite(b"o" * 4096, 0)
	new = nbd.NBD()
	new.connect_uri(os.environ["uri"] + "/swap")
	assert new.pread(4096, 0) == b"o" * 4096
	try:
	    old.pwrite(b"x" * 4096, 0)
	    raise SystemExit("the fenced connection still writes")
	except nbd.Error:
	    pass
	new.shutdown()
END

# An export that is gone is not served on its port any more, and what needs a restart is said.
sed -i '/^\[disk\]/,/^port/d' "$work/config"
kill -HUP "$server_pid"
grep -q -m 1 'reloaded: 0 exports added, 0 changed, 1 removed' \
	< <(timeout "$deadline_s" tail -n +1 -f "$work/server.log") || fail 'not reloaded'
grep -q 'port, unixsock, duallisten and statussock change at a restart' "$work/server.log" ||
	fail 'no line about the port'
! timeout "$deadline_s" nbdinfo --size "$disk" 2>"$work/refused" || fail 'an export that is gone is served'
expect 'after the reload' 3145728 "$(nbdinfo --size "$swap")"
server_stop
