#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nbdcopy in both directions, over one and four connections; holes stay holes.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdcopy libnbd-bin

random_file "$work/source" 64
truncate -s 64M "$work/disk"
server_start 127.0.0.1:0 "$work/disk"
for connections in 1 4; do
	nbdcopy --connections="$connections" --flush "$work/source" "$uri"
	cmp "$work/source" "$work/disk"
	nbdcopy --connections="$connections" "$uri" "$work/disk.copy"
	cmp "$work/source" "$work/disk.copy"
	random_file "$work/source" 64
done
nbdcopy --connections=1 --requests=1 --request-size=$((32 << 20)) "$work/source" "$uri"
cmp "$work/source" "$work/disk"

# 62 of the 64 MiB are zero at the source: they are punched out of a full disk.
truncate -s 0 "$work/source"
truncate -s 64M "$work/source"
dd if=/dev/urandom of="$work/source" bs=1M count=1 seek=7 conv=notrunc status=none
dd if=/dev/urandom of="$work/source" bs=1M count=1 seek=63 conv=notrunc status=none
nbdcopy "$work/source" "$uri"
cmp "$work/source" "$work/disk"
allocated_kib=$(du -k "$work/disk" | cut -f1)
[ "$allocated_kib" -lt 4096 ] || fail "sparse copy: $allocated_kib KiB allocated for 2 MiB of data"
server_stop
