#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# qemu-img reads, writes and compares our exports.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-img qemu-utils
need jq jq

random_file "$work/source" 48
truncate -s 48M "$work/disk"
server_start 127.0.0.1:0 "$work/disk"
expect 'virtual size' $((48 << 20)) \
	"$(qemu-img info --output=json "$uri" | jq '.["virtual-size"]')"
qemu-img convert -n -f raw -O raw -W -m 8 "$work/source" "$uri"
cmp "$work/source" "$work/disk"
qemu-img compare -f raw -F raw "$work/source" "$uri"
qemu-img convert -f raw -O qcow2 "$uri" "$work/copy.qcow2"
qemu-img compare -f qcow2 -F raw "$work/copy.qcow2" "$uri"

# compare must be able to find a difference, or the lines above prove nothing.
echo 'not what was here' | dd of="$work/disk" bs=1 seek=$((17 << 20)) conv=notrunc status=none
! qemu-img compare -q -f raw -F raw "$work/source" "$uri" || fail 'compare: saw no difference'
server_stop
