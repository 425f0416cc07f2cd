#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A room of machines with a layer and a swap each: everybody reads back what it wrote.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need_libnbd_python

export image=$work/image PYTHONDONTWRITEBYTECODE=1
mkdir "$work/swap" "$work/layers"
random_file "$image" 1
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	[swap/*]
	exportname = $work/swap
	per_client = swap
	size = 1M
	[root/*]
	exportname = $image
	per_client = cow
	cowdir = $work/layers
END
server_start -C "$work/config"
export uri
"$python" "$(dirname "$0")/per-client-many.py"
expect 'machines' 401 "$("$nbd_server" -C "$work/config" --machines | wc -l)"
server_stop
