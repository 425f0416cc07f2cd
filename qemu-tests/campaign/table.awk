# SPDX-License-Identifier: GPL-2.0-or-later
#
# The table of a swap campaign; results.awk has read the lines. Exits 1 when a column that must hold
# has failed or a run has no outcome.

function head(	m, text) {
	for (m in machines)
		text = text " " m
	printf "Swap campaign, %s to %s, on%s\n\n", first, last, text
	printf "%-17s %-18s %-12s %5s %5s %5s %5s %6s %7s %6s %7s %7s %8s %6s %7s\n", "column",
		"kernel", "build", "runs", "ok", "hang", "slow", "killed", "corrupt", "kernel",
		"trouble", "cells", "at most", "s/run", "cpu/run"
}

function summary(c) {
	printf "%-17s %-18s %-12s %5d %5d %5d %5d %6d %7d %6d %7d %7s %6.1f %% %6.0f %7.1f\n", c,
		release[c], build[c], runs[c], with[c, "ok"], with[c, "hang"], with[c, "slow"],
		with[c, "killed"], with[c, "corrupt"], with[c, "kernel"], with[c, "trouble"],
		cells_with_runs[c] + 0 "/" cells_of[c], 100 * upper_bound(failed[c] + 0, runs[c] + 0),
		seconds[c] / all[c], cpu_s[c] / all[c]
}

function legend() {
	print ""
	print "hang: no progress of the process and of its swap device for 60 s. slow: moved, but was"
	print "not done in time. killed: the kernel had no memory left. corrupt: a page was not what"
	print "had been written. kernel: BUG, WARNING, hung task, I/O error. trouble: the harness failed,"
	print "not counted. cells: how many of the column's had a run. at most: the failure rate that the"
	print "runs leave possible (95 % confidence)."
	if (other_builds)
		printf "\n%d runs of other builds are in the file and not in this table.\n", other_builds
}

function body(	i, j, c, entry) {
	printf "\nFailed of runs, by cell\n\n%-28s", ""
	for (i = 1; i <= columns; i++)
		if (all[column[i]])
			printf " %17s", column[i]
	print ""
	for (j = 1; j <= cell_count; j++) {
		printf "%-28s", cells[j]
		for (i = 1; i <= columns; i++) {
			c = column[i]
			if (!all[c])
				continue
			entry = cell_runs[c, cells[j]] ? cell_failed[c, cells[j]] + 0 "/" \
				cell_runs[c, cells[j]] : "."
			if (cell_failed[c, cells[j]])
				entry = cell_why[c, cells[j]] " " entry
			printf " %17s", entry
		}
		print ""
	}
}

END {
	count()
	head()
	for (i = 1; i <= columns; i++) {
		c = column[i]
		if (!all[c])
			continue
		summary(c)
		bad += must_hold(c) && failed[c]
		bad += runs[c] == 0
	}
	legend()
	body()
	if (failures)
		printf "\nFailures\n\n"
	for (i = 1; i <= failures; i++)
		print failure[i]
	exit bad > 0
}
