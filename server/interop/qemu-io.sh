#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# qemu-io: patterns at aligned and odd offsets, FUA, zeroes, discard, flush.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-utils

# io COMMAND...: every command must succeed, and no pattern may differ.
io() {
	local command arguments=()
	for command; do
		arguments+=(-c "$command")
	done
	qemu-io -f raw -d unmap "${arguments[@]}" "$uri" >"$work/qemu-io" 2>&1 || {
		cat "$work/qemu-io" >&2
		fail "qemu-io: exit status"
	}
	! grep -E 'failed|error' "$work/qemu-io" || fail "qemu-io: see above"
}

truncate -s 256M "$work/disk"
server_start 127.0.0.1:0 "$work/disk"
io 'write -P 0x11 0 1M' 'read -P 0x11 0 1M' \
	'write -P 0x22 512 1536' 'read -P 0x11 0 512' 'read -P 0x22 512 1536' 'read -P 0x11 2048 1k' \
	'write -P 0x33 -f 255M 1M' 'read -P 0x33 255M 1M' 'flush'
io 'write -P 0x44 64M 64M' 'write -z 65M 16M' 'read -P 0x44 64M 1M' 'read -P 0 65M 16M' \
	'read -P 0x44 81M 47M'
io 'write -z -u 82M 16M' 'read -P 0 82M 16M' 'discard 100M 20M' 'read -P 0x44 98M 2M' \
	'read -P 0x44 120M 8M'
io 'aio_write -P 0x55 128M 8M' 'aio_write -P 0x66 136M 8M' 'aio_read 0 8M' 'aio_flush' \
	'read -P 0x55 128M 8M' 'read -P 0x66 136M 8M'
allocated_kib=$(du -k "$work/disk" | cut -f1)
server_stop
# Written: 1 + 1 + 64 + 16 MiB; at least the 36 MiB of "zero, may unmap" and discard are gone.
[ "$allocated_kib" -le $(((82 - 36) * 1024 + 64)) ] ||
	fail "discard and unmap: $allocated_kib KiB are still allocated"
