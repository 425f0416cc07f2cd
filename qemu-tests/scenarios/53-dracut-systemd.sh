# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="an image of dracut with systemd boots Debian 12 to multi-user.target on root and swap, and Ctrl-Alt-Del ends it clean"
ROOT=debian12 MEM=384M TIMEOUT=150 INITRD=dracut
KERNELS=debian

requires() {
	is_built roots/debian12.ext4 && has_initrd
}

host() {
	expect_console '^press Ctrl-Alt-Del'
	ctrl_alt_del
}

networkctl_says_unmanaged() {
	networkctl status eth0 --no-pager | grep -q unmanaged
}

guest() {
	systemctl is-active multi-user.target
	[ -z "$(systemctl --failed --no-legend --plain | tee /dev/stderr)" ]
	expect_root nbd0
	expect_swap /dev/nb1
	systemctl is-active nbd-swap-keep
	[ "$(systemctl show -P ActiveState dev-nb1.swap)" = active ]
	# A network manager that wants every interface does not get the one of the root.
	printf '[Match]\nName=e*\n[Network]\nAddress=192.0.2.7/24\n' >/etc/systemd/network/10-all.network
	systemctl start systemd-networkd
	until networkctl_says_unmanaged; do sleep 0.1; done # the end of TIMEOUT at most
	ip -4 address show dev eth0 | grep -q 10.0.2.15
	expect_failure grep 192.0.2.7 /proc/net/fib_trie
	# Swap is older than the init of this root, which came when dracut's systemd switched.
	swap_s=$(dmesg | sed -nE 's/^\[ *([0-9]+)\..* swap on \/dev\/nb1.*/\1/p')
	init_us=$(systemctl show -P UserspaceTimestampMonotonic)
	[ $((swap_s * 1000000)) -lt "$init_us" ] || fail "swap at $swap_s s, init at $init_us us"
	end_by 'echo press Ctrl-Alt-Del >/dev/console; sleep 1000'
}

after() {
	expect_clean_root && expect_detached root swap
}
