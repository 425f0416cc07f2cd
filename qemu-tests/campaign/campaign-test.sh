#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The campaign must go on where it was stopped, never count the runs of another build, and report
# what the runner said: the tool is the real one, the runner a script that answers by the run's name.
set -euo pipefail

unset ONLY RUNS
series='campaign-swap'
tool=qemu-tests/campaign/run
. qemu-tests/lib/runs-testbed.sh

expect 1 RUNS=
[[ $output = *'RUNS=: how many runs'* ]] || fail "RUNS missing is not named"
expect 1 ONLY=nothing RUNS=5
[[ $output = *'ONLY=nothing: none of: patched@6.12 '* ]] || fail "a wrong ONLY is not named"

# The outcomes, and what they are counted as.
cat >"$work/answers" <<-'END'
	stock-virtio-net-64M*6.12-stock|hang: stopped for 60 s: 0 requests of swap done meanwhile; hog: pass 0
	stock-virtio-net-64M*6.1-stock|hang: too slow: hog: pass 1
	stock-e1000-96M*6.12-stock|guest: exit 1: corrupt: 92876 kB of memory
	stock-e1000-96M*6.1-stock|guest: exit 1: killed: hog by signal 9
	stock-virtio-net-96M*debian|kernel: BUG: scheduling while atomic
	patched-virtio-net-64M*6.12|host: no images
END
expect 0 RUNS=19
expect_text "$table" '^stock@6.12-stock +6.12-stock.7-test +[0-9a-f]{12} +2 +0 +1 +0 +0 +1 +0 +0 +2/48 '
expect_text "$table" '^stock@6.1-stock .* 2 +0 +0 +1 +1 +0 +0 +0 +2/48 '
expect_text "$table" '^stock@debian .* 1 +0 +0 +0 +0 +0 +1 +0 +1/24 '
expect_text "$table" '^patched@6.12 .* 3 +3 +0 +0 +0 +0 +0 +1 +3/48 '
expect_text "$table" '^virtio-net-64M-loss0-1cpu .* hang 1/1 '
expect_text "$table" '^stock-virtio-net-64M-.*: hang: stopped for 60 s: 0 requests'
[ "$(grep -c '^patched-virtio-net-64M.*: trouble' "$table")" = 0 ] || fail "trouble is a failure"
folder=("$B"/report/campaign-swap/stock-virtio-net-64M-*@6.12-stock-*)
[[ $(gzip -dc "${folder[0]}/console.log.gz") = *'hog: pass 0'* ]] ||
	fail "no evidence of a hang"
[ ! -e "${folder[0]}/swap.img" ] || fail "images are kept"
[ "$(find "$B/report/campaign-swap" -mindepth 1 -maxdepth 1 | wc -l)" = 6 ] ||
	fail "evidence of other runs than those that failed"
python3 -c 'import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])' \
	"$B/report/campaign-swap.svg" || fail "the plot is not XML"

# Trouble is run again, what has an outcome is not.
: >"$work/answers"
expect 0 RUNS=19
[[ $output = *'19 runs, 18 done before, 1 to do'* ]] || fail "not only the run of trouble is run again"
expect_text "$table" '^patched@6.12 .* 4 +4 +0 .* +1 +4/48 '

# Stopped in the middle: no line of the run that was cut off, no process left, then the rest.
echo 'patched-*-r1@6.1|wait' >"$work/answers"
expect_stops RUNS=38
before=$(lines)
[ "$before" -lt 39 ] || fail "nothing was left to do when it was stopped"
: >"$work/answers"
expect 0 RUNS=38
[[ $output = *"38 runs, $((before - 1)) done before"* ]] || fail "does not go on where it was"
[ "$(lines)" = 39 ] || fail "$(lines) lines, not 38 and one of trouble"
[ "$(made_twice)" = "" ] || fail "a run was made twice"

# Another client: everything anew, nothing of the old in the table; a failure of l0 is an error.
echo 'another client' >"$B/nbd-client"
echo 'l0-virtio-net-96M*debian|hang: stopped for 60 s: 3 requests of swap done meanwhile' >"$work/answers"
expect 1 RUNS=19
[[ $output = *'19 runs, 0 done before, 19 to do'* ]] || fail "runs of another client count"
expect_text "$table" '^39 runs of other builds are in the file and not in this table'
expect_text "$table" '^stock@6.12-stock .* 2 +2 +0 '
: >"$work/answers"

# The bound of no failure in 100 runs, and of 1 in 20, from tables.
{
	head -n 1 "$results"
	for i in $(seq 100); do
		printf 't\tl0-vmxnet3-256M-loss0-1cpu-r%s@debian\tok\tr\tb\tm\t400\t1\t1\t\n' "$i"
		[ "$i" -gt 19 ] || printf 't\tstock-vmxnet3-256M-loss0-1cpu-r%s@debian\tok\tr\tb\tm\t400\t1\t1\t\n' "$i"
	done
	printf 't\tstock-vmxnet3-256M-loss0-1cpu-r20@debian\thang\tr\tb\tm\t400\t1\t1\twhy\n'
} >"$work/bound.tsv"
qemu-tests/campaign/report "$work/bound.tsv" "$work" >/dev/null
expect_text "$work/campaign-swap.txt" '^l0@debian .* 100 +100 .* 1/24 +3\.0 % '
expect_text "$work/campaign-swap.txt" '^stock@debian .* 20 +19 .* 1/24 +21\.6 % '

. qemu-tests/campaign/columns.sh
# One is chosen by whole names: 6.1 is not 6.12.
for only in patched@6.1 6.1-stock stock; do
	wanted=$(columns | awk -v o="$only" '$2 == o || $3 == o || $2 "@" $3 == o' | wc -l)
	[ "$(plan 32 "$only" | sed -E 's/-.*@/@/' | sort -u | wc -l)" = "$wanted" ] ||
		fail "ONLY=$only: other columns than its own"
done

# Every column has been through all its cells before one comes again, and no run is there twice.
plan 475 >"$work/plan"
[ "$(sort -u "$work/plan" | wc -l)" = 475 ] || fail "the plan has a run twice"
for column in patched@6.12 l0@debian; do
	cells=$(columns | awk -v c="$column" '$2 "@" $3 == c { print split($4, a, ",") * split($5, a, ",") * 4 }')
	first=$(grep -E "^${column%@*}-.*@${column#*@}$" "$work/plan" | head -n "$cells")
	[ "$(sort -u <<<"$first" | grep -c -- '-r1@')" = "$cells" ] || fail "$column: not every cell in round 1"
done
