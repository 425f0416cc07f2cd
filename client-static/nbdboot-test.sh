#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The manual page of the kernel command line names what cmdline.c takes, no more and no less.
set -eu

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
sed -n '/^static const struct parameter.*{$/,/^};/p' client-static/cmdline.c |
	grep -o '{{"[^"]*"' | cut -d '"' -f 2 | sort -u >"$lists/code"
grep '^\.It Cm' client-static/nbdboot.7 | grep -o 'Cm [A-Za-z_.*]*' | cut -d ' ' -f 2 |
	sort -u >"$lists/manual"
[ -s "$lists/code" ]
diff -u "$lists/code" "$lists/manual"
