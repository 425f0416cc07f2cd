#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A swap and a layer hold what was answered after CRASHES=50 kills of the server.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need_libnbd_python

export nbd_server config=$work/config image=$work/image crashes=${CRASHES:-50}
export PYTHONDONTWRITEBYTECODE=1
mkdir "$work/swap" "$work/layers"
random_file "$image" 2
cat >"$config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	[swap/*]
	exportname = $work/swap
	per_client = swap
	size = 2M
	[root/*]
	exportname = $image
	per_client = cow
	cowdir = $work/layers
END
"$python" "$(dirname "$0")/crash.py"
