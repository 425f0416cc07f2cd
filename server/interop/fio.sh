#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fio's nbd engine: random writes that are read back and verified by checksum.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need fio fio
fio --enghelp | grep -qw nbd || skip 'fio: built without the nbd engine'

verify() { # NAME OPTION...
	local name=$1
	shift
	fio --name="$name" --ioengine=nbd --uri="$uri" --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --verify_state_save=0 --randrepeat=1 --output="$work/fio" "$@" || {
		cat "$work/fio" >&2
		fail "fio: $name"
	}
}

truncate -s 64M "$work/disk"
server_start 127.0.0.1:0 "$work/disk"
verify small --rw=randwrite --bs=4k --iodepth=32 --size=32M
verify uneven --rw=randwrite --bsrange=512-128k --bs_unaligned --iodepth=16 --size=16M
verify large --rw=write --bs=4M --iodepth=8 --size=64M
verify synced --rw=randwrite --bs=16k --iodepth=4 --size=8M --fsync=8
verify connections --rw=randwrite --bs=4k --iodepth=16 --size=16M --numjobs=4 --offset_increment=16M
server_stop
