# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
DESCRIPTION="Debian 12 with systemd boots on root and swap and ends clean, its server killed while it boots, swaps and ends"
ROOT=debian12 MEM=256M TIMEOUT=120
KERNELS="debian 6.12"

requires() {
	is_built roots/debian12.ext4
}

host() {
	expect_console 'Reached target .*System Initialization'
	server_stop KILL
	server_start
	wait_event swapped
	server_stop KILL
	let_pass 3
	server_start
	tell restarted
	expect_console 'Sending SIGTERM to remaining processes'
	server_stop KILL
	let_pass 3
	server_start
}

guest() {
	systemctl is-active multi-user.target
	[ -z "$(systemctl --failed --no-legend --plain | tee /dev/stderr)" ]
	expect_root nbd0
	expect_swap /dev/nb1
	systemctl is-active nbd-swap-keep
	systemd-analyze verify --man=no multi-user.target nbd-swap-keep.service >/run/verify 2>&1 || cat /run/verify
	expect_failure grep -E 'cycle|nbd' /run/verify
	hog 240M 0
	expect_swapped 32
	say swapped
	hog_until restarted 240M
	# The ways to end differ in what systemd leaves out.
	case $(uname -r) in
	*-swapsafe) end_by 'systemctl reboot -f' ;;
	esac
}

after() {
	expect_clean_root && expect_detached root swap
}
