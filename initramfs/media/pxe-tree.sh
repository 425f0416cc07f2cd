#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: pxe-tree.sh DIR KERNEL INITRD BOOTLINE
#
# Makes DIR what a TFTP server hands out to iPXE: the kernel, the image, and
# boot.ipxe, whose name goes into the DHCP answer. iPXE replaces ${...} in
# BOOTLINE when the machine boots: ${next-server} is the TFTP server. BOOTIF=
# tells /init which card that was.
set -eu

dir=$1 kernel=$2 initrd=$3 boot_line=$4
mkdir -p "$dir"
cp "$kernel" "$dir/vmlinuz"
cp "$initrd" "$dir/initrd.gz"
cat >"$dir/boot.ipxe" <<END
#!ipxe
kernel vmlinuz initrd=initrd.gz BOOTIF=01-\${netX/mac:hexhyp} $boot_line
initrd initrd.gz
boot
END
