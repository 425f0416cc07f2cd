#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGTERM under load: answers in flight are finished, no answer is cut, exit 0.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
[ -x "$python" ] || skip "python3: not installed (Debian package python3)"

export PYTHONDONTWRITEBYTECODE=1
truncate -s 64M "$work/disk"
server_start 127.0.0.1:0 "$work/disk"
"$python" "$(dirname "$0")/sigterm.py"
server_ended
