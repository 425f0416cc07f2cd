#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The table of bench/cost: a kernel that costs more than the noise fails, and so does noise.
set -eu

cd "$(dirname "$0")/.."
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

# Three runs of two rounds for both kernels; FACTOR and SPREAD are in percent.
fill() { # FACTOR SPREAD
	awk -v factor="$1" -v spread="$2" 'BEGIN {
		for (run = 1; run <= 3; run++)
			for (round = 1; round <= 2; round++) {
				control = 100 + (run - 2) * spread / 2
				print 0, run, "stream", round, control * factor / 100
				print 1, run, "stream", round, control
			}
	}' >"$lines"
}

# The exit status and the last words of the table.
expect() { # STATUS WORDS
	status=0
	table=$(awk -v names="ours control" -v limit=5 -v nic=none -v runs=3 -f bench/cost.awk "$lines") ||
		status=$?
	echo "$table"
	[ "$status" = "$1" ]
	case $table in
	*"  $2") ;;
	*) exit 1 ;;
	esac
}

fill 100 1
expect 0 ok
fill 100.5 1
expect 0 ok
fill 102 1
expect 1 "costs more"
fill 90 1
expect 0 ok
fill 100 6
expect 1 "too noisy"
