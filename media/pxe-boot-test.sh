#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: pxe-boot-test.sh bios|pxelinux|uefi|proxy|proxy-pxelinux|proxy-uefi|http
#
# A machine with nothing but a network card boots from what "make pxe" made, by the dnsmasq that
# swapsafe-pxe configures: the real DHCP, TFTP and HTTP on a network of their own, no root needed. UEFI
# is OVMF's own PXE and HTTP; "proxy" has a second dnsmasq as the DHCP server that was there before.
# The machine has a script of its own, whose line another machine must not get. iPXE
# and both scripts must have been sent. Prints the seconds from power on to the root's init.
# MEDIA_ROOT=debian12: to a login of that root.
set -euo pipefail

modes='bios|pxelinux|uefi|proxy|proxy-pxelinux|proxy-uefi|http'
mode=${1-}
[[ $mode =~ ^($modes)$ ]] || { echo "usage: $0 $modes" >&2 && exit 1; }
if [ "${2-}" != inside ]; then
	[ -e /dev/net/tun ] || { echo "no /dev/net/tun" && exit 77; }
	exec unshare --map-root-user --net --pid --fork --kill-child "$0" "$mode" inside
fi
PATH=$PATH:/usr/sbin:/sbin
B=${B:-build}
ovmf=/usr/share/OVMF
dir=$B/results/pxe-$mode
limit_s=600
root=${MEDIA_ROOT:-test}
arrived='init: a guest runs here'
[ "$root" = test ] || arrived='root@[a-z]*:~# ' # a distribution's own init, with a login on the console
mac=52:54:00:12:34:56
mkdir -p "$dir"
rm -rf "${dir:?}"/*

die() {
	echo "pxe-boot-test: $mode: $*: see $dir/" >&2
	exit 1
}

# Waits for text in a file that grows.
wait_text() { # REGEX FILE
	until grep -qaE "$1" "$2" 2>/dev/null; do
		[ "$SECONDS" -lt "$limit_s" ] || die "not \"$1\" after $SECONDS s"
		kill -0 "$machine" 2>/dev/null || die "QEMU ended: $(tail -n 1 "$dir/qemu.log")"
		read -r -t 0.2 <> <(:) || :
	done
}

run_dnsmasq() { # NAME
	dnsmasq -d -C "$dir/$1.conf" --dhcp-leasefile="$dir/$1.leases" --pid-file= --user=root \
		>>"$dir/$1.log" 2>&1 &
	dnsmasq=$!
}

ip link set lo up
ip tuntap add tap0 mode tap
ip address add 10.9.0.1/24 dev tap0
ip link set tap0 up

cp -r "$B/media/pxe" "$dir/tree"
options=(--range "10.9.0.10,10.9.0.20")
card=virtio-net-pci,netdev=net0,mac=$mac,romfile=
boot=()
loader=ipxe.efi
loaded=()
transport=tftp
dhcp=dnsmasq

# SeaBIOS has no PXE but iPXE in the card's ROM. Until it has loaded ours it is taken for a plain one.
by_plain_rom() {
	loader=undionly.kpxe dhcp=plain-rom card=${card%,romfile=}
	boot+=(-boot n)
}

# iPXE in the ROM does as any ROM does when it gets another loader; that never asks for our scripts.
by_pxelinux() {
	card=${card%,romfile=}
	boot+=(-boot n)
	options+=(--pxelinux all)
	loaded=(pxelinux.0 ldlinux.c32 "pxelinux.cfg/01-${mac//:/-}")
}

by_ovmf() {
	cp "$ovmf/OVMF_VARS.fd" "$dir/vars.fd"
	boot+=(-drive "if=pflash,format=raw,readonly=on,file=$ovmf/OVMF_CODE.fd"
		-drive "if=pflash,format=raw,file=$dir/vars.fd")
}

by_proxy() {
	options=(--proxy 10.9.0.0)
	ip address add 10.9.0.2/24 dev tap0
}

by_http() {
	options+=(--http http://10.9.0.1:8000)
	transport=http
}

case $mode in
bios) by_plain_rom ;;
pxelinux) by_pxelinux ;;
proxy-pxelinux) by_proxy && by_pxelinux ;;
uefi) by_ovmf && boot+=(-boot n) ;;
proxy) by_plain_rom && by_proxy ;;
proxy-uefi) by_ovmf && by_proxy && boot+=(-boot n) ;;
http)
	by_ovmf && by_http
	boot+=(-boot n -fw_cfg "name=opt/org.tianocore/IPv4PXESupport,string=no"
		-fw_cfg "name=opt/org.tianocore/IPv6PXESupport,string=no")
	;;
esac
media/swapsafe-pxe --tree "$dir/tree" --machine "$mac" \
	--line "root=nbd://\${next-server}/root rw console=ttyS0 panic=-1 of_its_own"
[ "$transport" != http ] ||
	python3 -u -m http.server --bind 10.9.0.1 --directory "$dir/tree" 8000 >"$dir/http.log" 2>&1 &
media/swapsafe-pxe --config --tree "$dir/tree" --interface tap0 "${options[@]}" >"$dir/dnsmasq.conf"
sed '/dhcp-match=set:ipxe/d' "$dir/dnsmasq.conf" >"$dir/plain-rom.conf"
printf '%s\n' port=0 interface=tap0 bind-interfaces dhcp-range=10.9.0.30,10.9.0.40 log-dhcp >"$dir/other.conf"
[ "${mode%%-*}" != proxy ] || run_dnsmasq other
run_dnsmasq "$dhcp"

cp --sparse=always "$B/roots/$root.ext4" "$dir/root.img"
printf '[generic]\nlistenaddr = 10.9.0.1\n[root]\nexportname = %s\n' "$(realpath "$dir/root.img")" >"$dir/server.conf"
"$B/nbd-server" -n -C "$dir/server.conf" 2>"$dir/server.log" &

SECONDS=0
qemu-system-x86_64 -nodefaults -display none -no-reboot -machine pc,graphics=off -m 512M \
	-cpu "qemu64,vendor=GenuineIntel,+rdrand" "${boot[@]}" \
	-netdev tap,id=net0,ifname=tap0,script=no,downscript=no \
	-device "$card" -device virtio-rng-pci -serial "file:$dir/console.log" 2>"$dir/qemu.log" &
machine=$!
if [ "$dhcp" = plain-rom ]; then
	wait_text "sent .*/$loader" "$dir/plain-rom.log"
	kill "$dnsmasq"
	wait "$dnsmasq" || :
	run_dnsmasq dnsmasq
fi
wait_text "$arrived" "$dir/console.log"
time_s=$SECONDS
grep -q 'Command line: .* of_its_own' "$dir/console.log" || die "the machine did not get its own script"
# The kernel and the initramfs are proven by what runs; dnsmasq may miss the end of the last file.
[ ${#loaded[@]} -gt 0 ] || loaded=("$loader" swapsafe.ipxe "machine-${mac//:/-}.ipxe")
for file in "${loaded[@]}"; do
	if [ "$transport" = http ]; then
		grep -q "GET /$file HTTP.* 200" "$dir/http.log" || die "$file did not come by HTTP"
	else
		grep -qs "sent .*/$file to" "$dir/plain-rom.log" "$dir/dnsmasq.log" ||
			die "$file was not sent"
	fi
done
echo "pxe-boot-test: $mode: root's init after $time_s s"
