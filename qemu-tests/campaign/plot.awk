# SPDX-License-Identifier: GPL-2.0-or-later
#
# The plot of a swap campaign, as SVG: for each column the share of failed runs and its 95 % bound,
# below it one square for each cell. results.awk has read the lines.

function text(x, y, anchor, string) {
	printf "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, string
}

function box(x, y, width, height, fill) {
	printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y,
		width, height, fill
}

# The bar of a column: failed, then as far as its bound, on a scale of 0 to 100 %.
function bar(x, c,	rate, bound) {
	rate = failed[c] / runs[c]
	bound = upper_bound(failed[c] + 0, runs[c])
	box(x + 20, base - bound * bar_height, column_width - 40, bound * bar_height, "#c9d3dc")
	box(x + 20, base - rate * bar_height, column_width - 40, rate * bar_height, "#c0392b")
	text(x + column_width / 2, base - bound * bar_height - 5, "middle",
		sprintf("%d of %d", failed[c], runs[c]))
	text(x + column_width / 2, base + 16, "middle", c)
}

function scale(	percent, y) {
	for (percent = 0; percent <= 100; percent += 25) {
		y = base - percent / 100 * bar_height
		printf "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"#ddd\"/>\n", left, width, y, y
		text(left - 6, y + 4, "end", percent " %")
	}
}

function square(x, y, c, cell,	share, fill) {
	if (!cell_runs[c, cell]) {
		box(x, y, column_width - 2, row_height - 2, "#f4f4f4")
		return
	}
	share = cell_failed[c, cell] / cell_runs[c, cell]
	fill = "#8fc79a"
	if (share)
		fill = sprintf("rgb(%d,%d,%d)", 235 - 43 * share, 150 - 93 * share, 130 - 87 * share)
	box(x, y, column_width - 2, row_height - 2, fill)
	text(x + column_width / 2, y + row_height - 5, "middle",
		(share ? cell_why[c, cell] " " : "") cell_failed[c, cell] + 0 "/" cell_runs[c, cell])
}

END {
	count()
	left = 200
	column_width = 120
	row_height = 16
	bar_height = 160
	base = 220
	for (i = 1; i <= columns; i++)
		if (runs[column[i]])
			shown[++shown_count] = column[i]
	width = left + shown_count * column_width
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" ", width + 20,
		base + 50 + cell_count * row_height
	print "font-family=\"sans-serif\" font-size=\"11\">"
	box(0, 0, width + 20, base + 50 + cell_count * row_height, "white")
	text(left, 24, "start", "Swap campaign: share of runs that failed (red), and the most that " \
		"the runs leave possible with 95 % confidence (grey)")
	scale()
	for (i = 1; i <= shown_count; i++) {
		x = left + (i - 1) * column_width
		bar(x, shown[i])
		for (j = 1; j <= cell_count; j++)
			square(x, base + 30 + (j - 1) * row_height, shown[i], cells[j])
	}
	for (j = 1; j <= cell_count; j++)
		text(left - 6, base + 30 + j * row_height - 5, "end", cells[j])
	print "</svg>"
}
