#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 250 clients at once: one server process, few threads, and the file is right afterwards.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need_libnbd_python

truncate -s 64M "$work/disk"
ulimit -n 1024
server_start 127.0.0.1:0 "$work/disk"
"$python" "$(dirname "$0")/parallel-clients.py"
children=$(cat "/proc/$server_pid/task"/*/children)
expect 'child processes' '' "$children"
server_stop
