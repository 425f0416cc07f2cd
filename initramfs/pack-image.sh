#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: pack-image.sh BUSYBOX CLIENT OUT (below fakeroot, for the device node)
#
# The boot image without modules: our static client as /init, busybox for DHCP
# and for the rescue shell, and nothing else. initramfs/applets.txt names the
# applets; the kernel opens /dev/console before /init can mount anything.
set -eu

busybox=$1 client=$2 out=$3
here=$(dirname "$0")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

umask 022
mkdir -p "$root"/bin "$root"/dev "$root"/etc "$root"/proc "$root"/root "$root"/run \
	"$root"/sbin "$root"/sys "$root"/tmp
chmod 755 "$root"
mknod -m 600 "$root/dev/console" c 5 1
install -m 755 "$client" "$root/init"
install -m 755 "$busybox" "$root/bin/busybox"
ln -s ../init "$root/sbin/nbd-client"
ln -s ../init "$root/sbin/udhcpc-event"
ln -s ../run/nbd-client/resolv.conf "$root/etc/resolv.conf"
known=$("$busybox" --list)
while read -r applet; do
	case $applet in '' | '#'*) continue ;; esac
	printf '%s\n' "$known" | grep -Fqx -- "$applet" || {
		echo "pack-image: $busybox: has no applet $applet" >&2
		exit 1
	}
	ln -s busybox "$root/bin/$applet"
done <"$here/applets.txt"
"$here/cpio.sh" "$root" "$out"
