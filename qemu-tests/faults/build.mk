# SPDX-License-Identifier: GPL-2.0-or-later
#
# The server of scenarios about a lost connection, which the test root has; the fault matrix and the
# restarts: hours, by hand.

.PHONY: fault-matrix proof-restarts

FAULTS_OBJ := $(patsubst %.c,$(B)/musl/%.o,$(wildcard qemu-tests/faults/*.c) common/wire.c)

$(B)/qemu-tests/faults: $(FAULTS_OBJ)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -pthread -o $@ $^

$(TEST_ROOT): $(B)/qemu-tests/faults

# What the machines of a series boot: $(1) = kernels.
series_needs = $(TEST_ROOT) $(B)/qemu-tests/tsc-khz server initramfs $(IMAGE_DEBIAN) \
	$(patsubst %,$(B)/kernel/%/bzImage,$(filter-out debian l1,$(1))) \
	$(if $(filter l1,$(1)),$(B)/roots/test-l1.cpio.gz $(B)/initramfs/busybox-l1.cpio.gz)

MATRIX_KERNELS := debian l1 6.12

ifneq ($(filter fault-matrix,$(MAKECMDGOALS)),)
$(TEST_ROOT): $$(call memdrain_of,$(MATRIX_KERNELS))
endif

fault-matrix: $(call series_needs,$(MATRIX_KERNELS)) ## what a machine outlives, by level: [LEVELS="l2 stock l0 l1"] [USES="swap both root"] [FAULTS=...] [EXHAUSTED="no yes"] [JOBS=2]
	$(Q)qemu-tests/faults/matrix

proof-restarts: $(call series_needs,$(or $(KERNEL),6.12)) ## machines that outlive 10 restarts of their server each: BOOTS=50 [KERNEL=6.12] [JOBS=2]
	$(Q)BOOTS='$(BOOTS)' qemu-tests/faults/restarts

INTEROP_TESTS += qemu-tests/faults/matrix-test.sh qemu-tests/faults/restarts-test.sh qemu-tests/faults/proxy-test
