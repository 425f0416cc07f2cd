#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Sockets other than TCP: a unix socket, beside TCP or alone, over a server that was killed,
# and sockets that systemd has opened.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin

truncate -s 3M "$work/disk"
size=$((3 << 20))
socket=$work/socket

size_at() { # URI
	timeout "$deadline_s" nbdinfo --size "$1"
}

# refused NAME TEXT COMMAND...: the command must end at once, with one line that has TEXT.
refused() {
	local name=$1 text=$2
	shift 2
	! timeout "$deadline_s" "$@" </dev/null 2>"$work/refused" || fail "$name: accepted"
	expect "$name: lines" 1 "$(wc -l <"$work/refused")"
	grep -qF -- "$text" "$work/refused" || fail "$name: $(cat "$work/refused")"
}

server_start --unix "$socket" "$work/disk"
expect '--unix' "$size" "$(size_at "nbd+unix:///?socket=$socket")"
refused 'a socket in use' 'Address already in use' "$nbd_server" -n --unix "$socket" "$work/disk"
expect 'after the second server' "$size" "$(size_at "nbd+unix:///?socket=$socket")"
kill -KILL "$server_pid"
wait "$server_pid" 2>/dev/null || expect 'killed' 137 $?
server_pid=
[ -S "$socket" ] || fail 'a server that is killed removes its socket'
server_start --unix "$socket" "$work/disk"
expect 'where one was killed' "$size" "$(size_at "nbd+unix:///?socket=$socket")"
server_stop
[ ! -e "$socket" ] || fail 'the socket is still there'

echo data >"$work/file"
refused 'a file in its place' "$work/file: cannot listen" "$nbd_server" -n --unix "$work/file" "$work/disk"
expect 'that file' data "$(cat "$work/file")"
refused 'a long name' 'must be a file name of 1 to 107 bytes' \
	"$nbd_server" -n --unix "$(printf '%0108d' 0)" "$work/disk"

cat >"$work/config" <<END
[generic]
unixsock = $socket
duallisten = true
listenaddr = 127.0.0.1
port = 0
[disk]
exportname = $work/disk
END
server_start -C "$work/config"
grep -q -m 1 'listening on 127.0.0.1:' < <(timeout "$deadline_s" tail -n +1 -f "$work/server.log") ||
	fail 'duallisten: no second ready line'
tcp_port=$(sed -n 's/.*listening on 127.0.0.1://p' "$work/server.log" | tail -n 1)
expect 'unixsock' "$size" "$(size_at "nbd+unix:///disk?socket=$socket")"
expect 'duallisten' "$size" "$(size_at "nbd://127.0.0.1:$tcp_port/disk")"
server_stop

# As systemd does it: descriptors from 3 on, and LISTEN_PID is the process that gets them.
cat >"$work/activate.py" <<'END'
import os, socket, sys
listeners = [socket.socket(socket.AF_UNIX), socket.socket()]
listeners[0].bind(sys.argv[1])
listeners[1].bind(("127.0.0.1", 0))
for number, listener in enumerate(listeners):
    listener.listen()
    os.dup2(listener.fileno(), 3 + number + 10)
for number in range(2):
    os.dup2(3 + number + 10, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])
os.execvp(sys.argv[3], sys.argv[3:])
END
real_server=$nbd_server
nbd_server=$work/activated
cat >"$nbd_server" <<END
#!/bin/sh
exec $python "$work/activate.py" "$socket" 2 "$real_server" "\$@"
END
chmod +x "$nbd_server"
server_start -C "$work/config"
expect 'an inherited socket' "$size" "$(size_at "nbd+unix:///disk?socket=$socket")"
server_stop
[ -S "$socket" ] || fail 'a socket that is not ours was removed'
rm "$socket"
refused 'a descriptor that is no socket' 'must be a listening stream socket' \
	"$python" "$work/activate.py" "$socket" 3 "$real_server" -n -C "$work/config"
