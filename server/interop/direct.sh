#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Past the page cache: nothing of what goes in whole pages stays in memory, what does not is
# as right as the rest, also when both meet.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need fincore util-linux
need_libnbd_python
export PYTHONDONTWRITEBYTECODE=1

truncate -s $(((16 << 20) + 1000)) "$work/disk"
mkdir "$work/swap"
dd if=/dev/zero of="$work/probe" bs=4096 count=1 oflag=direct 2>"$work/dd" ||
	skip "$work: $(tail -n 1 "$work/dd")"
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	[disk]
	exportname = $work/disk
	direct = true
	[swap/*]
	exportname = $work/swap
	per_client = swap
	size = 16M
	direct = true
END

cached_bytes() { # FILE
	fincore --bytes --noheadings --output RES "$1" | tr -d ' '
}

server_start -C "$work/config"
sync "$work/disk"
"$python" "$(dirname "$0")/direct.py" pages disk
"$python" "$(dirname "$0")/direct.py" pages swap/pc1
expect 'bytes of the disk in the page cache' 0 "$(cached_bytes "$work/disk")"
expect 'bytes of the swap in the page cache' 0 "$(cached_bytes "$work/swap/pc1.swap")"
"$python" "$(dirname "$0")/direct.py" mixed disk
"$python" "$(dirname "$0")/direct.py" mixed swap/pc1
server_stop

