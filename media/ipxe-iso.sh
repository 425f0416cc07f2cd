#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ipxe-iso.sh IPXE-FOLDER SCRIPT IMAGE
#
# One image that starts iPXE from a CD and, written as it is, from a USB stick.  GRUB is there because
# it starts on all four: on BIOS it hands SCRIPT to iPXE; on UEFI iPXE takes none, and loads what DHCP
# names.
set -eu

ipxe=$1 script=$2 image=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/boot/grub"
cp -L "$ipxe/ipxe.lkrn" "$ipxe/ipxe.efi" "$work/tree/boot/"
cp "$script" "$work/tree/boot/swapsafe.ipxe"
cat >"$work/tree/boot/grub/grub.cfg" <<'END_OF_MENU'
set timeout=0
menuentry "Swapsafe: iPXE" {
	if [ "$grub_platform" = efi ]; then
		chainloader /boot/ipxe.efi
	else
		linux16 /boot/ipxe.lkrn
		initrd16 /boot/swapsafe.ipxe
	fi
}
END_OF_MENU
grub-mkrescue -o "$work/image" --install-modules="linux16 chain normal iso9660 part_gpt part_msdos fat search echo test" \
	--fonts= --themes= --locales= "$work/tree" >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	echo "ipxe-iso: grub-mkrescue failed: are its packages there? make deps" >&2
	exit 1
}
mv "$work/image" "$image"
