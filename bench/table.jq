# A summary as a table: median, spread (MAD) in brackets, ratio ours/peer.
def digits: if . == null then "-" elif . >= 100 or . == 0 then round | tostring
	elif . >= 10 then . * 10 | round / 10 | tostring
	elif . >= 0.1 then . * 100 | round / 100 | tostring
	else . * 10000 | round / 10000 | tostring end;

(.peers[0] | keys_unsorted - ["peer", "ours_to_peer"]) as $metrics
| (["peer"] + ($metrics | map(., "ours/peer"))),
  (.peers | sort_by(.peer != "ours", .peer)[] | . as $p |
	[.peer] + ($metrics | map("\($p[.].median | digits) (\($p[.].mad | digits))",
		($p.ours_to_peer[.] | digits))))
| @tsv
