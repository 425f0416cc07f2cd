#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: pxe-loaders.sh IPXE-FOLDER DIR [SYSLINUX-FOLDER]
#
# Puts iPXE for BIOS and for UEFI into DIR beside what pxe-tree.sh made, and the script that both load
# first: the machine's own, machine-MAC.ipxe, or else boot.ipxe. Also pxelinux, where it is installed.
set -eu

ipxe=$1 dir=$2 syslinux=${3-/usr/lib}
for file in undionly.kpxe ipxe.efi; do
	[ -e "$ipxe/$file" ] || { echo "pxe-loaders: $ipxe/$file: not found: install ipxe" >&2 && exit 1; }
	cp "$ipxe/$file" "$dir/"
done

for file in PXELINUX/pxelinux.0 syslinux/modules/bios/ldlinux.c32; do
	[ ! -e "$syslinux/$file" ] || cp "$syslinux/$file" "$dir/"
done

cat >"$dir/swapsafe.ipxe" <<'END'
#!ipxe
chain machine-${netX/mac:hexhyp}.ipxe || chain boot.ipxe
END
