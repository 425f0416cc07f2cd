# SPDX-License-Identifier: GPL-2.0-or-later
#
# The sum of the restarts. Enters: restarts, in each machine; the names of the runs that are asked for;
# then the lines of the results, of which those of the newest build count. Exits 1 when a machine
# failed or has no outcome, or the times are not what is claimed.

FNR == 1 {
	file++
	FS = file == 1 ? " " : "\t"
	$0 = $0
}

file == 1 {
	asked[$1] = 1
	asked_count++
	next
}

FNR == 1 || NF < 10 || !($2 in asked) {
	next
}

{
	lines++
	name[lines] = $2
	outcome[lines] = $3
	build_of[lines] = $5
	detail[lines] = $10
	release = $4
	build = $5
	machine = $6
}

# Insertion keeps seconds sorted.
function add_time(value,	i) {
	for (i = ++times; i > 1 && seconds[i - 1] > value; i--)
		seconds[i] = seconds[i - 1]
	seconds[i] = value
}

function add_run(i,	n, part, j) {
	if (outcome[i] != "ok") {
		print name[i] ": " outcome[i] ": " detail[i]
		bad++
		return
	}
	survived++
	n = split(detail[i], part, " ")
	for (j = 1; j <= n; j++)
		add_time(part[j] + 0)
}

function claim(what, holds) {
	printf "%-60s %s\n", what, holds ? "shown" : "NOT SHOWN"
	bad += !holds
}

END {
	for (i = 1; i <= lines; i++)
		if (build_of[i] == build)
			newest[name[i]] = i
	for (i = 1; i <= lines; i++)
		if (newest[name[i]] == i)
			add_run(i)
	printf "%s, build %s, on %s: %d of %d machines survived %d restarts of the server each\n", release,
		build, machine, survived, asked_count, restarts
	if (!times)
		exit 1
	median = seconds[int((times + 1) / 2)]
	printf "from the first accepted connection to the first request that is done, %d times:\n", times
	printf "median %.3f s, 95 of 100 within %.3f s, worst %.3f s\n", median,
		seconds[int(times * 0.95 + 0.999)], seconds[times]
	claim("every page and every file right, no error in a kernel's log", survived == asked_count)
	claim("median under 1 s", median < 1)
	claim("worst under 6 s", seconds[times] < 6)
	exit bad > 0
}
