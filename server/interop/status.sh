#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-server --status: who is attached to what, what was asked, what was refused and fenced,
# and what the machines' files take; and a line of the log for each connection's begin and end.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need jq jq
need_libnbd_python

mkdir "$work/swap" "$work/layers"
random_file "$work/image" 4
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	statussock = $work/status
	[image]
	exportname = $work/image
	readonly = true
	[swap/*]
	exportname = $work/swap
	per_client = swap
	size = 4M
	[root/*]
	exportname = $work/image
	per_client = cow
	cowdir = $work/layers
END
server_start -C "$work/config"
expect 'mode of the socket' 600 "$(stat -c %a "$work/status")"

# status FILTER: what the server says, through jq.
status() {
	"$nbd_server" --status --json --status-socket "$work/status" | jq -rc "$1"
}
export status_command="$nbd_server --status --json -C $work/config" uri
expect 'before any client' '[0,0,0,[]]' "$(status '[.accepted, .connections, .refused, .clients]')"

"$python" - <<-'END'
	import json, os, subprocess, nbd

	def status():
	    return json.loads(subprocess.check_output(os.environ["status_command"].split()))

	def client(name):
	    handle = nbd.NBD()
	    handle.connect_uri(f"{os.environ['uri']}/{name}")
	    return handle

	image, swap, root = client("image"), client("swap/pc1"), client("root/pc1")
	image.pread(1 << 20, 0)
	image.pread(4096, 0)
	swap.pwrite(bytes(64 << 10), 0)
	swap.flush()
	root.pwrite(b"x" * 8192, 4096)
	image.set_strict_mode(0)
	try:
	    image.pwrite(b"x" * 512, 0)  # read-only
	    raise SystemExit("a read-only export was written")
	except nbd.Error:
	    pass
	now = status()
	by_export = {each["export"]: each for each in now["clients"]}
	assert set(by_export) == {"image", "swap/pc1", "root/pc1"}, by_export
	assert len({each["worker"] for each in now["clients"]}) == min(3, now["workers"]), now
	assert by_export["image"]["reads"] == 2, by_export
	assert by_export["image"]["read_bytes"] == (1 << 20) + 4096, by_export
	assert by_export["image"]["errors"] == 1 and by_export["image"]["writes"] == 1, by_export
	assert by_export["image"]["written_bytes"] == 0, by_export
	assert by_export["swap/pc1"]["written_bytes"] == 64 << 10, by_export
	assert by_export["swap/pc1"]["flushes"] == 1, by_export
	assert by_export["swap/pc1"]["identity"] == "pc1", by_export
	assert by_export["swap/pc1"]["latency_max_us"] >= by_export["swap/pc1"]["latency_mean_us"]
	exports = {each["name"]: each for each in now["exports"]}
	assert exports["swap/*"]["connections"] == 1, exports
	assert exports["swap/*"]["written_bytes"] == 64 << 10, exports
	assert exports["image"]["latency_p50_us"] <= exports["image"]["latency_p99_us"], exports
	machine, = exports["swap/*"]["machines"]
	assert machine["identity"] == "pc1" and machine["size_bytes"] == 4 << 20, machine
	assert machine["taken_bytes"] >= 4 << 20, machine  # reserved
	machine, = exports["root/*"]["machines"]
	assert 8192 <= machine["taken_bytes"] < 1 << 20, machine

	again = client("swap/pc1")  # fences the first
	try:
	    client("swap/")
	    raise SystemExit("nobody has a swap")
	except nbd.Error:
	    pass
	now = status()
	assert (now["fenced"], now["refused"]) == (1, 1), now
	for handle in (again, root):
	    handle.shutdown()
	image.shutdown()
END
expect 'the swap counts those who left' 65536 "$(status '.exports[] | select(.name == "swap/*").written_bytes')"
expect 'nobody is left' '[]' "$(status .clients)"
"$nbd_server" --status --status-socket "$work/status" >"$work/table"
for word in '^nbd-server .* since .* UTC' '^swap/\* *swap *4096 ' '^  pc1 ' ' 1 fenced'; do
	grep -qE "$word" "$work/table" || fail "no $word in: $(cat "$work/table")"
done

# A reader that takes nothing keeps nobody from an answer, and of many who come at once each gets one.
"$python" - "$work/status" <<-'END'
	import socket, sys
	idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]
	for each in idle:
	    each.connect(sys.argv[1])
	for each in idle:
	    data = each.recv(1 << 20)
	    assert data.startswith(b"{"), data
END
expect 'after readers that read nothing' '[]' "$(status .clients)"

! "$nbd_server" --status --status-socket "$work/nobody" 2>"$work/message" || fail 'status of no server'
expect 'status of no server: lines' 1 "$(wc -l <"$work/message")"
server_stop
[ ! -e "$work/status" ] || fail 'the socket of --status is left behind'

# Each connection that was attached has one line for its begin and one for its end.
expect 'attached' 4 "$(grep -c ': attached$' "$work/server.log")"
expect 'ended' 4 "$(grep -cE 'export ".*: (disconnected|fenced: .*) \(after [0-9]+ s: ' "$work/server.log")"
grep -qE 'export "image": disconnected \(after [0-9]+ s: 2 reads of 1052672 bytes, 1 writes of 0 bytes, 0 others, 1 errors\)$' \
	"$work/server.log" || fail 'the end of a connection does not tell what it was for'
