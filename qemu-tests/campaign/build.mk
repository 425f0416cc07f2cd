# SPDX-License-Identifier: GPL-2.0-or-later
#
# The swap campaign: an hour and more, by hand; its short form is the scenarios 48-*.

.PHONY: campaign-swap

CAMPAIGN_KERNELS := 6.12 6.1 6.12-stock 6.1-stock

campaign-swap: $(TEST_ROOT) $(B)/qemu-tests/tsc-khz server initramfs $(IMAGE_DEBIAN) $(CAMPAIGN_KERNELS:%=$(B)/kernel/%/bzImage) ## stock against patched kernels, swapping: RUNS=475 [JOBS=2] [ONLY="patched l0@debian"]
	$(Q)RUNS='$(RUNS)' JOBS='$(JOBS)' ONLY='$(ONLY)' qemu-tests/campaign/run

# Tells a slow swap device from one that has stopped; part of the test root.
$(B)/qemu-tests/swap-watch: $(B)/musl/qemu-tests/campaign/watch.o
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -o $@ $^

$(TEST_ROOT): $(B)/qemu-tests/swap-watch

INTEROP_TESTS += qemu-tests/campaign/campaign-test.sh
