#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: pack-modules.sh BASE RELEASE OUT
#
# The modules of initramfs/modules.txt and what they depend on, from
# BASE/lib/modules/RELEASE, as an archive that goes behind the image. The order
# is decided here, by modprobe; /init reads it from load-order.
set -eu

base=$(realpath "$1") release=$2 out=$3
here=$(dirname "$0")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

umask 022
chmod 755 "$root"
target=$root/lib/modules/$release
mkdir -p "$target"

# Lines "insmod FILE" for what NAME needs, dependencies first, or "builtin NAME".
depends() {
	modprobe --config /dev/null --dirname "$base" --set-version "$release" \
		--show-depends "$1" 2>/dev/null
}

# The kernel is given plain modules: it need not know how to unpack them.
unpack() {
	case $1 in
	*.ko) cat "$1" ;;
	*.ko.xz) xz -dc "$1" ;;
	*.ko.gz) gzip -dc "$1" ;;
	*.ko.zst) zstd -dqc "$1" ;;
	*)
		echo "pack-modules: $1: not a .ko, .ko.xz, .ko.gz or .ko.zst" >&2
		exit 1
		;;
	esac
}

absent=
while read -r name optional need; do
	case $name in '' | '#'*) continue ;; esac
	if list=$(depends "$name"); then
		printf '%s\n' "$list" | sed -n "s/^insmod \([^ ]*\).*/\1 $need/p"
	elif [ "$optional" = optional ]; then
		absent="$absent $name"
	else
		echo "pack-modules: $release: has no module $name" >&2
		exit 1
	fi
done <"$here/modules.txt" >"$root/files"
[ -z "$absent" ] || echo "pack-modules: $release: absent:$absent" >&2

while read -r file need; do
	name=$(basename "${file%%.ko*}").ko
	[ ! -e "$target/$name" ] || continue
	unpack "$file" >"$target/$name"
	echo "$name${need:+ $need}"
done <"$root/files" >"$root/order"
mv "$root/order" "$target/load-order"
rm "$root/files"
"$here/cpio.sh" "$root" "$out"
