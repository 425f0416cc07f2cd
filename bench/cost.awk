# SPDX-License-Identifier: GPL-2.0-or-later
#
# Lines "WHICH RUN NAME ROUND INSTRUCTIONS" become the table of bench/cost. WHICH is 0 for the
# kernel in question and 1 for the control. The figure of a run is the median of its rounds. Run N
# of one kernel and run N of the other are a pair; the difference is the mean of the pairs'
# differences, and the noise is what that mean is uncertain by (95 %, Student's t).

function median(values, count,    i, j, value) {
	for (i = 2; i <= count; i++) {
		value = values[i]
		for (j = i - 1; j > 0 && values[j] > value; j--)
			values[j + 1] = values[j]
		values[j + 1] = value
	}
	return count % 2 ? values[(count + 1) / 2] : (values[count / 2] + values[count / 2 + 1]) / 2
}

function figure_of(which, run, test,    round, list) {
	split("", list)
	for (round = 1; (which, run, test, round) in measured; round++)
		list[round] = measured[which, run, test, round]
	return median(list, round - 1)
}

# Sets ours, control, difference and noise of a test.
function compare(test,    run, a, b, percent, squares) {
	ours = control = difference = squares = 0
	for (run = 1; run <= runs; run++) {
		a = figure_of(0, run, test)
		b = figure_of(1, run, test)
		percent[run] = 100 * (a - b) / b
		ours += a / runs
		control += b / runs
		difference += percent[run] / runs
	}
	for (run = 1; run <= runs; run++)
		squares += (percent[run] - difference) ^ 2
	noise = t[runs] * sqrt(squares / (runs - 1) / runs)
}

{
	measured[$1, $2, $3, $4] = $5
	if (!($3 in seen)) {
		seen[$3] = 1
		tests[++test_count] = $3
	}
}

END {
	split("- 12.71 4.30 3.18 2.78 2.57 2.45 2.36 2.31 2.26", t, " ")
	split(names, kernel, " ")
	printf "Instructions of the guest per byte (per question), no memalloc socket, %s, %d pairs of runs.\n", nic, runs
	printf "%-20s %14s %14s %11s %8s\n", "", kernel[1], kernel[2], "difference", "noise"
	for (i = 1; i <= test_count; i++) {
		compare(tests[i])
		verdict = noise >= limit ? "too noisy" : difference > noise ? "costs more" : "ok"
		if (verdict != "ok")
			failed = 1
		printf "%-20s %14.3f %14.3f %+10.2f%% %7.2f%%  %s\n", tests[i], ours, control, difference, noise, verdict
	}
	exit failed
}
