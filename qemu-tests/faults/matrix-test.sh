#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The fault matrix must say of each cell what became of its machine and nothing of a cell that was not
# tested, and go on where it was stopped: the tool is the real one, the runner a script.
set -euo pipefail

unset LEVELS USES FAULTS EXHAUSTED
series='fault-matrix'
tool=qemu-tests/faults/matrix
. qemu-tests/lib/runs-testbed.sh
export LEVELS='l2 stock' USES='swap both' FAULTS='kill stop slow' EXHAUSTED=no

expect 1 FAULTS=flood
[[ $output = *'FAULTS: "flood": not one of: kill '* ]] || fail "a wrong fault is not named"
expect 1 LEVELS=
[[ $output = *'LEVELS=: empty; words of: stock '* ]] || fail "no level is not named"

# The outcomes, and what the table has of them.
cat >"$work/machine" <<-'END'
	echo ready >events.log
	[[ $name != stock-both-stop* ]] || echo "guest: exit 1: corrupt: a page was not what had been written" >verdict
END
cat >"$work/answers" <<-'END'
	stock-swap-kill@debian|kernel: Buffer I/O error on dev nbd1
	stock-swap-stop@debian|hang: stopped for 180 s; hog: pass 1
	stock-swap-slow@debian|guest: exit 1: untested: no process keeps the device
	stock-both-kill@debian|guest: exit 1: corrupt: file 7 or the one before
	stock-both-stop@debian|kernel: I/O error, dev nbd1, sector 8
	stock-both-slow@debian|host: after: root.img: not clean, see e2fsck.log
END
expect 0
expect_text "$table" '^kill  +\. +error +corrupt +\. +\. +\. +\. +\. +\. +\. +survived +survived *$'
expect_text "$table" '^stop  +\. +hang +corrupt .* survived +survived *$'
expect_text "$table" '^slow  +\. +untested +corrupt .* survived +survived *$'
expect_text "$table" '^stock-swap-slow: untested: no process keeps the device$'
expect_text "$table" '^stock-swap-stop: hang: stopped for 180 s; hog: pass 1$'
[ "$(grep -E '^[a-z0-9-]+  ' "$table" | grep -o survived | wc -l)" = 6 ] || fail "cells that were not run have survived"
folder=("$B"/report/fault-matrix/stock-swap-kill@debian-*)
[ -e "${folder[0]}/console.log.gz" ] || fail "no evidence of an error"

# What has an outcome is not run again; another part of the matrix comes to what is there.
expect 0
[[ $output = *'12 runs, 12 done before, 0 to do'* ]] || fail "cells are run again"
echo 'l1-root-kill-exhausted@l1|kernel: INFO: task hog:77 blocked for more than 80 seconds.' >"$work/answers"
expect 1 LEVELS=l1 USES=root EXHAUSTED=yes
expect_text "$table" '^l1-root-kill-exhausted: hang: kernel: INFO'
expect_text "$table" '^kill  +\. +\. +\. +\. +\. +\. +hang +\. +\. +\. '
expect_text "$table" '^kill  +\. +error +corrupt .* survived +survived *$'

# A machine that is not ready for the fault, or whose host failed, has not been tested: it is run twice,
# the cell says so, and the next time it is run again.
cat >"$work/machine" <<-'END'
	[[ $name = l0-swap-kill* ]] || echo ready >events.log
END
cat >"$work/answers" <<-'END'
	l0-swap-kill@debian|hang: stopped for 180 s; no line of a load
	l0-swap-stop@debian|host: proxy: no such port
END
expect 1 LEVELS=l0 USES=swap
expect_text "$table" '^kill .* error +corrupt +\. +untested +\. '
expect_text "$table" '^stop .* hang +corrupt +\. +untested +\. '
: >"$work/answers"
echo 'echo ready >events.log' >"$work/machine"
expect 1 LEVELS=l0 USES=swap # as of before: the cell of l1
[[ $output = *'3 runs, 1 done before, 2 to do'* ]] || fail "what was not tested is not run again"
expect_text "$table" '^kill .* error +corrupt +\. +survived +\. '

# Stopped in the middle.
echo 'l2-root-stop@6.12|wait' >"$work/answers"
expect_stops LEVELS=l2 USES=root
: >"$work/answers"
expect 1 LEVELS=l2 USES=root
[[ $output = *'3 runs, 1 done before, 2 to do'* ]] || fail "does not go on where it was"
[ "$(made_twice)" = "" ] || fail "a cell was run twice"

# Another client: what was run with the old one is not in the table.
echo 'another client' >"$B/nbd-client"
expect 1 LEVELS=l2 FAULTS=kill USES=swap
expect_text "$table" '^[0-9]+ runs of other builds are in the file and not in this table'
expect_text "$table" '^kill .* \. +survived +\. *$'
