#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# keep = boot: what a machine has written is there as long as it runs, over reconnects and a
# server that is killed, and gone when it boots anew.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-utils
need_libnbd_python

mkdir "$work/layers" "$work/swap"
head -c 8M /dev/zero | tr '\0' i >"$work/image"
config() { # LINE
	cat >"$work/config" <<-END
		[generic]
		listenaddr = 127.0.0.1
		port = 0
		[root/*]
		exportname = $work/image
		per_client = cow
		cowdir = $work/layers
		keep = boot
		[swap/*]
		exportname = $work/swap
		per_client = swap
		size = 8M
		$1
	END
}

io() { # NAME COMMAND...
	local name=$1 command arguments=()
	shift
	for command; do
		arguments+=(-c "$command")
	done
	qemu-io -f raw "${arguments[@]}" "$uri/$name" >"$work/qemu-io" 2>&1 &&
		! grep -E 'failed|error' "$work/qemu-io" >&2
}

works() { # NAME COMMAND...
	io "$@" || { cat "$work/qemu-io" >&2 && fail "$*"; }
}

kill_server() {
	kill -KILL "$server_pid"
	wait "$server_pid" || [ $? -eq 137 ]
	server_pid=
}

config 'keep = boot'
server_start -C "$work/config"
works root/pc1/1 'read -P 0x69 0 1M' 'write -P 0x31 0 1M'
works swap/pc1/1 'read -P 0 0 8M' 'write -P 0x31 0 1M'
works root/pc2/1 'write -P 0x32 0 1M'
works root/pc1/1 'read -P 0x31 0 1M'
kill_server
server_start -C "$work/config"
works root/pc1/1 'read -P 0x31 0 1M' 'read -P 0x69 1M 1M'
works swap/pc1/1 'read -P 0x31 0 1M'

# To ask drops nothing, whatever boot it says, and needs one.
uri=$uri "$python" - <<-'END'
	import os, nbd

	asking = nbd.NBD()
	asking.set_opt_mode(True)
	asking.connect_uri(os.environ["uri"] + "/root/pc1/9")
	asking.opt_info()
	assert asking.get_size() == 8 << 20
	asking.opt_abort()
END
for name in root/pc1 root/pc1/ root/pc1/1/1 root/pc1/a%20b root//1 swap/pc1 root/pc1/..; do
	! io "$name" 'read 0 4k' || fail "$name: not refused"
	grep -q 'the name must end in who you are' "$work/qemu-io" || fail "$name: $(cat "$work/qemu-io")"
done
works root/pc1/1 'read -P 0x31 0 1M'

# The next boot begins while a connection of the one before is still there, with requests.
uri=$uri "$python" - <<-'END'
	import os, nbd

	uri = os.environ["uri"]
	for name, fresh in (("root", b"i"), ("swap", b"\0")):
	    old = nbd.NBD()
	    old.connect_uri(f"{uri}/{name}/pc1/1")
	    assert old.pread(4096, 0) == b"1" * 4096
	    for i in range(16):
	        old.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"o" * 65536)), i * 65536)
	    new = nbd.NBD()
	    new.connect_uri(f"{uri}/{name}/pc1/2")
	    assert new.pread(8 << 20, 0) == fresh * (8 << 20), name
	    try:
	        while True:
	            old.pread(4096, 0)
	            raise SystemExit("the boot before is still served")
	    except nbd.Error:
	        pass
	    new.pwrite(b"2" * 4096, 0)
	    again = nbd.NBD()
	    again.connect_uri(f"{uri}/{name}/pc1/2")
	    assert again.pread(4096, 0) == b"2" * 4096
	    again.shutdown()
END
grep -q 'fenced: 127.0.0.1:[0-9]* has booted anew' "$work/server.log" || fail 'no line about the fence'
works root/pc2/1 'read -P 0x32 0 1M'
kill_server
server_start -C "$work/config"
works swap/pc1/2 'read -P 0x32 0 4k'
works swap/pc1/3 'read -P 0 0 8M'
server_stop

# A server that is killed when the old file is gone and the word about it not yet there.
rm "$work/swap/pc1.swap"
server_start -C "$work/config"
works swap/pc1/4 'read -P 0 0 8M' 'write -P 0x34 0 1M'
works swap/pc1/4 'read -P 0x34 0 1M'
server_stop

"$nbd_server" -C "$work/config" --reset swap/pc1 2>"$work/said"
expect 'files after a reset' '' "$(ls "$work/swap")"

# Not asked for any more: what is there is kept, and nobody says a boot.
server_start -C "$work/config"
works swap/pc3/1 'write -P 0x33 0 1M'
config ''
kill -HUP "$server_pid"
grep -q -m 1 'reloaded: 0 exports added, 1 changed' \
	< <(timeout "$deadline_s" tail -n +1 -f "$work/server.log") || fail 'not reloaded'
works swap/pc3 'read -P 0x33 0 1M'
! io swap/pc3/1 'read 0 4k' || fail 'a boot is taken where none is wanted'
server_stop
