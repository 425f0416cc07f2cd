#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# swapsafe-pxe writes what dnsmasq accepts, and refuses by one line what it cannot serve. No network.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=media/swapsafe-pxe

fail() {
	echo "pxe-test: $*" >&2
	exit 1
}

# refused TEXT ARGUMENT...: exit status 100, and one line that says TEXT.
refused() {
	text=$1
	shift
	status=0
	"$tool" --tree "$work/tree" "$@" >"$work/out" 2>&1 || status=$?
	[ "$status" = 100 ] || fail "$*: exit $status"
	grep -qF -- "$text" "$work/out" || fail "$*: says $(cat "$work/out"), not $text"
}

refused 'make pxe' --config --interface eth0 --range 10.0.0.100,10.0.0.200
refused 'make pxe' --machine 52:54:00:12:34:56 --line x
initramfs/media/pxe-tree.sh "$work/tree" /dev/null /dev/null 'root=nbd://10.0.0.1/all'
mkdir "$work/ipxe"
touch "$work/ipxe/undionly.kpxe" "$work/ipxe/ipxe.efi"
media/pxe-loaders.sh "$work/ipxe" "$work/tree" "$work/lib"
refused 'install pxelinux' --config --interface lo --range 10.0.0.100,10.0.0.200 --pxelinux all
mkdir -p "$work/lib/PXELINUX" "$work/lib/syslinux/modules/bios"
touch "$work/lib/PXELINUX/pxelinux.0" "$work/lib/syslinux/modules/bios/ldlinux.c32"
media/pxe-loaders.sh "$work/ipxe" "$work/tree" "$work/lib"

"$tool" --config --tree "$work/tree" --interface eth0 --range 10.0.0.100,10.0.0.200 >"$work/conf"
grep -qx 'dhcp-range=10.0.0.100,10.0.0.200,infinite' "$work/conf"
grep -qx "tftp-root=$work/tree" "$work/conf"
"$tool" --config --tree "$work/tree" --interface eth0 --proxy 10.0.0.0 >"$work/conf"
grep -qx 'dhcp-range=10.0.0.0,proxy' "$work/conf"
grep -qx 'pxe-service=tag:ipxe,tag:!pxelinux,x86PC,"Swapsafe",swapsafe.ipxe' "$work/conf"
"$tool" --config --tree "$work/tree" --interface eth0 --range 10.0.0.100,10.0.0.200 --http http://10.0.0.1 >"$work/conf"
grep -qx 'dhcp-boot=tag:ipxe,tag:!pxelinux,http://10.0.0.1/swapsafe.ipxe' "$work/conf"
grep -qx 'dhcp-boot=tag:!ipxe,tag:!pxelinux,tag:http,http://10.0.0.1/ipxe.efi' "$work/conf"

refused '--interface is missing' --config --range 10.0.0.100,10.0.0.200
refused '--range or --proxy' --config --interface eth0
refused 'exclude each other' --config --interface eth0 --range 10.0.0.1,10.0.0.2 --proxy 10.0.0.0
refused '--http needs --range' --config --interface eth0 --proxy 10.0.0.0 --http http://10.0.0.1/
refused 'dnsmasq refuses it' --config --interface eth0 --range nonsense
refused '--bogus: not an option' --bogus
refused '--line: wants a value' --machine 52:54:00:12:34:56 --line
refused 'not a MAC address' --machine 52:54:00:12:34 --line x
refused 'not a MAC address' --machine 52:54:00:12:34:56,52:54:00:12:34:57 --line x
refused '--line is missing' --machine 52:54:00:12:34:56
refused 'one of --config'

# shellcheck disable=SC2016 # iPXE expands it
line='root=nbd://${next-server}/own x=\1&'
"$tool" --tree "$work/tree" --machine 52:54:00:AB:34:56 --line "$line"
tail -n 3 "$work/tree/machine-52-54-00-ab-34-56.ipxe" >"$work/own"
# shellcheck disable=SC2016
printf 'kernel vmlinuz initrd=initrd.gz BOOTIF=01-${netX/mac:hexhyp} %s\ninitrd initrd.gz\nboot\n' "$line" |
	diff - "$work/own"

# pxelinux has the same lines, with this machine's address.
run="--config --tree $work/tree --interface lo"
# shellcheck disable=SC2086
"$tool" $run --range 10.0.0.100,10.0.0.200 --pxelinux 52:54:00:AB:34:56,52:54:00:12:34:57 >"$work/conf"
grep -qx 'dhcp-mac=set:pxelinux,52:54:00:AB:34:56' "$work/conf"
grep -qx 'dhcp-mac=set:pxelinux,52:54:00:12:34:57' "$work/conf"
grep -qx 'dhcp-boot=tag:pxelinux,pxelinux.0' "$work/conf"
grep -qxF "	append root=nbd://127.0.0.1/own x=\1&" "$work/tree/pxelinux.cfg/01-52-54-00-ab-34-56"
printf 'default swapsafe\nlabel swapsafe\n\tkernel vmlinuz\n\tinitrd initrd.gz\n\tipappend 2\n\tappend %s\n' \
	root=nbd://10.0.0.1/all | diff - "$work/tree/pxelinux.cfg/default"
# shellcheck disable=SC2086
"$tool" $run --proxy 10.0.0.0 --pxelinux all >"$work/conf"
grep -qx 'dhcp-match=set:pxelinux,option:client-arch,0' "$work/conf"
grep -qx 'pxe-service=tag:pxelinux,x86PC,"Swapsafe",pxelinux.0' "$work/conf"
refused 'old: not a MAC address' --config --interface lo --range 10.0.0.100,10.0.0.200 --pxelinux 52:54:00:12:34:57,old
refused 'no4: has no IPv4 address' --config --interface no4 --range 10.0.0.100,10.0.0.200 --pxelinux all

# The manual and --help list the same options.
"$tool" --help | grep -oE '^ +--[a-z]+' | tr -d ' ' | sort >"$work/help"
sed -nE 's/^\.It Fl -([a-z]+).*/--\1/p' media/swapsafe-pxe.8 | sort | diff - "$work/help"
