# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the tests of what makes many runs (lib/runs.sh): the tool under test is the real one, and the
# runner a script that answers by the run's name. Enters: $series, as there, and $tool. Leaves a
# build folder in $work with files that are named like what a machine boots.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset ACCEL
export B=$work/build RUNNER=$work/runner JOBS=2 LC_ALL=C
results=$B/report/$series.tsv
table=$B/report/$series.txt

# What QEMU would say, as the name of the run and the file `answers` (PATTERN|LINE) have it, and what
# the shell lines of the file `machine` leave in the folder of the run.
cat >"$RUNNER" <<-'END'
	#!/bin/bash
	name=$2
	[ -e "$SCENARIOS/${name%@*}.sh" ] || exit 1
	mkdir -p "$B/results/$name" "$B/qemu-tests"
	echo "boot tcg" >"$B/qemu-tests/accel"
	touch "$B/results/$name/swap.img"
	echo "hog: pass 0 page 0" >"$B/results/$name/console.log"
	(cd "$B/results/$name" && . "${B%/build/*}/machine")
	while IFS='|' read -r pattern line; do
		[[ $name = $pattern ]] || continue
		[ "$line" != wait ] || { echo $$ >"${B%/build/*}/waits" && read -r _ <"${B%/build/*}/fifo"; }
		echo "FAIL $name 100s  $line  $B/results/$name/"
		exit 1
	done <"${B%/build/*}/answers"
	echo "ok   $name   20s"
END
chmod +x "$RUNNER"
mkfifo "$work/fifo" "$work/waits"
touch "$work/answers" "$work/machine"

# A bzImage is its version string here, where the boot protocol has it.
fake_kernel() { # FILE RELEASE
	mkdir -p "$(dirname "$1")"
	{
		head -c 526 /dev/zero
		printf '\0\1'
		head -c 240 /dev/zero
		printf '%s (a@b) #1\0' "$2"
	} >"$1"
}

for kernel in 6.12 6.1 6.12-stock 6.1-stock; do
	fake_kernel "$B/kernel/$kernel/bzImage" "$kernel.7-test"
done
fake_kernel "$B/kernel/debian/vmlinuz" 6.1.0-7-cloud
for file in nbd-client nbd-server qemu-tests/hog qemu-tests/tsc-khz roots/test.ext4 roots/test.cpio.gz \
	roots/test-l1.cpio.gz initramfs/busybox.cpio.gz initramfs/busybox-{debian,l1}.cpio.gz; do
	mkdir -p "$(dirname "$B/$file")"
	echo "$file" >"$B/$file"
done

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# Runs the tool and checks its exit status; what it printed is in $output.
expect() { # STATUS [NAME=VALUE...]
	local status=0 expected=$1
	shift
	output=$(env "$@" "$tool" 2>&1) || status=$?
	printf '+ %s -> %s\n%s\n' "$*" "$status" "$output"
	[ "$status" = "$expected" ] || fail "exit status $status, not $expected"
}

expect_text() { # FILE EXTENDED-REGEX
	grep -qE "$2" "$1" || fail "$1 has no line like: $2"
}

# A run waits for ever; the tool is stopped meanwhile, and the run has to end with it.
expect_stops() { # [NAME=VALUE...]
	local tool_pid waiting
	exec 3<>"$work/fifo"
	env JOBS=1 "$@" "$tool" >"$work/stopped.log" 2>&1 &
	tool_pid=$!
	read -r -t 20 waiting <>"$work/waits" || fail "no run waits"
	kill -TERM "$tool_pid"
	! wait "$tool_pid" || fail "exits with 0 when it is stopped"
	timeout 20 tail -s 0.1 --pid="$waiting" -f /dev/null || fail "a run goes on"
}

lines() {
	tail -n +2 "$results" | wc -l
}

# Runs that have an outcome more than once.
made_twice() {
	tail -n +2 "$results" | awk -F '\t' '$3 != "trouble" { print $2, $5 }' | sort | uniq -d
}
