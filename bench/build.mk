# SPDX-License-Identifier: GPL-2.0-or-later
#
# By hand, on an idle machine; never part of check.

.PHONY: bench
bench: server ## our server against its peers, for build/report: [T=20] [ROUNDS=10] [RUNTIME_S=5] [FORCE=1]
	$(Q)bench/run $(T)

UNIT_TESTS += bench/cost-test.sh bench/report-test.sh

.PHONY: bench-cost
bench-cost: $(B)/bench/cost $(B)/kernel/6.12/bzImage $(B)/kernel/6.12-stock/bzImage ## what the patches cost TCP where nothing swaps: [RUNS=5] [NIC=e1000]
	$(Q)bench/cost

$(B)/bench/cost: $(B)/musl/bench/cost.o
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -o $@ $^
