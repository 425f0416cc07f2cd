# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
DESCRIPTION="the boot scripts of Debian and dracut, as packaged, and the calls of others attach by our client"
ROOT=ram SWAP=64M
KERNELS=debian

# What the scripts expect around them and the test root has not.
prepare() {
	network
	mkdir -p /bin /lib /run/initramfs
	cat >/scripts/functions <<-'EOT'
		log_begin_msg() { echo "$*"; }
		log_failure_msg() { echo "$*" >&2; }
		wait_for_udev() { :; }
		configure_networking() { :; }
	EOT
	printf '#!/bin/sh\n' >/bin/udevadm
	chmod +x /bin/udevadm
	truncate -s 16M /tmp/disk
	printf '[generic]\nlistenaddr = 127.0.0.1\nport = 10809\n[disk]\nexportname = /tmp/disk\n' >/tmp/config
	nbd-server -C /tmp/config
	nbd-server 127.0.0.1@2000 /tmp/disk
}

# What a script left behind: an attached device, whose client is ours.
attached() { # DEVICE [CONDITION-ON-ITS-STATUS]
	nbd-client -check "$1" >/tmp/pid
	grep -qx @nbd-client "/proc/$(cat /tmp/pid)/comm" || tr '\0' '\n' <"/proc/$(cat /tmp/pid)/cmdline" | grep -qx @nbd-client
	nbd-client -status | tee /tmp/status
	grep "${1##*/nbd}" /tmp/status | grep -q "${2:-disk}"
	dd if="$1" of=/dev/null bs=64k count=1
	nbd-client -d "$1"
	expect_failure nbd-client -c "$1"
}

debian() { # BOOT-LINE
	echo "$1" >/tmp/cmdline
	mount --bind /tmp/cmdline /proc/cmdline
	sh -ex /scripts/local-top/nbd
	umount /proc/cmdline
}

dracut() { # ROOT-VALUE
	(root=block:/dev/nbd0 && export root && sh -x /sbin/nbdroot lo "$1" /sysroot)
}

guest() {
	prepare
	debian 'nbdroot=127.0.0.1,disk,nbd0'
	attached /dev/nbd0
	debian 'nbdroot=127.0.0.1:10809/disk root=/dev/nbd2'
	attached /dev/nbd2
	debian 'nbdroot=127.0.0.1/disk nbddev=/dev/nbd3'
	attached /dev/nbd3

	dracut nbd:127.0.0.1:disk
	attached /dev/nbd0
	dracut nbd:127.0.0.1:2000:ext4:rw
	attached /dev/nbd0 2000
	dracut nbd:127.0.0.1:disk:ext4:ro:-swap,-C,4,bs=4096
	attached /dev/nbd0

	# Alpine, Arch and archiso, Debian's init script, busybox's applet.
	nbd-client 127.0.0.1 2000 /dev/nbd1
	attached /dev/nbd1 2000
	nbd-client 127.0.0.1 -N disk -systemd-mark -persist /dev/nbd0
	attached /dev/nbd0
	echo 'nbd4 127.0.0.1 disk swap,persist' >/etc/nbdtab
	nbd-client nbd4
	attached /dev/nbd4
	nbd-client -b 1024 -N disk -t 30 -p 127.0.0.1 10809 /dev/nbd5
	attached /dev/nbd5
}
