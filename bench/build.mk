# SPDX-License-Identifier: GPL-2.0-or-later
#
# By hand, on an idle machine; never part of check.

.PHONY: bench
bench: server ## our server against its peers: [T=20] [ROUNDS=10] [RUNTIME_S=5] [FORCE=1]
	$(Q)bench/run $(T)
