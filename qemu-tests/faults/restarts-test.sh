#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The sum of the restarts must count the machines that survived and no other, and have the times right:
# the tool is the real one, the runner a script.
set -euo pipefail

unset BOOTS KERNEL
series='proof-restarts'
tool=qemu-tests/faults/restarts
. qemu-tests/lib/runs-testbed.sh

expect 1 BOOTS=
[[ $output = *'BOOTS=: how many machines'* ]] || fail "BOOTS missing is not named"

# What the wire says: the number of the machine in tenths of a second after each of so many restarts,
# and before the first one what is none.
cat >"$work/machine" <<-'END'
	round=${name#restarts-r} round=${round%@*}
	echo 12345 >proxy.out
	printf 'first-request root 8.000\nfirst-request swap 9.000\n' >>proxy.out
	for i in $(seq "$(cat "${B%/build/*}/restarts")"); do
		printf 'gone swap\nfirst-request swap 0.%s00\ngone root\nfirst-request root 7.000\n' "$round" >>proxy.out
	done
END
echo 10 >"$work/restarts"
expect 0 BOOTS=3
expect_text "$table" '^6.12.7-test, build [0-9a-f]{12}, on tcg-single: 3 of 3 machines survived 10 restarts'
expect_text "$table" '^from the first accepted .* 30 times:$'
expect_text "$table" '^median 0\.200 s, 95 of 100 within 0\.300 s, worst 0\.300 s$'
expect_text "$table" '^every page .* shown$'

# More machines; a wire that saw a restart less, and one that fails.
echo 9 >"$work/restarts"
expect 1 BOOTS=4
[[ $output = *'4 runs, 3 done before, 1 to do'* ]] || fail "machines are run again"
expect_text "$table" '^restarts-r4@6.12: trouble: '
expect_text "$table" ' 3 of 4 machines '
expect_text "$table" '^every page .* NOT SHOWN$'
echo 10 >"$work/restarts"
echo 'restarts-r5@6.12|kernel: I/O error, dev nbd1, sector 8' >"$work/answers"
expect 1 BOOTS=5
[[ $output = *'5 runs, 3 done before, 2 to do'* ]] || fail "what has no outcome is not run again"
expect_text "$table" '^restarts-r5@6.12: error: kernel: I/O error'
expect_text "$table" ' 4 of 5 machines '

# Too slow is not what is claimed.
sed -i 's/swap 0\.%s00/swap %s.500/' "$work/machine"
: >"$work/answers"
expect 1 BOOTS=6 KERNEL=6.1
expect_text "$table" '^median 3\.500 s, .* worst 6\.500 s$'
expect_text "$table" '^median under 1 s .* NOT SHOWN$'
expect_text "$table" '^worst under 6 s .* NOT SHOWN$'
