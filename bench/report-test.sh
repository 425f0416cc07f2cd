#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The report of the benchmarks: who is ahead by how much, what is short of the goal, and a plot
# for each figure that was measured.
set -euo pipefail

cd "$(dirname "$0")/.."
for tool in jq gnuplot column; do
	command -v "$tool" >/dev/null || {
		echo "$tool: not installed"
		exit 77
	}
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The summary of a case whose peers took CPU-US for an operation: NAME PEER CPU-US OPS...
summary() {
	local case=$1
	shift
	while [ $# -gt 0 ]; do
		printf '{"peer": "%s", "cpu_us_per_op": %s, "ops_per_s": %s}\n' "$1" "$2" "$3"
		printf '{"peer": "%s", "cpu_us_per_op": %s, "ops_per_s": %s}\n' "$1" "$2" "$3"
		shift 3
	done | jq -s --arg case "$case" --arg description "of the test" --slurpfile machine <(echo '{"kernel":
		"Linux", "cpu": "any", "processors": 2, "date": "now", "forced": 0}') \
		-f bench/summary.jq >"$work/$case.json"
}

# A line of the table of who is ahead.
expect() { # CASE FIGURE BEST TIMES WORDS
	grep -qE "^$1 +$2 +$3 +$4 *$5\$" "$work/report/bench.txt" || {
		echo "no line: $*"
		cat "$work/report/bench.txt"
		exit 1
	}
}

summary 10-far ours 5 200 nbdkit 10 100 qemu-nbd 20 50
summary 20-near ours 10 100 nbdkit 11 90 nbd-server 30 110
summary 30-alone ours 10 100
bench/report "$work" "$work/report"
expect 10-far cpu_us_per_op nbdkit 2 ''
expect 10-far ops_per_s nbdkit 2 ''
expect 20-near cpu_us_per_op nbdkit 1.1 'short of 1.2'
expect 20-near ops_per_s nbd-server 0.91 behind
[ "$(grep -c '^30-alone ' "$work/report/bench.txt")" = 0 ]
for figure in cpu_us_per_op ops_per_s; do
	grep -q '</svg>' "$work/report/bench-$figure.svg"
done
[ ! -e "$work/report/bench-p99_us.svg" ]
