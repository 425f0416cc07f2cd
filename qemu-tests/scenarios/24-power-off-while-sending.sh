# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="a machine whose kernel sends to the end powers off"
ROOT=ram SWAP=64M SMP=1 TIMEOUT=20
KERNELS=6.1
APPEND='initcall_debug loglevel=7' # a line, and so a delay, for each device that is shut down

guest() {
	network
	nbd-client -N swap 10.0.2.2 "$port" /dev/nb0
	for reader in 1 2 3 4; do
		while dd if=/dev/nb0 of=/dev/null bs=1M iflag=direct; do :; done >/dev/null 2>&1 &
	done
	data_comes() { [ "$(awk '{ print $1 }' /sys/block/nbd0/stat)" -ge 1000 ]; }
	within 30 data_comes || fail "the card receives nothing"
	echo 20 >/proc/sys/kernel/printk_delay
}
