#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The runner's last line and exit status must be what its scenarios came to, whatever way they end.
# The runner is the real one; QEMU is a script that runs guest() here, so no kernel is needed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset KERNEL FLAVOUR NIC JOBS CORE V LINES_OF_RUN
export B=$work QEMU=$work/machine SCENARIOS=$work/scenarios ACCEL=tcg
mkdir "$work/roots" "$work/qemu-tests" "$SCENARIOS"
touch "$work/roots/test.cpio.gz"
ln -s "$(type -P true)" "$work/qemu-tests/tsc-khz"

# Runs guest() of the scenario on the boot line, and leaves the verdict.
cat >"$QEMU" <<-'END'
	#!/bin/bash
	[[ $* =~ id=verdict,path=([^ ]+).*\ scenario=([^ ]+) ]] || exit
	. "$SCENARIOS/${BASH_REMATCH[2]}.sh"
	echo "ok   a line of the console"
	if guest; then echo 'guest: pass'; else echo "guest: exit $?"; fi >"${BASH_REMATCH[1]}"
END
chmod +x "$QEMU"

scenario() { # NAME DEFINITIONS
	printf '%s\n' "DESCRIPTION='it is like this' ROOT=ram SWAP=0" "$2" >"$SCENARIOS/$1.sh"
}

fail() {
	echo "run-test: $*" >&2
	exit 1
}

# Runs scenarios and checks the exit status and the last line; leaves what was printed in $output.
expect() { # STATUS LAST-LINE PREFIX...
	local want=$1 line=$2 status=0
	shift 2
	output=$(qemu-tests/run "$@" 2>&1) || status=$?
	printf '+ run %s -> %s\n%s\n' "$*" "$status" "$output"
	[ "$status" = "$want" ] || fail "exit status $status, not $want"
	[ "${output##*$'\n'}" = "$line" ] || fail "the last line is not: $line"
}

expect_line() { # EXTENDED-REGEX
	grep -qE "^$1" <<<"$output" || fail "no line is like: $1"
}

# Nothing ran, and one line says why.
expect_refused() { # LINE PREFIX...
	expect 1 "$@"
	[ "$output" = "$1" ] || fail "more than that line was printed"
}

scenario 10-passes 'guest() { true; }'
scenario 11-passes-too 'guest() { true; }'
scenario 20-fails 'guest() { false; }'
scenario 30-skipped 'requires() { echo "not today"; return 1; }; guest() { true; }'
scenario 40-host-fails 'host() { false; }; guest() { true; }'
scenario 41-host-exits 'host() { exit 0; }; guest() { true; }'
scenario 50-killed 'host() { kill -KILL $$; }; guest() { true; }'
scenario 51-not-reached 'guest() { true; }'

expect 0 '2 passed, 0 failed, 0 skipped' 1
expect_line 'ok   10-passes '
expect_line 'ok   11-passes-too '
expect 1 '2 passed, 1 failed, 1 skipped' 1 2 3
expect_line 'FAIL 20-fails .* guest: exit 1 '
expect_line 'skip 30-skipped .* not today'
expect 0 '0 passed, 0 failed, 1 skipped' 30
V=1 expect 1 '0 passed, 1 failed, 0 skipped' 20
expect 1 '0 passed, 2 failed, 0 skipped' 4
expect_line 'FAIL 40-host-fails .* host: host\(\): exit 1 '
expect_line 'FAIL 41-host-exits .* no result'
JOBS=1 expect 1 '0 passed, 2 failed, 0 skipped' 5
expect_line 'FAIL 50-killed .* no result'
expect_line 'FAIL 51-not-reached .* no result'
scenario 10-passes 'host() { exit 0; }; guest() { true; }'
expect 1 '0 passed, 1 failed, 0 skipped' 10

expect_refused 'run: 99: no scenario has a name that starts so' 1 99
printf 'guest() { true; }\n' >"$SCENARIOS/60-silent.sh"
expect_refused 'run: 60-silent: has no DESCRIPTION'
expect_refused 'run: 60-silent: has no DESCRIPTION' --debug 60
