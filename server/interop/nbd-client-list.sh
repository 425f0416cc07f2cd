#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's nbd-client lists our exports. That it attaches one is a scenario
# under QEMU: it needs a kernel with nbd.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
client=/usr/sbin/nbd-client
[ -x "$client" ] || skip 'nbd-client: not installed (Debian package nbd-client)'

truncate -s 1M "$work/disk"
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	allowlist = true
	[root]
	exportname = $work/disk
	[swap/52:54:00:12:34:56]
	exportname = $work/disk
END
server_start -C "$work/config"
"$client" -l 127.0.0.1 "$port" >"$work/list"
for name in root swap/52:54:00:12:34:56; do
	grep -qxF "$name" "$work/list" || fail "$name: not in the list: $(cat "$work/list")"
done
server_stop
