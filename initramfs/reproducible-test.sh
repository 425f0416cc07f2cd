#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The image and the modules are the same bytes when somebody else packs them at another time.
set -eu

made=$B/initramfs/busybox.cpio.gz
if [ ! -e "$made" ]; then
	echo "skip: $made is not built"
	exit 77
fi
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
cp "$B/nbd-client" "$again/client"
touch --date=2001-01-01 "$again/client"
umask 077
export TZ=Asia/Tokyo LC_ALL=C.UTF-8
fakeroot initramfs/pack-image.sh "${BUSYBOX:-/bin/busybox}" "$again/client" "$again/image"
cmp "$made" "$again/image"

made=$B/initramfs/modules-debian.cpio.gz
if [ -e "$made" ]; then
	initramfs/pack-modules.sh "$B/kernel/debian" "$(cat "$B/kernel/debian/release")" \
		"$again/modules" 2>/dev/null
	cmp "$made" "$again/modules"
fi
