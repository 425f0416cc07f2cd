# SPDX-License-Identifier: GPL-2.0-or-later
#
# The table of the fault matrix from the lines of its runs. Enters: faults, the names in their order. A
# level shows the runs of its newest build; those of others are only counted. Exits 1 when a cell of
# l1 or l2 did not survive, or a run has no outcome.

BEGIN {
	FS = "\t"
	levels = split("stock l0 l1 l2", level, " ")
	uses = split("root swap both", use, " ")
	fault_count = split(faults, fault, " ")
	word["ok"] = "survived"
	word["trouble"] = "untested"
}

FNR == 1 || NF < 10 {
	next
}

{
	lines++
	name[lines] = substr($2, 1, index($2, "@") - 1)
	level_of[lines] = substr($2, 1, index($2, "-") - 1)
	outcome[lines] = $3
	line_build[lines] = $5
	detail[lines] = $10
	build[level_of[lines]] = $5
	release[level_of[lines]] = $4
	machines[$6] = 1
	first = first ? first : $1
	last = $1
}

# A run that has an outcome has the last line of its cell: it is not run again.
function count(	i) {
	for (i = 1; i <= lines; i++) {
		if (line_build[i] != build[level_of[i]])
			other_builds++
		else
			line_of[name[i]] = i
	}
}

function shown(outcome) {
	return outcome in word ? word[outcome] : outcome
}

function cell(level, use, fault, suffix,	key) {
	key = level "-" use "-" fault suffix
	return key in line_of ? shown(outcome[line_of[key]]) : "."
}

function head(	m, text, i) {
	for (m in machines)
		text = text " " m
	printf "Fault matrix, %s to %s, on%s\n\n", first, last, text
	print "What a machine outlives whose root and swap are on the network. In each cell every page of a"
	print "process larger than the memory and every block of the files is checked, and the root by e2fsck."
	print ""
	for (i = 1; i <= levels; i++)
		if (level[i] in build)
			printf "%-5s  %s, build %s\n", level[i], release[level[i]], build[level[i]]
	print ""
	print "stock: nbd-client -persist of Debian, whose root is a mounted file system; l0: our client; l1: and"
	print "our nbd.ko; l2: and our kernel; from l0 on with nbdopts=tcp-timeout=10. error: I/O error, BUG, or a"
	print "process that the kernel ended. hang: the machine ran for 180 s in which nothing moved. corrupt: a"
	print "page, a block or the file system is not what was written. untested: see below. A point: not run."
	if (other_builds)
		printf "\n%d runs of other builds are in the file and not in this table.\n", other_builds
}

function table(title, suffix,	i, j, k) {
	printf "\n%s\n\n%-15s", title, ""
	for (i = 1; i <= levels; i++)
		for (j = 1; j <= uses; j++)
			printf " %-10s", level[i] " " use[j]
	print ""
	for (k = 1; k <= fault_count; k++) {
		printf "%-15s", fault[k]
		for (i = 1; i <= levels; i++)
			for (j = 1; j <= uses; j++)
				printf " %-10s", cell(level[i], use[j], fault[k], suffix)
		print ""
	}
}

# Every run that counts and did not survive, with its reason.
function failures(	i, o) {
	for (i = 1; i <= lines; i++) {
		o = outcome[i]
		if (line_of[name[i]] != i || o == "ok")
			continue
		if (!listed++)
			print "\nNot survived\n"
		print name[i] ": " shown(o) ": " detail[i]
		bad += o == "trouble" || level_of[i] ~ /^l[12]$/
	}
}

END {
	count()
	head()
	table("Memory as it is", "")
	table("Memory exhausted meanwhile: 64 pages free", "-exhausted")
	failures()
	exit bad > 0
}
