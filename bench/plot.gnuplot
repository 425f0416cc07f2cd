# SPDX-License-Identifier: GPL-2.0-or-later
# data: a table of plot.jq; out: the SVG; what: the title. Logarithmic, since a request of
# 1 MiB costs a hundred times what one of 4 KiB does.
set terminal svg size 1200, 600 font "sans,12" noenhanced background "white"
set output out
set title what
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set datafile separator "\t"
set datafile missing "?"
set logscale y
set yrange [*:*]
set grid ytics
set xtics rotate by -35
set key outside top center horizontal
set bmargin 10
set linetype 1 linecolor rgb "#0b6e4f"
set linetype 2 linecolor rgb "#e0a458"
set linetype 3 linecolor rgb "#7f7f7f"
set linetype 4 linecolor rgb "#5c80bc"
columns = int(system("head -n 1 " . data . " | wc -w"))
plot for [i = 2:columns] data using i:xtic(1) title columnheader(i)
