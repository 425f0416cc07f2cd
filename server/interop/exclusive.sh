#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One machine at a time: a second one hears who holds the export, in the words of
# its own client; the same one's new connection takes over; a lost one keeps its place.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-utils
need nbdinfo libnbd-bin
need_libnbd_python

truncate -s 16M "$work/swap" "$work/disk"
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	allowlist = true
	[swap/*]
	exportname = $work/swap
	exclusive = true
	[disk]
	exportname = $work/disk
END
server_start -C "$work/config"
export uri

expect 'multi-conn of an exclusive export' false \
	"$(nbdinfo --json "$uri/swap/info" | jq '.exports[0].can_multi_conn')"
expect 'names in LIST' disk "$(nbdinfo --json --list "$uri" | jq -r '.exports[]["export-name"]')"

"$python" - <<-'END'
	import os, subprocess, nbd

	uri = os.environ["uri"]
	holder = nbd.NBD()
	holder.connect_uri(uri + "/swap/pc1")
	holder.pwrite(b"1" * 4096, 0)

	def qemu_io(name, *commands):
	    arguments = ["qemu-io", "-f", "raw"]
	    for command in commands:
	        arguments += ["-c", command]
	    result = subprocess.run(arguments + [f"{uri}/{name}"], capture_output=True, text=True)
	    return result.returncode, result.stdout + result.stderr

	code, text = qemu_io("swap/pc2", "write -P 0x32 0 4096")
	assert code != 0 and "in use by pc1 at 127.0.0.1 since 20" in text, text
	assert holder.pread(4096, 0) == b"1" * 4096

	# The same machine again: reads what its old connection wrote, which is over.
	code, text = qemu_io("swap/pc1", "read -P 0x31 0 4096", "write -P 0x33 0 4096")
	assert code == 0, text
	try:
	    holder.pwrite(b"4" * 4096, 0)
	    raise SystemExit("the fenced connection still writes")
	except nbd.Error:
	    pass
	code, text = qemu_io("swap/pc1", "read -P 0x33 0 4096")
	assert code == 0, text

	# Gone without NBD_CMD_DISC: nobody else gets it.
	holder = nbd.NBD()
	holder.connect_uri(uri + "/swap/pc1")
	del holder
	code, text = qemu_io("swap/pc2", "read 0 4096")
	assert code != 0 and "held by pc1 at 127.0.0.1 since 20" in text, text
	holder = nbd.NBD()
	holder.connect_uri(uri + "/swap/pc1")
	holder.shutdown()
	code, text = qemu_io("swap/pc2", "read -P 0x33 0 4096")
	assert code == 0, text

	# Not asked for: any number of connections of one machine.
	many = [nbd.NBD() for _ in range(8)]
	for client in many:
	    client.connect_uri(uri + "/disk")
	assert many[0].can_multi_conn()
	many[0].pwrite(b"x" * 512, 0)
	assert many[7].pread(512, 0) == b"x" * 512
END
grep -q 'export "swap/\*" for pc1: fenced: 127.0.0.1:' "$work/server.log" || fail "no line about the fence"
grep -q 'export "swap/pc2": refused: in use by pc1 at' "$work/server.log" ||
	fail "no line about the refusal"
server_stop
