#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: pack-init.sh CLIENT OUT (below fakeroot, for the device node)
#
# The initramfs of the floppy: our static client as /init, and no busybox. The dictionary of xz is
# small, because the kernel takes memory for it while it unpacks.
set -eu

client=$1 out=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

umask 022
chmod 755 "$root"
mkdir "$root/dev" "$root/proc" "$root/root" "$root/run" "$root/sys"
mknod -m 600 "$root/dev/console" c 5 1
install -m 755 "$client" "$root/init"
"$(dirname "$0")/../initramfs/cpio.sh" "$root" "$out" \
	xz --check=crc32 --x86 --lzma2=preset=9e,dict=256KiB
