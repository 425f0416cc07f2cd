#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One machine at a time: a second one hears who holds the export, in the words of
# its own client; the same one's new connection takes over; a lost one keeps its place.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-utils
need nbdinfo libnbd-bin
need_libnbd_python
export PYTHONDONTWRITEBYTECODE=1

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
# The server is killed while pc1 swaps: a new one keeps its place, as far as the file can say whose.
if "$python" -c 'import os, sys; os.setxattr(sys.argv[1], "user.a", b"")' "$work/swap" 2>/dev/null; then
	"$python" - <<-'END'
		import os, nbd
		client = nbd.NBD()
		client.connect_uri(os.environ["uri"] + "/swap/pc1")
		client.pwrite(b"k" * 512, 0)
		os.kill(int(os.environ["server_pid"]), 9)
	END
	wait "$server_pid" 2>/dev/null || expect 'killed' 137 $?
	server_pid=
	server_start -C "$work/config"
	! qemu-io -f raw -c 'read 0 512' "$uri/swap/pc2" >"$work/refused" 2>&1 || fail 'pc2 has the swap of pc1'
	grep -q 'held by pc1 at 127.0.0.1 since 20' "$work/refused" || fail "$(cat "$work/refused")"
	qemu-io -f raw -c 'read -P 0x6b 0 512' "$uri/swap/pc1"
	# NBD_CMD_DISC that is in the socket at SIGTERM, behind a WRITE, or comes while the server ends.
	"$python" "$(dirname "$0")/sigterm-disc.py" before
	server_ended
	server_start -C "$work/config"
	qemu-io -f raw -c 'read -P 0x77 0 512' "$uri/swap/pc2"
	"$python" "$(dirname "$0")/sigterm-disc.py" after
	server_ended
	server_start -C "$work/config"
	qemu-io -f raw -c 'read -P 0x77 0 512' "$uri/swap/pc3"
	server_stop

	# What an image brings along is not trusted.
	for text in '' 'x' '1' "$(printf '1\t\t')" "$(printf '1\thost\t../x')" "$(printf '%0400d' 1)"; do
		"$python" -c 'import os, sys; os.setxattr(sys.argv[1], "user.swapsafe.hold", sys.argv[2].encode())' \
			"$work/swap" "$text"
		server_start -C "$work/config"
		qemu-io -f raw -c 'read -P 0x77 0 512' "$uri/swap/pc3"
		server_stop
	done
	expect 'lines about it' 6 "$(grep -c 'makes no sense: nobody holds it' "$work/server.log")"
	server_start -C "$work/config"
fi
grep -q 'export "swap/\*" for pc1: fenced: 127.0.0.1:' "$work/server.log" || fail "no line about the fence"
grep -q 'export "swap/pc2": refused: in use by pc1 at' "$work/server.log" ||
	fail "no line about the refusal"
server_stop
