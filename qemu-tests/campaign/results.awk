# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reads the lines of a swap campaign for table.awk and plot.awk. Enters, before them: the columns
# as of columns.sh. A column shows the runs of its newest build; those of others are only counted.

FNR == 1 {
	file++
	FS = file == 1 ? " " : "\t"
	$0 = $0
}

file == 1 {
	c = $2 "@" $3
	column[++columns] = c
	nics = split($4, nic, ",")
	rams = split($5, ram, ",")
	cells_of[c] = nics * rams * 4
	next
}

FNR == 1 || NF < 9 {
	next
}

{
	name = $2
	at = index(name, "@")
	c = substr(name, 1, index(name, "-") - 1) substr(name, at)
	cell = substr(name, index(name, "-") + 1, at - index(name, "-") - 1)
	sub(/-r[0-9]+$/, "", cell)
	lines++
	line_column[lines] = c
	line_cell[lines] = cell
	line_outcome[lines] = $3
	line_build[lines] = $5
	line_seconds[lines] = $8
	line_cpu_s[lines] = $9
	line_text[lines] = name ": " $3 ": " $10
	build[c] = $5
	release[c] = $4
	machines[$6] = 1
	first = first ? first : $1
	last = $1
}

function count(	i, c, cell, o) {
	for (i = 1; i <= lines; i++) {
		c = line_column[i]
		o = line_outcome[i]
		if (line_build[i] != build[c]) {
			other_builds++
			continue
		}
		with[c, o]++
		seconds[c] += line_seconds[i]
		cpu_s[c] += line_cpu_s[i]
		all[c]++
		if (o == "trouble")
			continue
		cell = line_cell[i]
		if (!(cell in seen)) {
			seen[cell] = 1
			cells[++cell_count] = cell
		}
		if (!cell_runs[c, cell]++)
			cells_with_runs[c]++
		runs[c]++
		if (o != "ok") {
			failed[c]++
			cell_failed[c, cell]++
			cell_why[c, cell] = o
			failure[++failures] = line_text[i]
		}
	}
	for (i = 2; i <= cell_count; i++)
		insert_cell(i)
}

# Cells in the order of card, memory, loss, CPUs.
function insert_cell(i,	cell) {
	cell = cells[i]
	for (; i > 1 && order(cells[i - 1]) > order(cell); i--)
		cells[i] = cells[i - 1]
	cells[i] = cell
}

function order(cell,	word, words, nic) {
	words = split(cell, word, "-")
	nic = word[1] (words == 5 ? word[2] : "")
	return sprintf("%-10s %5d %s %s", nic, word[words - 2], word[words - 1], word[words])
}

# The failure rate that so many failures in so many runs leave possible: the one-sided 95 % bound
# of Clopper and Pearson, at which no more failures than these have a probability of 5 %.
function upper_bound(k, n,	low, high, middle, step) {
	if (n == 0 || k == n)
		return 1
	low = 0
	high = 1
	for (step = 0; step < 50; step++) {
		middle = (low + high) / 2
		if (at_most(k, n, middle) > 0.05)
			low = middle
		else
			high = middle
	}
	return high
}

function at_most(k, n, p,	i, term, sum) {
	term = n * log(1 - p)
	sum = exp(term)
	for (i = 1; i <= k; i++) {
		term += log((n - i + 1) / i) + log(p) - log(1 - p)
		sum += exp(term)
	}
	return sum
}

# Columns that must not fail.
function must_hold(c) {
	return c !~ /^stock@/
}
