#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The wire by hand (handshake.py, transmission.py): what well-bred clients never send.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
[ -x "$python" ] || skip "python3: not installed (Debian package python3)"

export disk=$work/disk PYTHONDONTWRITEBYTECODE=1
truncate -s 256M "$disk"
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	allowlist = true
	[disk]
	exportname = $disk
	[readonly]
	exportname = $disk
	readonly = true
END
server_start -C "$work/config"
"$python" "$(dirname "$0")/handshake.py"
"$python" "$(dirname "$0")/transmission.py"
server_stop
