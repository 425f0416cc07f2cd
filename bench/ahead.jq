# Summaries of all cases -> a table: for each figure how many times ours is better than the
# best of the peers, and whether the CPU time of an operation meets the goal.
def better: {ops_per_s: 1, cpu_us_per_op: -1, cpu_us_per_mib: -1, p99_us: -1, pss_kib_per_connection: -1};
def hundredths: . * 100 | round / 100 | tostring;

# Of one metric: [name of the best peer, how many times better ours is], or null.
def ahead($metric; $sign):
	(.peers | map(select(.peer == "ours" and .[$metric].median > 0)) | .[0][$metric].median) as $ours
	| (.peers | map(select(.peer != "ours" and .[$metric].median > 0))) as $others
	| if $ours == null or ($others | length) == 0 then null
	  else ($others | if $sign > 0 then max_by(.[$metric].median) else min_by(.[$metric].median) end) as $best
	  | [$best.peer, if $sign > 0 then $ours / $best[$metric].median else $best[$metric].median / $ours end]
	  end;

["case", "figure", "best peer", "times better", ""],
(.[] | . as $case | better | to_entries[] | .key as $metric | .value as $sign
 | ($case | ahead($metric; $sign)) | select(. != null)
 | [$case.case, $metric, .[0], (.[1] | hundredths),
    (if $metric == "cpu_us_per_op" and .[1] < $goal then "short of \($goal)"
     elif .[1] < 1 then "behind" else "" end)])
| @tsv
