#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# systemd takes nbd-server.service and finds little exposed, and the system calls that the
# server makes, from its start over a reload to its end, are among those that it may make.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need systemd-analyze systemd
need nbdcopy libnbd-bin
need qemu-io qemu-utils

unit=$work/nbd-server.service
sed 's,@SBIN@/nbd-server,/bin/true,' server/systemd/nbd-server.service >"$unit"
said=$(systemd-analyze --man=no verify "$unit" 2>&1) || fail "verify: $said"
[ -z "$said" ] || fail "verify: $said"
systemd-analyze security --offline=yes --threshold=35 --no-pager "$unit" >"$work/security" 2>&1 ||
	fail "exposed: $(tail -n 1 "$work/security")"

why=$(strace -o "$work/probe" true 2>&1) || {
	echo "strace cannot trace here, system calls not compared: ${why##*$'\n'}"
	exit 0
}
allowed() {
	local set
	for set; do
		systemd-analyze syscall-filter "$set" | sed -n 's/^ *\([a-z@][a-z0-9_@-]*\)$/\1/p' |
			while read -r name; do
				case $name in
				"$set") ;;
				@*) allowed "$name" ;;
				*) echo "$name" ;;
				esac
			done
	done
}
mkdir "$work/swap" "$work/layers"
random_file "$work/image" 4
cat >"$work/config" <<END
[generic]
listenaddr = 127.0.0.1
port = 0
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
real_server=$(realpath "$nbd_server")
nbd_server=$work/traced
printf '#!/bin/sh\nexec strace -f -qq -o %s -D %s "$@"\n' "$work/trace" "$real_server" >"$nbd_server"
chmod +x "$nbd_server"
server_start -C "$work/config"
nbdcopy "$uri/image" "$uri/swap/pc1"
qemu-io -f raw -d unmap -c 'write -P 1 0 1M' -c 'write -z -u 1M 1M' -c 'discard 2M 64k' -c flush \
	-c 'read -P 1 0 1M' "$uri/root/pc1" >"$work/qemu-io"
kill -HUP "$server_pid"
grep -q -m 1 'reloaded' < <(timeout "$deadline_s" tail -n +1 -f "$work/server.log") || fail 'not reloaded'
server_stop
sed -nE 's/^[0-9]+ +([a-z0-9_]+)\(.*/\1/p' "$work/trace" | sort -u >"$work/made"
[ "$(wc -l <"$work/made")" -gt 30 ] || fail "only $(wc -l <"$work/made") system calls were seen"
{ allowed @system-service; sed -n "s,^SystemCallFilter=@system-service ,,p" "$unit" | tr " " "\n"; } | sort -u >"$work/allowed"
expect 'system calls that the unit forbids' '' "$(comm -23 "$work/made" "$work/allowed" | tr '\n' ' ')"
