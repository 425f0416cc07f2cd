# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2034 # variables of bench/run
#
# How each server is started, with equal features: TCP on loopback, FLUSH, FUA,
# TRIM, no filter, no TLS; for STORE=direct past the page cache, each as well as it
# can. All of them go into the background when they are ready and write a pid file.

peer_version() { # PEER: fails when it is not installed
	case $1 in
	ours) "$B/nbd-server" --version ;;
	nbdkit) nbdkit --version ;;
	qemu-nbd) qemu-nbd --version ;;
	nbd-server) /usr/bin/nbd-server -V ;;
	*) die "$1: no such peer; there are ours, nbdkit, qemu-nbd, nbd-server" ;;
	esac 2>&1 | head -n 1
}

nbd_server_config() { # PORT
	printf '[generic]\nlistenaddr = 127.0.0.1\nport = %d\nmax_threads = 4\n' "$1"
	printf '[disk]\nexportname = %s\nflush = true\nfua = true\ntrim = true\n' "$disk"
}

# Whether PEER can do what the case asks for.
peer_can() { # PEER
	[ "$STORE" != direct ] || [ "$1" != nbd-server ]
}

peer_run() { # PEER PORT PIDFILE
	local cache
	case $1 in
	ours)
		nbd_server_config "$2" >"$work/ours.conf"
		[ "$STORE" != direct ] || echo 'direct = true' >>"$work/ours.conf"
		on 1 "$B/nbd-server" -C "$work/ours.conf" -M 12000 -p "$3"
		;;
	nbdkit)
		cache=default
		[ "$STORE" != direct ] || cache=none
		on 1 nbdkit -P "$3" -p "$2" -i 127.0.0.1 -t 16 file "$disk" cache="$cache"
		;;
	qemu-nbd)
		cache=writeback
		[ "$STORE" != direct ] || cache=none
		on 1 qemu-nbd --fork --pid-file="$3" -p "$2" -b 127.0.0.1 -t -e 0 -x disk -f raw \
			--cache="$cache" --aio=io_uring --discard=unmap "$disk"
		;;
	nbd-server)
		nbd_server_config "$2" >"$work/nbd-server.conf"
		on 1 /usr/bin/nbd-server -C "$work/nbd-server.conf" -p "$3"
		;;
	esac
}

# Sets server_pid[PEER] and server_port[PEER]; a port that is taken is not the end.
server_start() { # PEER
	local try port pid_file=$work/$1.pid
	for try in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 10000))
		rm -f "$pid_file"
		if peer_run "$1" "$port" "$pid_file" >"$work/$1.log" 2>&1 &&
			"$python" "$here/connections.py" probe "$port" >>"$work/$1.log" 2>&1; then
			server_pid[$1]=$(cat "$pid_file")
			server_port[$1]=$port
			return
		fi
		[ ! -s "$pid_file" ] || kill -TERM "$(cat "$pid_file")" # it runs, and does not serve the disk
	done
	die "$1: did not start $try times: $(cat "$work/$1.log")"
}

server_stop() { # PEER
	local pid=${server_pid[$1]}
	unset "server_pid[$1]"
	kill -TERM "$pid"
	timeout 40 tail -s 0.1 --pid="$pid" -f /dev/null || die "$1: still there 40 s after SIGTERM"
}

server_restart() { # PEER
	server_stop "$1"
	server_start "$1"
}
