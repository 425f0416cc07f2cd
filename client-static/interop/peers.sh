#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The client's handshake and -list against nbdkit, qemu-nbd, Debian's nbd-server
# and ours, on Unix sockets and on loopback. No kernel is involved.
set -eu

client=$B/nbd-client
probe=$B/test/client-probe
size=$((8 << 20))

for tool in nbdkit qemu-nbd /usr/bin/nbd-server; do
	command -v "$tool" >/dev/null || {
		echo "no $tool"
		exit 77
	}
done

work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$work"' EXIT

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# wait_for WHAT COMMAND...: until the command succeeds, at most 10 s.
wait_for() {
	local what=$1 end=$((SECONDS + 10))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || fail "$what does not start"
		read -r -t 0.05 <> <(:) || :
	done
}

# expect STATUS PATTERN COMMAND...: the command's exit status and a shell pattern for its output.
expect() {
	local status=$1 pattern=$2 output got=0
	shift 2
	output=$("$@" 2>&1) || got=$?
	echo "+ $* -> $got: $output"
	[ "$got" -eq "$status" ] || fail "exit status $got, not $status"
	# shellcheck disable=SC2053  # a pattern on purpose
	[[ $output == $pattern ]] || fail "the output is not $pattern"
}

without_output() {
	"$@" >&-
}

# check_peer NAME SOCKET EXPORT: what every server must have in common.
check_peer() {
	local uri="nbd+unix:///$3?socket=$2"

	echo "== $1"
	expect 0 "$size 0x* *" "$probe" "$uri"
	expect 0 "$size 0x* 1 0" "$probe" -g "$uri"
	expect 0 "*$3*" "$client" -list -unix "$2"
	expect 0 "*$3*" "$client" --list "$uri"
}

truncate -s "$size" "$work/image"

nbdkit -f -U "$work/nbdkit" --export=disk file "$work/image" &
pids+=($!)
wait_for nbdkit test -S "$work/nbdkit"
check_peer nbdkit "$work/nbdkit" ''

nbdkit -f -U "$work/info" --filter=exportname memory "$size" \
	exportname=one exportname='two words' exportname-list=explicit exportname-strict=true &
pids+=($!)
wait_for nbdkit test -S "$work/info"
expect 0 $'one\ntwo words' "$client" -l -u "$work/info"
expect 0 "$size *" "$probe" "nbd+unix:///two%20words?socket=$work/info"
expect 100 'export "three": *' "$probe" "nbd+unix:///three?socket=$work/info"

nbdkit -f -U "$work/blocks" --filter=blocksize-policy memory "$size" \
	blocksize-minimum=4096 blocksize-preferred=64K blocksize-maximum=1M &
pids+=($!)
wait_for nbdkit test -S "$work/blocks"
expect 0 "$size 0x* 4096 1048576" "$probe" "nbd+unix:///?socket=$work/blocks"

printf 'client:%064d\n' 0 >"$work/keys"
nbdkit -f -U "$work/tls" --tls=require --tls-psk="$work/keys" memory "$size" &
pids+=($!)
wait_for nbdkit test -S "$work/tls"
expect 100 '*the server wants TLS*NBD_REP_ERR_TLS_REQD*' "$probe" "nbd+unix:///?socket=$work/tls"
expect 100 '*the server wants TLS*' "$client" -l -u "$work/tls"

qemu-nbd -f raw -k "$work/qemu" -x disk -e 9 -t "$work/image" &
pids+=($!)
wait_for qemu-nbd test -S "$work/qemu"
check_peer qemu-nbd "$work/qemu" disk
expect 100 'export "nope": the server has no such export (NBD_REP_ERR_UNKNOWN*' \
	"$probe" "nbd+unix:///nope?socket=$work/qemu"
expect 100 'export "nope": refused: the server closed the connection*' \
	"$probe" -g "nbd+unix:///nope?socket=$work/qemu"

# nbd-server 3.24 hangs up on every client of its Unix socket and cannot choose a port itself.
debian_start() {
	debian_port=$((20000 + RANDOM))
	printf '%s\n' '[generic]' "port = $debian_port" 'listenaddr = 127.0.0.1' \
		'allowlist = true' '[disk]' "exportname = $work/image" >"$work/config"
	/usr/bin/nbd-server -C "$work/config" -p "$work/pid"
}
wait_for "Debian's nbd-server" debian_start
wait_for "Debian's nbd-server" test -s "$work/pid"
pids+=("$(cat "$work/pid")")
echo "== Debian's nbd-server"
expect 0 "$size 0x* *" "$probe" "nbd://127.0.0.1:$debian_port/disk"
expect 0 "$size 0x* 1 0" "$probe" -g "nbd://localhost:$debian_port/disk"
expect 0 "*disk" "$client" -list localhost "$debian_port"
expect 100 'export "nope": *' "$probe" "nbd://127.0.0.1:$debian_port/nope"

"$B/nbd-server" -n 127.0.0.1@0 "$work/image" 2>"$work/ready" &
pids+=($!)
wait_for 'our nbd-server' grep -q ready: "$work/ready"
port=$(sed -n 's/.*ready: listening on 127\.0\.0\.1://p' "$work/ready")
echo '== ours'
expect 0 "$size 0x* *" "$probe" "nbd://127.0.0.1:$port/"
expect 0 "$size 0x* 1 0" "$probe" -g "nbd://127.0.0.1:$port/"
expect 0 '*' "$client" -l 127.0.0.1 "$port"
expect 100 '*export "nope": *' "$probe" "nbd://localhost:$port/nope"
# What it prints must not go to the server when it has no standard output.
: >"$work/ready"
expect 0 '' without_output "$client" -l 127.0.0.1 "$port"
wait_for 'the end of the list' grep -q 'left with NBD_OPT_ABORT' "$work/ready"

echo '== no NBD server at all'
expect 111 '*connect: *' "$client" -l -u "$work/nobody"
expect 100 '*cannot find the address*' "$client" -l no-such-host.invalid
