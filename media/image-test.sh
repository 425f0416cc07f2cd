#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# swapsafe-image refuses by one line what it cannot make, and what it makes of a tar is what machine and
# server need. Scenario 17 boots one. No root needed.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

B=${B:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SWAPSAFE_KIT=$PWD/$B/image-kit SWAPSAFE_IPXE=$work/ipxe

fail() {
	echo "image-test: $*" >&2
	exit 1
}

run_tool() { # ARGUMENT...
	fakeroot media/swapsafe-image "$@" >"$work/out" 2>&1
}

refused() { # TEXT ARGUMENT...
	local text=$1 status=0
	shift
	run_tool "$@" || status=$?
	[ "$status" = 100 ] || fail "$*: exit $status: $(cat "$work/out")"
	[ "$(wc -l <"$work/out")" = 1 ] || fail "$*: more than one line: $(cat "$work/out")"
	grep -qF -- "swapsafe-image: $text" "$work/out" || fail "$*: says $(cat "$work/out"), not $text"
}

# A system of a disk, as small as one can be.
mkdir -p "$work/system"/{etc/network,boot,sbin,lib/modules} "$work/ipxe" "$work/empty"
touch "$work/ipxe/undionly.kpxe" "$work/ipxe/ipxe.efi" "$work/system/sbin/init"
echo old >"$work/system/boot/vmlinuz-6.1.0-9"
echo kernel >"$work/system/boot/vmlinuz-6.1.0-10"
echo 0123 >"$work/system/etc/machine-id"
printf 'root:*:1:0:99999:7:::\nother:!:1::::::\n' >"$work/system/etc/shadow"
cat >"$work/system/etc/fstab" <<-END
	# a comment
	UUID=12-34	/	ext4	errors=remount-ro 0 1
	overlay / overlay defaults 0 0
	/dev/sda2  none  swap sw 0 0
	/swapfile none swap sw 0 0
	LABEL=data /data xfs defaults 0 2
	server:/home /home nfs rw 0 0
	tmpfs /tmp tmpfs size=10% 0 0
END
cat >"$work/system/etc/network/interfaces" <<-END
	auto lo
	iface lo inet loopback
	allow-hotplug eth0
	iface eth0 inet dhcp
END
fakeroot tar -C "$work/system" -czf "$work/system.tar.gz" .
rm "$work/system/boot"/*
fakeroot tar -C "$work/system" -cf "$work/no-kernel.tar" .
echo secret >"$work/password"

# Bad input.
tar=(--image "$work/system.tar.gz")
refused 'one of --debian, --machine and --image' "$work/new"
refused '--debian, --machine and --image exclude' --machine "${tar[@]}" "$work/new"
refused '--debian 12: wants the name of a release' --debian 12 "$work/new"
refused '--include and --sources go with --debian' --machine --include vim "$work/new"
refused '--partition goes with --image' --machine --partition 1 "$work/new"
refused '--partition x: wants a number' "${tar[@]}" --partition x "$work/new"
refused 'which folder' "${tar[@]}"
refused 'b: one folder is enough' "${tar[@]}" a b
refused "$work/password: is no folder" "${tar[@]}" "$work/password"
refused '--bogus: not an option' --bogus
refused '--name: wants a value' "${tar[@]}" --name
refused '--name a/b: wants letters' "${tar[@]}" --name a/b "$work/new"
refused '--format xfs: wants ext4 or squashfs' "${tar[@]}" --format xfs "$work/new"
refused '--size 8GB: wants a number' "${tar[@]}" --size 8GB "$work/new"
refused '--size: a squashfs' "${tar[@]}" --size 8G --format squashfs "$work/new"
refused '--writable: a squashfs' "${tar[@]}" --writable --format squashfs "$work/new"
refused '--swap much: wants' "${tar[@]}" --swap much "$work/new"
refused '--image /nowhere: cannot be read' --image /nowhere "$work/new"
refused "/nowhere: cannot be read" "${tar[@]}" --ssh-key /nowhere "$work/new"
refused 'the boot line would be nbdopts=crypr: ' "${tar[@]}" --line nbdopts=crypr "$work/new"
[ ! -e "$work/new" ] || fail "bad options make a folder"
refused "$work/password: is no tar" --image "$work/password" "$work/new"
refused '--partition 2: ' "${tar[@]}" --partition 2 "$work/new"
refused 'the system has no /boot/vmlinuz-*' --image "$work/no-kernel.tar" "$work/new"
refused "--kernel $work/empty: has neither" "${tar[@]}" --kernel "$work/empty" "$work/new"
truncate -s 4M "$work/disk"
printf 'label: dos\nsize=1MiB\n' | sfdisk -q "$work/disk"
refused "$work/disk: is a disk with partitions" --image "$work/disk" "$work/new"
refused '--partition 3: ' --image "$work/disk" --partition 3 "$work/new"
[ -z "$(ls -A "$work/new")" ] || fail "a failure leaves $(ls -A "$work/new")"
SWAPSAFE_KIT=/nowhere refused '/nowhere: has no parts to install' "${tar[@]}" "$work/new"

# A file of root.img.
shows() { # PATH
	debugfs -R "cat $1" "$work/new/root.img" 2>/dev/null
}

run_tool "${tar[@]}" --password-file "$work/password" --hostname room "$work/new" || fail "$(cat "$work/out")"
e2fsck -fn "$work/new/root.img" >/dev/null 2>&1 || fail "root.img: not clean"
[ "$(shows /etc/fstab | grep -c '^# diskless: ')" = 5 ] || fail "fstab: $(shows /etc/fstab)"
[ "$(shows /etc/fstab | grep -vc '^#')" = 2 ] || fail "fstab: $(shows /etc/fstab)"
shows /etc/network/interfaces | grep -qx '# diskless: allow-hotplug eth0' || fail "interfaces"
shows /etc/network/interfaces | grep -qx 'auto lo' || fail "interfaces: lo"
[ -z "$(shows /etc/machine-id)" ] || fail "machine-id is not empty"
[ "$(shows /etc/hostname)" = room ] || fail "hostname: $(shows /etc/hostname)"
hash=$(shows /etc/shadow | sed -nE 's/^root:([^:]+):1:0:99999:7:::$/\1/p')
[ "$(openssl passwd -6 -salt "$(cut -d '$' -f 3 <<<"$hash")" secret)" = "$hash" ] || fail "shadow: $(shows /etc/shadow)"
shows /etc/shadow | grep -qx 'other:!:1::::::' || fail "shadow: other"
cmp "$B/nbd-client" <(shows /usr/local/sbin/nbd-client)
cmp "$B/initramfs/busybox.cpio.gz" <(shows /boot/swapsafe-initrd.img-6.1.0-10)
cmp "$B/initramfs/busybox.cpio.gz" "$work/new/pxe/initrd.gz"
[ "$(cat "$work/new/pxe/vmlinuz")" = kernel ] || fail "6.1.0-9 is not the newest kernel"
# shellcheck disable=SC2016 # iPXE expands it
line='root=nbd://${next-server}/root rw ip=dhcp nbdoverlay=tmpfs,size=150% nbdswap=nbd://${next-server}/root-swap/%m'
grep -qF -- "hexhyp} $line" "$work/new/pxe/boot.ipxe" || fail "boot.ipxe: $(cat "$work/new/pxe/boot.ipxe")"
grep -qxF "Line:      $line" "$work/out" || fail "says: $(cat "$work/out")"
[ -e "$work/new/pxe/ipxe.efi" ] || fail "no loaders"
printf '[generic]\nincludedir = %s\n' "$work/new" >"$work/server.conf"
"$B/nbd-server" --check "$work/server.conf" >"$work/checked" 2>&1 || fail "server: $(cat "$work/checked")"

# Once more, as a squashfs for one server, in the place of the first; the first goes on for who has it open.
exec {old}<"$work/new/root.img"
run_tool "${tar[@]}" --format squashfs --swap 0 --server 10.0.0.1:999 --name x --line quiet "$work/new" ||
	fail "$(cat "$work/out")"
[ "$(head -c 4 "$work/new/root.img")" = hsqs ] || fail "no squashfs"
[ "$(dd bs=1 skip=1080 count=2 status=none <&"$old" | od -An -tx1)" = ' 53 ef' ] || fail "was written over"
grep -qF 'root=nbd://10.0.0.1:999/x rw ip=dhcp nbdoverlay=tmpfs,size=150% quiet' "$work/new/pxe/boot.ipxe"
[ "$(ls -A "$work/new")" = "$(printf '%s\n' pxe root.conf root.img swap x.conf)" ] || fail "leaves $(ls -A "$work/new")"

# An image of an image, for one machine, with a kernel that has no modules.
mkdir "$work/6.12"
echo other >"$work/6.12/bzImage"
run_tool --image "$work/new/root.img" --kernel "$work/6.12" --writable --size 80M "$work/own" || fail "$(cat "$work/out")"
[ "$(stat -c %s "$work/own/root.img")" = $((80 << 20)) ] || fail "--size 80M: $(stat -c %s "$work/own/root.img")"
[ "$(cat "$work/own/pxe/vmlinuz")" = other ] || fail "--kernel"
grep -qx 'exclusive = true' "$work/own/root.conf" || fail "--writable"
! grep -q nbdoverlay "$work/own/pxe/boot.ipxe" || fail "--writable: overlay"
refused 'root.img: ' --image "$work/new/root.img" --kernel "$work/6.12" --size 200K "$work/own"
[ "$(stat -c %s "$work/own/root.img")" = $((80 << 20)) ] || fail "a failure changes the image"

# The manual and --help list the same options.
media/swapsafe-image --help | grep -oE '^ +--[a-z-]+' | tr -d ' ' | sort >"$work/help"
sed -nE 's/^\.It Fl -([a-z-]+).*/--\1/p' media/swapsafe-image.8 | sort | diff - "$work/help"
