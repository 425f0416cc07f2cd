#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # dracut sets them
#
# dracut(8) module "nbd": root and swap on network block devices. It has the name of
# dracut's own module and a lower number, and so takes its place. What the image gets
# is the static nbd-client, drivers, and hooks that call the client; the boot line, the
# network, swap and root are the client's. For dracut 059 and for dracut-ng.

# The client that "make install" has put beside this, or that nbd_client= in dracut.conf(5) names.
find_client() {
	echo "${nbd_client:-$dracutsysrootdir@SBIN@/nbd-client}"
}

check() {
	local client pid
	client=$(find_client)
	"$client" -version 2>/dev/null | grep -q Swapsafe || {
		dinfo "nbd: $client is not the client of Swapsafe, which this module needs"
		return 1
	}
	# An image for this machine alone needs the module if a device is attached now.
	[[ $hostonly ]] || [[ $mount_needs ]] || return 0
	for pid in "${nbd_sysfs:-/sys/block}"/nbd*/pid; do
		[[ -e $pid ]] && return 0
	done
	return 255
}

depends() {
	local module
	echo base kernel-network-modules shutdown udev-rules
	# dracut-ng has made a module of the queue in which we wait for cards.
	for module in "$dracutbasedir"/modules.d/[0-9][0-9]initqueue; do
		[[ ! -d $module ]] || echo initqueue
	done
}

# Whatever the machine is that makes the image: the root may be one of these somewhere else.
installkernel() {
	hostonly='' instmods nbd af_packet ext4 squashfs overlay dm_crypt ecb xts 8021q bonding
}

install() {
	inst_simple "$(find_client)" /usr/sbin/nbd-client
	inst_hook cmdline 20 "$moddir/claim.sh"
	inst_hook initqueue/settled 20 "$moddir/boot.sh"
	inst_hook shutdown 90 "$moddir/release.sh"
	# Where the client writes the name servers; dracut's network module writes its own file.
	dracut_module_included network ||
		ln -sfn /run/nbd-client/resolv.conf "$initdir/etc/resolv.conf"
	dracut_need_initqueue
}
