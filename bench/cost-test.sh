#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The table of bench/cost: a kernel that costs more than the noise fails, and so does noise.
set -eu

cd "$(dirname "$0")/.."
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

# Five runs of three rounds for both kernels: FACTOR percent of the control, more or less SPREAD.
fill() { # FACTOR SPREAD
	awk -v factor="$1" -v spread="$2" 'BEGIN {
		for (run = 1; run <= 5; run++)
			for (round = 1; round <= 3; round++) {
				print 0, run, "stream", round, factor + (run % 3 - 1) * spread
				print 1, run, "stream", round, 100
			}
	}' >"$lines"
}

# The exit status and the last words of the table.
expect() { # STATUS WORDS
	status=0
	table=$(awk -v names="ours control" -v limit=5 -v nic=none -v runs=5 -f bench/cost.awk "$lines") ||
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
fill 100.1 0
expect 1 "costs more"
fill 90 1
expect 0 ok
fill 100 6
expect 1 "too noisy"
