#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An export with an authfile is not there for others: not for GO, INFO, LIST, contexts or
# the old EXPORT_NAME. A reload reads the file again.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin
need jq jq

truncate -s 1M "$work/disk"
echo 127.0.0.1 >"$work/mine"
echo 192.0.2.0/24 >"$work/others"
cat >"$work/config" <<END
[generic]
listenaddr = 127.0.0.1
port = 0
allowlist = true
[all]
exportname = $work/disk
[mine]
exportname = $work/disk
authfile = $work/mine
[others]
exportname = $work/disk
authfile = $work/others
[pc/*]
exportname = $work/disk
exclusive = true
authfile = $work/others
END

names() {
	nbdinfo --json --list "$uri" | jq -r '[.exports[]["export-name"]] | sort | join(" ")'
}

hidden() { # NAME
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$(dirname "$0") "$python" - "$1" <<-'END'
		import sys
		from raw_nbd import *
		name = sys.argv[1]
		client = Client()
		assert client.info(OPT_INFO, name)[0] == ERR_UNKNOWN
		assert client.info(OPT_GO, name)[0] == ERR_UNKNOWN
		assert client.option(OPT_STRUCTURED_REPLY)[0] == REP_ACK
		for option in OPT_LIST_META, OPT_SET_META:
		    assert client.meta(option, name, "base:allocation")[0] == ERR_UNKNOWN
		client.send_option(OPT_EXPORT_NAME, name.encode())
		assert client.is_closed()
	END
}
export port

server_start -C "$work/config"
expect 'LIST' 'all mine' "$(names)"
expect 'mine' 1048576 "$(nbdinfo --size "$uri/mine")"
hidden others
hidden pc/1
echo 127.0.0.0/8 >"$work/others"
: >"$work/mine"
kill -HUP "$server_pid"
grep -q -m 1 'reloaded: 0 exports added, 3 changed' \
	< <(timeout "$deadline_s" tail -n +1 -f "$work/server.log") || fail 'not reloaded'
expect 'LIST after the reload' 'all others' "$(names)"
expect 'pc/1' 1048576 "$(nbdinfo --size "$uri/pc/1")"
hidden mine
server_stop

server_start -l "$work/others" 127.0.0.1:0 "$work/disk"
expect '-l' 1048576 "$(nbdinfo --size "$uri")"
server_stop
server_start -l "$work/mine" 127.0.0.1:0 "$work/disk"
hidden ''
server_stop
