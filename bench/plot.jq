# Summaries of all cases -> data for gnuplot: a column for each peer, a row for each case that
# has $metric; "?" where a peer was not measured.
(map(.peers[].peer) | unique | sort_by(. != "ours", .)) as $peers
| ["case"] + $peers,
  (.[] | select(any(.peers[]; .[$metric])) | . as $case
   | [.case] + ($peers | map(. as $peer | [$case.peers[] | select(.peer == $peer) | .[$metric].median][0] // "?")))
| @tsv
