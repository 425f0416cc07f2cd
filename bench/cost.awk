# SPDX-License-Identifier: GPL-2.0-or-later
#
# Lines "WHICH RUN NAME ROUND INSTRUCTIONS" become the table of bench/cost. WHICH is 0 for the
# kernel in question and 1 for the control. The figure of a run is the median of its rounds, that of
# a kernel the median of its runs; its noise is the largest minus the smallest run, in percent of it.

function median(values, count,    i, j, value) {
	for (i = 2; i <= count; i++) {
		value = values[i]
		for (j = i - 1; j > 0 && values[j] > value; j--)
			values[j + 1] = values[j]
		values[j + 1] = value
	}
	return count % 2 ? values[(count + 1) / 2] : (values[count / 2] + values[count / 2 + 1]) / 2
}

# Sets figure and noise of one kernel in one test.
function judge(which, test,    run, round, list, of_runs) {
	for (run = 1; run <= runs; run++) {
		split("", list)
		for (round = 1; (which, run, test, round) in measured; round++)
			list[round] = measured[which, run, test, round]
		of_runs[run] = median(list, round - 1)
	}
	figure = median(of_runs, runs)
	noise = 100 * (of_runs[runs] - of_runs[1]) / figure
}

{
	measured[$1, $2, $3, $4] = $5
	if (!($3 in seen)) {
		seen[$3] = 1
		tests[++test_count] = $3
	}
}

END {
	split(names, kernel, " ")
	printf "Instructions of the guest per byte (per question), no memalloc socket, %s, %d runs each, in turn.\n", nic, runs
	printf "%-20s %14s %14s %11s %8s  %s\n", "", kernel[1], kernel[2], "difference", "noise", ""
	for (i = 1; i <= test_count; i++) {
		judge(0, tests[i])
		ours = figure
		most = noise
		judge(1, tests[i])
		if (noise > most)
			most = noise
		difference = 100 * (ours - figure) / figure
		verdict = "ok"
		if (most >= limit)
			verdict = "too noisy"
		else if (difference > most)
			verdict = "costs more"
		if (verdict != "ok")
			failed = 1
		printf "%-20s %14.3f %14.3f %+10.2f%% %7.2f%%  %s\n", tests[i], ours, figure, difference, most, verdict
	}
	exit failed
}
