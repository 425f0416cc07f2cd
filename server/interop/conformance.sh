#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What is advertised is done: conformance.py on our server, and on the well-known ones as
# control, so that a test that asks for too much shows. Then holes, as programs see them.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin
need nbdcopy libnbd-bin
need qemu-img qemu-utils
need jq jq
need_libnbd_python
export PYTHONDONTWRITEBYTECODE=1
suite=$(dirname "$0")/conformance.py

truncate -s 64M "$work/disk"
server_start 127.0.0.1:0 "$work/disk"
"$python" "$suite" "$work/disk" "$uri" >"$work/report" 2>&1 || { cat "$work/report"; fail conformance; }
! grep skipped "$work/report" || fail 'something is not advertised'

# Holes: what clients see is what the file has, and a copy is as sparse.
truncate -s 0 "$work/disk"
truncate -s 64M "$work/disk"
for at in 4 40; do
	dd if=/dev/urandom of="$work/disk" bs=1M seek=$at count=1 conv=notrunc status=none
done
map=$(nbdinfo --map --json "$uri" | jq -c '[.[] | [.offset, .length, .type]]')
expect 'nbdinfo --map' "[[0,4194304,3],[4194304,1048576,0],[5242880,36700160,3],[41943040,1048576,0],[42991616,24117248,3]]" "$map"
expect 'qemu-img map' 2097152 "$(qemu-img map --output=json "$uri" | jq '[.[] | select(.data)] | map(.length) | add')"
nbdcopy "$uri" "$work/copy"
cmp "$work/disk" "$work/copy"
expect 'MiB of the copy' 2 "$(($(stat -c %b "$work/copy") * 512 >> 20))"
server_stop

# control NAME KNOWN_FAULTS COMMAND...: the suite on another server, which ends with this test.
control() {
	local name=$1 faults=$2
	shift 2
	if ! command -v "$1" >/dev/null; then
		echo "$name: not installed"
		return 0
	fi
	rm -f "$work/socket"
	timeout -s KILL 60 "$@" >"$work/peer.log" 2>&1 &
	peer=$!
	timeout "$deadline_s" sh -c "until [ -S '$work/socket' ]; do sleep 0.05; done" || fail "$name: no socket"
	KNOWN_FAULTS=$faults "$python" "$suite" "$work/disk" "nbd+unix:///?socket=$work/socket" \
		>"$work/report" 2>&1 || { cat "$work/report"; fail "$name: the suite asks for too much"; }
	kill -TERM "$peer"
	timeout "$deadline_s" tail -s 0.1 --pid="$peer" -f /dev/null || fail "$name: does not end"
}
control nbdkit '' nbdkit -f -U "$work/socket" file "$work/disk"
control qemu-nbd '' qemu-nbd -k "$work/socket" -f raw -t -e 8 --discard=unmap "$work/disk"
