# SPDX-License-Identifier: GPL-2.0-or-later
#
# memdrain.ko for each kernel under test, build/memdrain/KERNEL/memdrain.ko.  The test root holds
# it for the kernels on which the chosen scenarios use it and for those in MEMDRAIN_KERNELS; what
# else was built before stays in it too.

MEMDRAIN_SRC  := $(filter-out %.mod.c,$(wildcard qemu-tests/memdrain/*.[ch])) qemu-tests/memdrain/Kbuild
MEMDRAIN_VERB := drain|drops|swap_drained|load_memdrain
memdrain_of    = $(patsubst %,$(B)/memdrain/%/memdrain.ko,$(sort $(patsubst l1,debian,$(1))))
memdrain_names = $(notdir $(basename $(shell grep -lwE '$(MEMDRAIN_VERB)' $(call scenario_files,$(1)))))
memdrain_kernels = $(if $(memdrain_names),$(call kernels_of,$(memdrain_names)))

# As strict as for the patches, where the kernel's build folder has checkpatch.
memdrain_checkpatch = $(firstword $(wildcard $(1)/source/scripts/checkpatch.pl $(1)/scripts/checkpatch.pl) true)

# $(1) = build folder of a kernel
define memdrain_compile
	$(call say,KMOD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)cp -u $(MEMDRAIN_SRC) $(@D)/
	$(Q)$(memdrain_checkpatch) --no-tree --strict --quiet --max-line-length=100 -f \
		$(filter %.c %.h,$(MEMDRAIN_SRC))
	$(Q)env -u MAKEFLAGS -u KERNEL flock $(@D).lock make -s -C $(1) M=$(abspath $(@D)) W=1 \
		KCFLAGS=$(if $(CI),-Werror) modules
	$(Q)touch $@
endef

.PHONY: memdrain
memdrain: $(call memdrain_of,$(or $(MEMDRAIN_KERNELS),$(KERNEL:%=%$(addprefix -,$(FLAVOUR))),debian)) ## the test module that takes all memory: [KERNEL=6.12]

$(B)/memdrain/debian/memdrain.ko: $(B)/kernel/debian-headers/release $(MEMDRAIN_SRC)
	$(call memdrain_compile,$(B)/kernel/debian-headers/obj)

$(B)/memdrain/%/memdrain.ko: $(B)/kernel/%/bzImage $(MEMDRAIN_SRC)
	$(call memdrain_compile,$(B)/kernel/$*/obj)

$(B)/kernel/debian-headers/release: $(B)/kernel/debian/release qemu-tests/memdrain/fetch-headers
	$(call say,FETCH,linux-headers-$$(cat $<))
	$(Q)qemu-tests/memdrain/fetch-headers "$$(cat $<)" $(@D)

ifneq ($(filter check-qemu debug,$(MAKECMDGOALS)),)
$(TEST_ROOT): $(call memdrain_of,$(call memdrain_kernels,$(or $(T),0 1 2 3 4 5 6 7 8 9)))
endif
ifneq ($(filter check-patches,$(MAKECMDGOALS)),)
$(TEST_ROOT): $$(call memdrain_of,$$(addsuffix $$(kernel_flavour),$$(kernels_proven)))
endif
$(TEST_ROOT): $(call memdrain_of,$(MEMDRAIN_KERNELS))
