#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: cpio.sh DIR OUT [COMPRESSOR...]
#
# Packs DIR as a compressed initramfs archive (Documentation/driver-api/
# early-userspace/buffer-format.rst). The same files give the same bytes, whoever
# builds and when: names sorted, times and owners 0, inodes renumbered.
set -eu

dir=$1 out=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- gzip --best --no-name
cd "$dir"
find . -exec touch --no-dereference --date=@0 {} +
find . -mindepth 1 -print | LC_ALL=C sort |
	cpio --quiet --reproducible --format=newc --owner=0:0 --create >"$out.cpio"
"$@" <"$out.cpio" >"$out.tmp"
rm "$out.cpio"
mv "$out.tmp" "$out"
