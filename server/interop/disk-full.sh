#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A file system runs full under a swap, a layer and a plain file: each write that finds no room
# says so at once, what was answered stays, after a kill too, and with room again all goes on.
if [ -z "${IN_NAMESPACE:-}" ] && unshare --user --map-root-user --mount true 2>/dev/null; then
	IN_NAMESPACE=1 exec unshare --user --map-root-user --mount "$0"
fi
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "${IN_NAMESPACE:-}" ] || skip 'no user namespaces: cannot mount a small file system'
need qemu-io qemu-utils
need_libnbd_python

random_file "$work/image" 16
mkdir "$work/small"
mount -t tmpfs -o size=4M tmpfs "$work/small"
mkdir "$work/small/swap" "$work/small/layers"
truncate -s 16M "$work/small/disk"
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	[disk]
	exportname = $work/small/disk
	[swap/*]
	exportname = $work/small/swap
	per_client = swap
	size = 16M
	sparse = true
	[reserved/*]
	exportname = $work/small/swap
	per_client = swap
	size = 16M
	[root/*]
	exportname = $work/image
	per_client = cow
	cowdir = $work/small/layers
END
server_start -C "$work/config"
! qemu-io -f raw -c 'read 0 4k' "$uri/reserved/pc1" >"$work/said" 2>&1 || fail 'a swap that was not reserved is served'
grep -q 'cannot reserve 16777216 bytes for its swap: No space left on device' "$work/said" ||
	fail "$(cat "$work/said")"
expect 'files of a swap that found no room' 0 "$(find "$work/small/swap" -type f | wc -l)"

export uri work config=$work/config
cat >"$work/fill.py" <<-'END'
	import errno, os, sys, nbd

	PIECE = 64 << 10
	kept = {}
	if sys.argv[1] == "again":
	    for name in sys.argv[2:]:
	        with open(os.path.join(os.environ["work"], name.replace("/", "-")), "rb") as file:
	            kept[name] = file.read()

	def check(handle, name):
	    if handle.pread(len(kept[name]), 0) != kept[name]:
	        sys.exit(f"{name}: what was answered is not there")

	for name in sys.argv[2:]:
	    handle = nbd.NBD()
	    handle.connect_uri(f"{os.environ['uri']}/{name}")
	    if name in kept:
	        check(handle, name)
	        handle.pwrite(b"again", 8 << 20)  # there is room
	        handle.flush()
	        handle.shutdown()
	        continue
	    kept[name] = b""
	    while len(kept[name]) < 8 << 20:
	        piece = os.urandom(PIECE)
	        try:
	            handle.pwrite(piece, len(kept[name]))
	        except nbd.Error as error:
	            if error.errnum != errno.ENOSPC:
	                sys.exit(f"{name}: {error}")
	            break
	        kept[name] += piece
	    else:
	        sys.exit(f"{name}: 8 MiB were written to 4")
	    for _ in range(3):  # it keeps failing, and says so each time
	        try:
	            handle.pwrite(os.urandom(PIECE), 9 << 20)
	            sys.exit(f"{name}: a full disk was written to")
	        except nbd.Error as error:
	            if error.errnum != errno.ENOSPC:
	                sys.exit(f"{name}: {error}")
	    check(handle, name)
	    with open(os.path.join(os.environ["work"], name.replace("/", "-")), "wb") as file:
	        file.write(kept[name])
	    print(name, len(kept[name]))
	    handle.shutdown()
END
# In turn, each on what the others leave: most of 4 MiB for the first.
"$python" "$work/fill.py" first swap/pc1 >"$work/filled"
filled=$(awk '{ print $2 }' "$work/filled")
[ "$filled" -gt $((2 << 20)) ] || fail "full after $filled bytes"
! qemu-io -f raw -c 'write 0 64k' "$uri/root/pc1" >"$work/said" 2>&1 || fail 'a layer was made on a full disk'
! qemu-io -f raw -c 'write 0 64k' "$uri/disk" >"$work/said" 2>&1 || fail 'a file grew on a full disk'
grep -q 'No space left on device' "$work/said" || fail "$(cat "$work/said")"
grep -q 'export "disk": .*: NBD_CMD_WRITE at 0, 65536 bytes: No space left on device$' "$work/server.log" ||
	fail 'the log does not say that the disk is full'
mount -o remount,size=6M "$work/small"
"$python" "$work/fill.py" first root/pc1 >"$work/filled"
mount -o remount,size=8M "$work/small"
"$python" "$work/fill.py" first disk >"$work/filled"

# The server is killed while the disk is full.
kill -KILL "$server_pid"
wait "$server_pid" || [ $? -eq 137 ]
server_start -C "$work/config"
export uri
mount -o remount,size=16M "$work/small"
"$python" "$work/fill.py" again swap/pc1 root/pc1 disk
server_stop
umount "$work/small"
