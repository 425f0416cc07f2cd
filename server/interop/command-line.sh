#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The documented forms of the command line, word for word: relative file names,
# address and port in each notation, background with a pid file, inetd.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin
need_libnbd_python

nbd_server=$(realpath "$nbd_server")
size=$((3 << 20))
cd "$work" || exit
random_file disk 3

# serves URI ARGUMENT...: this command line makes the disk reachable there. PORT is the one it got.
serves() {
	local where=$1
	shift
	server_start "$@"
	expect "$*" "$size" "$(nbdinfo --size "${where/PORT/$port}")"
	server_stop
}

serves nbd://127.0.0.1:PORT 0 disk
serves nbd://127.0.0.1:PORT 0 ./disk
serves nbd://127.0.0.1:PORT 0 "$work/disk"
serves nbd://127.0.0.1:PORT 127.0.0.1@0 disk
serves nbd://127.0.0.1:PORT 127.0.0.1:0 disk
serves nbd://127.0.0.1:PORT localhost:0 disk
serves nbd://127.0.0.1:PORT --port 0 disk
serves nbd://127.0.0.1:PORT 0 disk 3M
serves nbd://127.0.0.1:PORT 0 disk 3072K
serves nbd://127.0.0.1:PORT 0 disk "$size"
serves nbd://127.0.0.1:PORT 0 disk -r
if [ -e /proc/net/if_inet6 ]; then
	serves 'nbd://[::1]:PORT' '[::1]:0' disk
	serves 'nbd://[::1]:PORT' '::1@0' disk
fi

# An address limits the server to it.
server_start 127.0.0.2:0 disk
expect '127.0.0.2' "$size" "$(nbdinfo --size "nbd://127.0.0.2:$port")"
! nbdinfo --size "nbd://127.0.0.1:$port" 2>/dev/null || fail '127.0.0.2:0 listens on 127.0.0.1 too'
server_stop

# Background: the command returns when clients can connect, and has left the terminal.
"$nbd_server" -p server.pid 127.0.0.1:0 disk </dev/null 2>background.log
port=$(sed -n 's/^nbd-server: ready: listening on 127.0.0.1://p' background.log)
pid=$(cat server.pid)
expect 'in the background' "$size" "$(nbdinfo --size "nbd://127.0.0.1:$port")"
expect 'standard error' /dev/null "$(readlink "/proc/$pid/fd/2")"
! timeout "$deadline_s" "$nbd_server" -p other.pid "127.0.0.1:$port" disk 2>taken.log ||
	fail 'a port that is taken: the command says that it serves'
expect 'lines about a port that is taken' 1 "$(wc -l <taken.log)"
kill -TERM "$pid"
timeout "$deadline_s" tail -s 0.1 --pid="$pid" -f /dev/null || fail 'background server: does not end'
[ ! -e server.pid ] || fail 'pid file: still there'

# inetd: the client is on standard input; a 0 in place of the port means the same.
for inetd in '"-i", "disk"' '"-i", "0", "disk"'; do
	"$python" - <<-END || fail "inetd: $inetd"
		import nbd
		client = nbd.NBD()
		client.connect_command(["$nbd_server", $inetd])
		assert client.get_size() == $size
		assert client.pread($size, 0) == open("disk", "rb").read()
		client.shutdown()
	END
done
