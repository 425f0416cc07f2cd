#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nbdinfo sees the size, flags and block sizes that we mean, and every export.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"
need nbdinfo libnbd-bin
need jq jq

# field JSON FILTER
field() {
	jq -r "$2" <<<"$1"
}

truncate -s 100M "$work/disk"
server_start 127.0.0.1:0 "$work/disk"
info=$(nbdinfo --json "$uri")
expect protocol newstyle-fixed "$(field "$info" .protocol)"
expect name '' "$(field "$info" '.exports[0]["export-name"]')"
expect size $((100 << 20)) "$(field "$info" '.exports[0]["export-size"]')"
expect is_read_only false "$(field "$info" '.exports[0].is_read_only')"
for flag in flush fua trim zero multi_conn; do
	expect "can_$flag" true "$(field "$info" ".exports[0].can_$flag")"
done
minimum=$(field "$info" '.exports[0].block_size_minimum')
preferred=$(field "$info" '.exports[0].block_size_preferred')
maximum=$(field "$info" '.exports[0].block_size_maximum')
if [ "$minimum" -lt 1 ] || [ "$minimum" -gt 512 ] || [ "$preferred" -ne 4096 ] ||
	[ "$maximum" -lt $((32 << 20)) ]; then
	fail "block sizes: $minimum/$preferred/$maximum, expected <= 512/4096/>= 32 MiB"
fi
server_stop

server_start -r 127.0.0.1:0 "$work/disk"
info=$(nbdinfo --json "$uri")
expect 'is_read_only with -r' true "$(field "$info" '.exports[0].is_read_only')"
expect 'can_multi_conn with -r' true "$(field "$info" '.exports[0].can_multi_conn')"
server_stop

# A size on the command line wins over that of the file.
server_start 127.0.0.1:0 "$work/disk" 64M
expect 'size 64M' $((64 << 20)) "$(nbdinfo --size "$uri")"
server_stop

truncate -s 3M "$work/three"
cat >"$work/config" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = 0
	allowlist = true

	[root]
	exportname = $work/disk
	readonly = true

	[swap/a]
	exportname = $work/three

	[plain]
	exportname = $work/three
	flush = false
	fua = false
	trim = false
END
server_start -C "$work/config"
list=$(nbdinfo --json --list "$uri")
expect 'names in LIST' 'plain root swap/a' \
	"$(field "$list" '[.exports[]["export-name"]] | sort | join(" ")')"
expect 'size of root' $((100 << 20)) "$(nbdinfo --size "$uri/root")"
expect 'size of swap/a' $((3 << 20)) "$(nbdinfo --size "$uri/swap/a")"
expect 'trim = false' false "$(nbdinfo --json "$uri/plain" | jq .exports[0].can_trim)"
expect 'flush = false' false "$(nbdinfo --json "$uri/plain" | jq .exports[0].can_flush)"

# nbdinfo --list asks with INFO, plain nbdinfo with GO: both must say the same (descriptions
# it takes from LIST, which has none).
for name in root swap/a plain; do
	by_info=$(field "$list" ".exports[] | select(.[\"export-name\"] == \"$name\")")
	by_go=$(field "$(nbdinfo --json "$uri/$name")" '.exports[0]')
	diff <(jq -S 'del(.content, .uri, .description)' <<<"$by_info") <(jq -S 'del(.content, .uri, .description)' <<<"$by_go") ||
		fail "$name: INFO and GO differ"
done

! nbdinfo --size "$uri/missing" 2>"$work/missing" || fail 'missing export: accepted'
grep -q missing "$work/missing" || fail "missing export: the client was not told its name"
server_stop
