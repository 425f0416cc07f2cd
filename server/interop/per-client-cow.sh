#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# per_client = cow: one image, a layer for each machine, kept over a server that is
# killed; the generation is told, and a layer stays on the one that it was made on.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-utils
need nbdinfo libnbd-bin
need nbdcopy libnbd-bin
need jq jq

io() { # NAME COMMAND...
	local name=$1 command arguments=()
	shift
	for command; do
		arguments+=(-c "$command")
	done
	qemu-io -f raw -d unmap "${arguments[@]}" "$uri/$name" >"$work/qemu-io" 2>&1 &&
		! grep -E 'failed|error' "$work/qemu-io" >&2
}

works() { # NAME COMMAND...
	io "$@" || { cat "$work/qemu-io" >&2 && fail "$*"; }
}

refused() { # REASON NAME COMMAND...
	local reason=$1
	shift
	! io "$@" || fail "$*: not refused"
	grep -qE "$reason" "$work/qemu-io" || fail "$*: $(cat "$work/qemu-io")"
}

config() { # LINE...
	printf '%s\n' '[generic]' 'listenaddr = 127.0.0.1' "port = ${port:-0}" '[root/*]' \
		"exportname = $work/image" 'per_client = cow' "cowdir = $work/layers" "$@" \
		'[image]' "exportname = $work/image" 'readonly = true' >"$work/config"
}

kill_server() {
	kill -KILL "$server_pid"
	wait "$server_pid" || [ $? -eq 137 ]
	server_pid=
}

generation_of() { # NAME
	nbdinfo --json "$uri/$1" | jq -r '.exports[0].description' | sed -n 's/.*generation //p'
}

mkdir "$work/layers"
random_file "$work/image" 16
cp "$work/image" "$work/original"
config 'description = Debian 12' 'size = 8M'
server_start -C "$work/config"
first=$(generation_of root/pc1)
[ -n "$first" ] || fail "no generation in the description"
expect 'description' "Debian 12; generation $first" \
	"$(nbdinfo --json "$uri/root/pc1" | jq -r '.exports[0].description')"
nbdcopy "$uri/root/pc1" "$work/copy"
cmp "$work/original" "$work/copy"

works root/pc1 'write -P 0x11 1000 5000' 'read -P 0x11 1000 5000' 'write -z 1M 1M' 'read -P 0 1M 1M'
works root/pc2 'write -P 0x22 4k 4k'
works root/pc1 'read -P 0x11 1000 5000'
nbdcopy "$uri/image" "$work/copy"
cmp "$work/original" "$work/copy"
cmp "$work/original" "$work/image"
nbdcopy "$uri/root/pc1" "$work/copy"
cp "$work/original" "$work/wanted"
head -c 5000 /dev/zero | tr '\0' '\021' | dd of="$work/wanted" bs=1 seek=1000 conv=notrunc status=none
dd if=/dev/zero of="$work/wanted" bs=1M seek=1 count=1 conv=notrunc status=none
cmp "$work/wanted" "$work/copy"
refused 'No space left' root/pc3 'write 0 9M'

# Not flushed, and the server is killed: what was answered is there.
works root/pc2 'write -P 0x33 8k 8k'
kill_server
server_start -C "$work/config"
works root/pc2 'read -P 0x22 4k 4k' 'read -P 0x33 8k 8k'
nbdcopy "$uri/root/pc1" "$work/copy"
cmp "$work/wanted" "$work/copy"

# A new image under the same name: who has a layer stays on the old one, others get the new.
random_file "$work/new" 12
mv "$work/new" "$work/image"
works root/pc1 'read -P 0x11 1000 5000'
server_stop
server_start -C "$work/config"
expect 'generation of pc1' "$first" "$(generation_of root/pc1)"
nbdcopy "$uri/root/pc1" "$work/copy"
cmp "$work/wanted" "$work/copy"
nbdcopy "$uri/root/pc9" "$work/copy"
cmp "$work/image" "$work/copy"
[ "$(generation_of root/pc9)" != "$first" ] || fail 'a new image has the generation of the old one'

# Changed in place: nobody gets what is half of each.
printf x | dd of="$work/image" bs=1 seek=5 conv=notrunc status=none
refused 'its layer was made on generation' root/pc9 'read 0 4k'
works root/pc1 'read -P 0x11 1000 5000'
server_stop

# Without the old image its layers are refused, and no byte of them is lost.
rm "$work/layers/$first.image"
server_start -C "$work/config"
refused "was made on generation $first" root/pc1 'read 0 4k'
server_stop

# A damaged map is refused by name.
printf x | dd of="$work/layers/pc1.map" bs=1 seek=20 conv=notrunc status=none
server_start -C "$work/config"
refused 'pc1.map is damaged' root/pc1 'read 0 4k'
server_stop

# What there is, and one that begins anew.
config 'size = 8M' '[swap]' "exportname = $work/swaps" 'per_client = swap' 'size = 1M'
mkdir "$work/swaps"
server_start -C "$work/config"
works swap 'write -P 0x77 0 4k'
"$nbd_server" -C "$work/config" --machines >"$work/machines"
grep -qE '^root/pc2 +layer +16384 +[0-9]+  20[0-9-]+ [0-9:]+  free$' "$work/machines" ||
	fail "$(cat "$work/machines")"
grep -qE '^swap/127\.0\.0\.1 +swap +1024 +1024 ' "$work/machines" || fail "$(cat "$work/machines")"
"$nbd_server" -C "$work/config" --reset root/pc1 2>"$work/message"
expect 'generation of pc1 anew' "$(generation_of root/pc10)" "$(generation_of root/pc1)"
nbdcopy "$uri/root/pc1" "$work/copy"
cmp "$work/image" "$work/copy"
! flock -n "$work/layers/pc2.cow" "$nbd_server" -C "$work/config" --reset root/pc2 2>"$work/message" ||
	fail 'reset of what is in use'
grep -q 'pc2.cow: in use by another process' "$work/message" || fail "$(cat "$work/message")"
for wrong in root/nobody swap/ root/../x image nothing/pc1; do
	! "$nbd_server" -C "$work/config" --reset "$wrong" 2>"$work/message" || fail "reset $wrong"
	expect "reset $wrong: lines" 1 "$(wc -l <"$work/message")"
done
server_stop
