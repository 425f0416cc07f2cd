# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="-doctor calls a machine with root and swap on NBD swap-safe, and without supervisors only with our driver"
KERNELS="debian 6.12"

diagnose() { # EXPECTED-STATUS PATTERN...
	status=0
	nbd-client -doctor >/tmp/said || status=$?
	cat /tmp/said
	[ "$status" = "$1" ] || fail "-doctor exits with $status, not $1"
	shift
	for pattern; do grep -qE "$pattern" /tmp/said || fail "-doctor does not say: $pattern"; done
}

guest() {
	diagnose 0 '^ok   swap: on /dev/nb1$' '^ok   card: .* driver virtio_net' \
		'^ok   /dev/nb0: kept by process [0-9]+, [0-9]+ KiB locked' '^level L[02]: this machine is swap-safe'
	nbd-client -doctor -json >/tmp/said
	grep -q '"swap_safe": true' /tmp/said

	# shellcheck disable=SC2046 # one word for each
	kill -KILL $(pidof @nbd-client)
	while pidof @nbd-client; do :; done
	case $(uname -r) in
	*-swapsafe*) diagnose 0 "^warn /dev/nb1: has no supervisor: the driver makes a lost connection again" ;;
	*) diagnose 100 "^FAIL /dev/nb1: has no supervisor" "^level none: this machine is NOT swap-safe" ;;
	esac
}
