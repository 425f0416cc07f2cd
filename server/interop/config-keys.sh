#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every key and option of nbd-server 3.24 to 3.27, in a form that its manual has: taken, or
# refused by one line that names it and says what to do. None is unknown.
# shellcheck source=server/interop/lib.sh
. "$(dirname "$0")/lib.sh"

config=$work/config
truncate -s 1M "$work/disk"
echo 127.0.0.1 >"$work/allow"
mkdir "$work/conf.d"

# check SECTION WHAT LINE: --check says what WHAT tells: "taken", "no effect", or "refused".
check() {
	local status=0 said=no key=${3%% *}
	if [ "$1" = generic ]; then
		printf '[generic]\n%s\n[disk]\nexportname = %s\n' "$3" "$work/disk" >"$config"
	else
		printf '[generic]\n[disk]\nexportname = %s\n%s\n' "$work/disk" "$3" >"$config"
	fi
	"$nbd_server" --check "$config" >"$work/output" 2>"$work/message" || status=$?
	! grep -q 'unknown' "$work/message" || fail "$3: $(cat "$work/message")"
	[ ! -s "$work/message" ] || expect "$3: lines" 1 "$(wc -l <"$work/message")"
	case $2 in
	taken) expect "$3: $(cat "$work/message")" 0 "$(wc -l <"$work/message")" ;;
	'no effect') said="$key has no effect: " ;;
	refused) said="$key.* not implemented" ;;
	*) fail "what is $2?" ;;
	esac
	[ "$2" = refused ] || expect "$3: exit of --check" 0 "$status"
	[ "$2" != refused ] || expect "$3: exit of --check" 2 "$status"
	[ "$2" = taken ] || grep -qE ":[0-9]+: $said" "$work/message" ||
		fail "$3: expected $said in: $(cat "$work/message")"
}

keys=0
while read -r section what line; do
	[ "$what" = none ] && what='no effect'
	check "$section" "$what" "${line//WORK/$work}"
	keys=$((keys + 1))
done <<'END'
generic taken allowlist = true
generic refused cacertfile = /etc/ca.pem
generic refused certfile = /etc/server.pem
generic refused keyfile = /etc/server.key
generic taken force_tls = false
generic refused force_tls = true
generic refused tlsprio = NORMAL
generic taken group = nogroup
generic taken user = nobody
generic taken includedir = WORK/conf.d
generic taken listenaddr = 127.0.0.1
generic taken port = 10809
generic taken max_threads = 8
generic taken workers = 2
generic taken oldstyle = false
generic taken oldstyle = true
generic none splice = true
generic taken unixsock = WORK/socket
generic taken duallisten = true
disk taken authfile = WORK/allow
disk taken copyonwrite = false
disk refused copyonwrite = true
disk taken sparse_cow = false
disk refused sparse_cow = true
disk taken filesize = 65536
disk taken flush = true
disk taken fua = true
disk taken force_tls = false
disk refused force_tls = true
disk refused tlsonly = true
disk refused listenaddr = 127.0.0.1
disk refused port = 10809
disk taken maxconnections = 4
disk taken multifile = false
disk refused multifile = true
disk refused treefiles = true
disk refused prerun = true %s
disk refused postrun = true %s
disk taken readonly = true
disk taken rotational = true
disk refused sdp = true
disk taken sync = true
disk taken temporary = false
disk refused temporary = true
disk none timeout = 30
disk refused transactionlog = WORK/log
disk taken trim = true
disk none virtstyle = ipliteral
disk none virtstyle = cidrhash 24
disk refused waitfile = true
END
[ "$keys" -gt 45 ] || fail "only $keys lines were looked at"

# One file for each client, and a layer without per_client.
printf '[disk]\nexportname = %s/%%s\n' "$work" >"$config"
! "$nbd_server" --check "$config" 2>"$work/message" || fail '%s in exportname is taken'
grep -qF "$config:2: exportname = $work/%s: %s" "$work/message" || fail "$(cat "$work/message")"
printf '[disk]\nexportname = %s/disk\ncowdir = %s\n' "$work" "$work" >"$config"
! "$nbd_server" --check "$config" 2>"$work/message" || fail 'cowdir alone is taken'
expect 'cowdir alone: lines' 1 "$(wc -l <"$work/message")"

# The options of the command line, as its synopsis has them.
for options in '-r' '-M 4' '-C /dev/null' '-l ALLOW' '-p PID' '-d' '-n' '65536'; do
	options=${options/ALLOW/$work/allow}
	# shellcheck disable=SC2086
	server_start 127.0.0.1:0 "$work/disk" ${options/PID/$work/pid}
	server_stop
done
expect '-o' '[section]' "$("$nbd_server" 10809 "$work/disk" -o section | head -n 1)"
"$nbd_server" -V >/dev/null
for options in -m -c; do
	! "$nbd_server" $options 127.0.0.1:0 "$work/disk" 2>"$work/message" || fail "$options is taken"
	expect "$options: lines" 1 "$(wc -l <"$work/message")"
	grep -q -- "$options is not implemented: " "$work/message" || fail "$(cat "$work/message")"
done
