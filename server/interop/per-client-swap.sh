#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# per_client = swap: a file for each machine, kept over reconnects and over a server
# that is killed; never served blank; a quota; a full disk; files that nobody uses.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-utils
need nbdinfo libnbd-bin

io() { # NAME COMMAND...
	local name=$1 command arguments=()
	shift
	for command; do
		arguments+=(-c "$command")
	done
	qemu-io -f raw -d unmap "${arguments[@]}" "$uri/$name" >"$work/qemu-io" 2>&1 &&
		! grep -E 'failed|error' "$work/qemu-io" >&2
}

works() { # NAME COMMAND...
	io "$@" || { cat "$work/qemu-io" >&2 && fail "$*"; }
}

refused() { # REASON NAME COMMAND...
	local reason=$1
	shift
	! io "$@" || fail "$*: not refused"
	grep -qE "$reason" "$work/qemu-io" || fail "$*: $(cat "$work/qemu-io")"
}

config() { # LINE...
	printf '%s\n' '[generic]' 'listenaddr = 127.0.0.1' "port = ${port:-0}" 'allowlist = true' \
		'[swap/*]' "exportname = $work/swap" 'per_client = swap' "$@" >"$work/config"
}

kill_server() {
	kill -KILL "$server_pid"
	wait "$server_pid" || [ $? -eq 137 ]
	server_pid=
}

kib_of() { # NAME
	du -k "$work/swap/$1.swap" | cut -f1
}

mkdir "$work/swap"
config 'size = 4M' 'quota = 12M'
server_start -C "$work/config"
expect 'size' $((4 << 20)) "$(nbdinfo --size "$uri/swap/pc1")"
expect 'multi-conn' false "$(nbdinfo --json "$uri/swap/pc1" | jq '.exports[0].can_multi_conn')"
works swap/pc1 'write -P 0x11 0 64k'
works swap/pc2 'read -P 0 0 4M' 'write -P 0x22 0 64k'
works swap/pc1 'read -P 0x11 0 64k' 'read -P 0 64k 1M'
expect 'reserved KiB' 1 "$(($(kib_of pc1) >= 4096))"
works swap/pc1 'write -P 0x11 1M 1M' 'discard 1M 1M'
expect 'reserved KiB after discard' 1 "$(($(kib_of pc1) >= 4096))"

# Killed in the middle of things, and started with another size: everybody has what it had.
works swap/pc2 'write -P 0x33 4k 4k' 'flush'
touch "$work/swap/.new.pc3.swap" # what a kill in the middle of making leaves
kill_server
config 'size = 2M' 'quota = 12M'
server_start -C "$work/config"
expect 'size that it had' $((4 << 20)) "$(nbdinfo --size "$uri/swap/pc2")"
works swap/pc2 'read -P 0x22 0 4k' 'read -P 0x33 4k 4k' 'read -P 0x22 8k 56k'
works swap/pc3 'read -P 0 0 2M'
works swap/pc4 'read -P 0 0 2M'
refused 'no room for a swap of 2097152 bytes: 12582912 of the quota of 12582912' swap/pc5 'read 0 4k'
[ ! -e "$work/swap/pc5.swap" ] || fail 'a swap over the quota is there'
refused 'letters, digits' swap/../pc1 'read 0 4k'
refused 'letters, digits' 'swap/*' 'read 0 4k'
refused 'no export of this name' swap 'read 0 4k'

# What a second server on the same folder would hold.
export uri work
export -f io refused works fail
flock -n "$work/swap/pc1.swap" bash -c "refused 'in use by another process' swap/pc1 'read 0 4k'"
works swap/pc1 'read -P 0x11 0 64k'
server_stop

# Sparse: takes what is written, and gives it back.
config 'size = 64M' 'sparse = true' 'expire = 1h'
server_start -C "$work/config"
works swap/thin 'write -P 0x44 0 8M'
expect 'sparse KiB' 1 "$(($(kib_of thin) >= 8192 && $(kib_of thin) < 9000))"
works swap/thin 'discard 0 4M' 'write -z -u 4M 4M' 'read -P 0 0 8M'
expect 'sparse KiB after discard' 1 "$(($(kib_of thin) < 100))"
server_stop
