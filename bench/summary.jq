# Records of all rounds -> {case, description, machine, peers: [{peer, METRIC: {median, mad}}]},
# with the ratio of ours to each peer where both have the metric.
def median: sort | if length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def spread: . as $all | median as $m | {median: $m, mad: ($all | map(. - $m | fabs) | median)};

(group_by(.peer) | map({peer: .[0].peer} +
	(. as $rounds | .[0] | del(.peer) | with_entries(.key as $k | .value = ($rounds | map(.[$k]) | spread))))
) as $peers
| ($peers | map(select(.peer == "ours")) | .[0]) as $ours
| {case: $case, description: $description, machine: $machine[0],
   peers: ($peers | map(. as $p | . + {ours_to_peer: (del(.peer) | with_entries(
	.key as $k | .value = (if $ours and $p[$k].median != 0 then $ours[$k].median / $p[$k].median
		else null end)))})),
   rounds: .}
