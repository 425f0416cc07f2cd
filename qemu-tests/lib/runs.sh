# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many runs of scenarios, whose outcomes are lines of one file: the swap campaign, the fault matrix and
# the restarts. A run is named WHAT@KERNEL. Runs are made that have no outcome yet from what is tested
# now, so a series may be stopped at any time and goes on with the same command.
#
# Enters: $prog, the name in messages; $target, the make target that builds what it needs; $series, the
# name of the results: build/report/$series.tsv, and the folder $series of evidence of what failed;
# and these functions of the caller:
#   build_digest KERNEL     what an outcome depends on, in one word
#   write_scenario NAME     the scenario $kit/scenarios/NAME.sh, without @KERNEL
#   outcome_of LINE FOLDER  one word for the runner's line; `trouble` is run once more and never counts
#   reason LINE FOLDER      what the line says besides
#   hog_size NAME           MiB of memory that the run fills
B=$(realpath -m "${B:-build}")
kit=$B/runs/$series
results=$B/report/$series.tsv
evidence=$B/report/$series
runner=${RUNNER:-qemu-tests/run}

die() {
	echo "$prog: $*" >&2
	exit 1
}

# What is tested, as it was when the series started: the kernels, the client and the server.
copy_kit() { # KERNEL...
	local kernel file
	local files=(nbd-client nbd-server qemu-tests/hog qemu-tests/tsc-khz
		roots/test.ext4 roots/test.cpio.gz
		initramfs/busybox.cpio.gz initramfs/busybox-debian.cpio.gz)
	for kernel in debian "$@"; do
		files+=("$(kernel_image "$kernel")")
		[ "$kernel" != l1 ] || files+=(roots/test-l1.cpio.gz initramfs/busybox-l1.cpio.gz)
	done
	rm -rf "$kit"/{results,scenarios}
	mkdir -p "$kit/scenarios"
	for file in "${files[@]}"; do
		mkdir -p "$kit/$(dirname "$file")"
		cmp -s "$B/$file" "$kit/$file" ||
			cp --reflink=auto --sparse=always "$B/$file" "$kit/$file" ||
			die "$B/$file: not built; \"make $target\" builds all that it needs"
	done
}

kernel_image() { # KERNEL
	case $1 in
	debian | l1) echo kernel/debian/vmlinuz ;;
	*) echo "kernel/$1/bzImage" ;;
	esac
}

# The first words of the version string of a bzImage (Documentation/arch/x86/boot.rst,
# kernel_version): what uname -r says.
kernel_release() { # IMAGE
	local offset
	offset=$(od -An -tu2 -j 526 -N 2 "$1")
	tail -c "+$((offset + 512 + 1))" "$1" | head -c 256 | tr '\0' '\n' | head -n 1 | cut -d ' ' -f 1
}

keep_evidence() { # FOLDER OUTCOME
	local kept
	kept=$evidence/$(basename "$1")-$build
	if [ "$2" != ok ] && [ -d "$1" ]; then
		rm -rf "$1"/*.{img,in,out,sock} "$kept"
		mv "$1" "$kept"
		gzip "$kept/console.log"
	fi
	rm -rf "$1"
}

# What can be told of any run: warnings of the kernel that are no failure of the process.
count_warnings() { # FOLDER
	grep -cas 'page allocation failure' "$1/console.log"
}

# No subshell may stand between this process and the runner: its end is what ends the runner.
measure_run() { # NAME
	local line cpu_s warnings machine user system
	TIMEFORMAT='%R %U %S'
	{
		time SCENARIOS=$kit/scenarios B=$kit \
			setpriv --pdeathsig TERM "$runner" --one "$1" >"$kit/$1.line" 2>&1
	} 2>"$kit/$1.time"
	read -r seconds user system <"$kit/$1.time"
	line=$(tail -n 1 "$kit/$1.line")
	rm "$kit/$1".{line,time}
	outcome=$(outcome_of "$line" "$kit/results/$1")
	detail=$(reason "$line" "$kit/results/$1")
	warnings=$(count_warnings "$kit/results/$1")
	cpu_s=$(awk -v u="$user" -v s="$system" 'BEGIN { printf "%.1f", u + s }')
	[ "${warnings:-0}" = 0 ] || detail="$warnings failed allocations; $detail"
	detail=${detail//$'\t'/ }
	machine=${ACCEL:-$(cut -d ' ' -f 2 "$kit/qemu-tests/accel")}
	[ "$machine" != tcg ] || machine=tcg-$TCG_THREAD
	fields=("$(date -u +%FT%TZ)" "$1" "$outcome" "$release" "$build" "$machine" \
		"$(hog_size "$1")" "$seconds" "$cpu_s" "${detail%; }")
	keep_evidence "$kit/results/$1" "$outcome"
}

# The runner's reason alone, without what says that it is a failure.
reason_of_failure() { # LINE
	[[ $1 = 'ok '* ]] || sed -E 's/^FAIL +[^ ]+ +[0-9]+s +//; s/  [^ ]+\/$//; s/^hang: //
		s/^guest: exit [0-9]+: (corrupt|killed|untested): //' <<<"$1"
}

# One run and its line; once more when the harness and not the machine was at fault.
one_run() { # NAME
	local kernel=${1#*@} build release outcome seconds detail fields
	build=$(build_digest "$kernel")
	release=$(kernel_release "$kit/$(kernel_image "$kernel")")
	write_scenario "$1"
	measure_run "$1"
	[ "$outcome" != trouble ] || measure_run "$1"
	(IFS=$'\t' && echo "${fields[*]}") >>"$results"
	printf '%-8s %-48s %5.0fs  %s\n' "$outcome" "$1" "$seconds" "$detail"
}

# Runs of the plan that have no outcome yet from what is tested now, as $to_do.
find_runs_to_do() { # RUN...
	local run outcome build
	local -A digest=() is_done=()
	to_do=()
	while IFS=$'\t' read -r _ run outcome _ build _; do
		[ "$outcome" = trouble ] || is_done["$run $build"]=1
	done <"$results"
	for run; do
		: "${digest[${run#*@}]:=$(build_digest "${run#*@}")}"
		[ -n "${is_done["$run ${digest[${run#*@}]}"]:-}" ] || to_do+=("$run")
	done
}

# Makes the runs that are left, in this order, JOBS at a time.
make_runs() { # RUN...
	local titles=(time run outcome release build machine hog_mib seconds cpu_seconds detail)
	local to_do kernels
	mapfile -t kernels < <(printf '%s\n' "${@#*@}" | sort -u)
	mkdir -p "$kit" "$evidence"
	exec {lock}>"$kit/lock"
	flock -n "$lock" || die "another one runs in $B"
	copy_kit "${kernels[@]}"
	[ -e "$results" ] || (IFS=$'\t' && echo "${titles[*]}") >"$results"
	find_runs_to_do "$@"
	echo "$prog: $# runs, $(($# - ${#to_do[@]})) done before," \
		"${#to_do[@]} to do, ${JOBS:-$(nproc)} at a time"
	if [ ${#to_do[@]} -gt 0 ]; then
		printf '%s\n' "${to_do[@]}" | setpriv --pdeathsig TERM xargs -P "${JOBS:-$(nproc)}" -n 1 \
			setpriv --pdeathsig TERM "$0" --one
	fi
}

# One thread for all CPUs of a machine: on a host with fewer CPUs than the machines that run have
# together, CPUs that wait for each other cost twice the time.
export TCG_THREAD=${TCG_THREAD:-single}
