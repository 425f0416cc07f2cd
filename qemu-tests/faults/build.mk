# SPDX-License-Identifier: GPL-2.0-or-later
#
# The server of scenarios about a lost connection; the test root has it.

FAULTS_OBJ := $(patsubst %.c,$(B)/musl/%.o,$(wildcard qemu-tests/faults/*.c) common/wire.c)

$(B)/qemu-tests/faults: $(FAULTS_OBJ)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -pthread -o $@ $^

$(TEST_ROOT): $(B)/qemu-tests/faults
