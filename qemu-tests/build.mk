# SPDX-License-Identifier: GPL-2.0-or-later
#
# Scenarios under QEMU.  The test root is one image for all of them; a scenario
# that is added or changed makes it anew.

.PHONY: check-qemu debug shell demo test-root

QEMU_TESTS := $(wildcard qemu-tests/scenarios/*.sh qemu-tests/lib/*)
TEST_ROOT  := $(B)/roots/test.ext4

$(B)/qemu-tests/init: $(B)/musl/qemu-tests/init.o
$(B)/qemu-tests/hog: $(B)/musl/qemu-tests/hog.o
$(B)/qemu-tests/init $(B)/qemu-tests/hog:
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -o $@ $^

$(TEST_ROOT): qemu-tests/make-root qemu-tests/kernel-problems $(QEMU_TESTS) \
		$(B)/qemu-tests/init $(B)/qemu-tests/hog $(B)/nbd-client $(B)/nbd-server \
		$(B)/kernel/debian/release
	$(call say,ROOT,$@)
	$(Q)qemu-tests/make-root $(B)

test-root: $(TEST_ROOT)

SCENARIO_NEEDS = test-root server initramfs kernel-debian

check-qemu: $$(SCENARIO_NEEDS) ## scenarios: [T=31] [KERNEL=6.12] [FLAVOUR=debug] [NIC=e1000] [JOBS=2] [V=1]
	$(Q)qemu-tests/run $(T)

debug: $$(SCENARIO_NEEDS) ## one scenario on this terminal, with a shell in the guest: T=31
	$(Q)qemu-tests/run --debug $(or $(T),$(error debug: which scenario? make debug T=31))

shell: $$(SCENARIO_NEEDS) ## the machine under test on this terminal, without a scenario
	$(Q)qemu-tests/run --shell
