# SPDX-License-Identifier: GPL-2.0-or-later
#
# Scenarios under QEMU.  The test root is one image for all of them; a scenario
# that is added or changed makes it anew.  T, KERNEL and FLAVOUR choose; what the
# chosen ones boot is built first.

.PHONY: check-qemu check-media debug shell demo demo-parts test-root

TEST_ROOT      := $(B)/roots/test.ext4
TEST_ROOT_SRC  := qemu-tests/make-root qemu-tests/kernel-problems qemu-tests/lib/guest.sh \
		  qemu-tests/lib/udhcpc.sh $(wildcard qemu-tests/scenarios/*.sh)

$(B)/qemu-tests/init: $(B)/musl/qemu-tests/init.o
$(B)/qemu-tests/hog: $(B)/musl/qemu-tests/hog.o
$(B)/qemu-tests/init $(B)/qemu-tests/hog:
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -o $@ $^

$(B)/qemu-tests/tsc-khz: $(B)/host/qemu-tests/tsc-khz.o
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

$(TEST_ROOT): $(TEST_ROOT_SRC) $(B)/qemu-tests/init $(B)/qemu-tests/hog $(B)/nbd-client \
		$(B)/nbd-server $(B)/kernel/debian/release
	$(call say,ROOT,$@)
	$(Q)qemu-tests/make-root $(B)

test-root: $(TEST_ROOT)

# For machines that boot from the floppy.
TEST_ROOT_I586 := $(B)/roots/test-i586.ext4
$(TEST_ROOT_I586): qemu-tests/make-root-i586 $(TEST_ROOT_SRC) $(B)/i586/qemu-tests/init \
		$(B)/i586/qemu-tests/hog $(I386)/ready
	$(call say,ROOT,$@)
	$(Q)qemu-tests/make-root-i586 $(B)

$(B)/roots/test-l1.cpio.gz: $(TEST_ROOT) $(B)/initramfs/modules-l1.cpio.gz
	$(call say,CAT,$@)
	$(Q)cat $(B)/roots/test.cpio.gz $(B)/initramfs/modules-l1.cpio.gz >$@

INTEROP_TESTS += qemu-tests/hog-test.sh qemu-tests/run-test.sh qemu-tests/least-memory-test.sh
qemu-tests/hog-test.sh: $(B)/qemu-tests/hog

# What the scenarios whose names start with $(1) say in their KERNELS and ROOT lines.
scenario_files = $(or $(wildcard $(patsubst %,qemu-tests/scenarios/%*.sh,$(1))),/dev/null)
scenario_said = $(shell sed -nE 's/.*\<$(1)="?([a-z0-9. -]+)"?.*/\1/p' $(call scenario_files,$(2)))
kernels_of = $(or $(patsubst %,%$(addprefix -,$(FLAVOUR)),$(KERNEL)),$(call scenario_said,KERNELS,$(1)))
scenario_needs = $(TEST_ROOT) $(B)/qemu-tests/tsc-khz server initramfs $(IMAGE_DEBIAN) \
	$(patsubst %,$(B)/kernel/%/bzImage,$(sort $(filter-out debian l1,$(call kernels_of,$(1))))) \
	$(if $(filter l1,$(call kernels_of,$(1))),$(B)/roots/test-l1.cpio.gz $(B)/initramfs/busybox-l1.cpio.gz) \
	$(patsubst %,$(B)/initramfs/%-debian.cpio.gz,$(filter-out busybox,$(sort $(call scenario_said,INITRD,$(1))))) \
	$(if $(findstring debian12,$(call scenario_said,ROOT,$(1))),$(B)/roots/debian12.ext4) \
	$(if $(filter floppy,$(call scenario_said,BOOT,$(1))),$(TEST_ROOT_I586) \
		$(patsubst %,$(B)/media/%.img,$(sort floppy $(filter floppy%,$(call kernels_of,$(1)))))) \
	$(if $(findstring ipxe-,$(call scenario_said,BOOT,$(1))),ipxe-media)

check-qemu: $$(call scenario_needs,$$(or $$(T),0 1 2 3 4 5 6 7 8 9)) ## scenarios: [T=31] [KERNEL=6.12] [FLAVOUR=debug] [NIC=e1000] [JOBS=2] [V=1]
	$(Q)qemu-tests/run $(T)

.PHONY: proof-client
RESTARTS ?= 200
LINKS    ?= 50
proof-client: export RESTARTS := $(RESTARTS)
proof-client: export LINKS := $(LINKS)
proof-client: $$(call scenario_needs,60-proof) ## restarts and link losses under swap, Debian's client as control: [RESTARTS=200] [LINKS=50] [KERNEL=6.12]
	$(Q)qemu-tests/run 60-proof

check-media: $$(call scenario_needs,71 72 73 74 75 76 77 78 79) $(B)/media/floppy288.img ## every scenario of the media, the floppies' with every card that QEMU has for them
	$(Q)for nic in e1000 rtl8139 pcnet ne2k_pci virtio-net-pci; do \
		echo "$$nic:"; NIC=$$nic KERNEL=floppy qemu-tests/run 71 || exit; done
	$(Q)KERNEL=floppy qemu-tests/run 72 73 74 75
	$(Q)for nic in e1000e i82559c vmxnet3 tulip; do \
		echo "$$nic:"; NIC=$$nic KERNEL=floppy288 qemu-tests/run 76 || exit; done
	$(Q)KERNEL=debian qemu-tests/run 77 78 79

.PHONY: least-memory
least-memory: $$(call scenario_needs,11 70 71) ## how little memory a machine needs, build/report/memory.md: an hour [ONLY=floppy]
	$(Q)ONLY='$(ONLY)' qemu-tests/least-memory

.PHONY: time-media
time-media: $$(call scenario_needs,71 77 78 79) pxe ## power on to the root's init for each boot medium, build/report/boot-media.md: an hour [RUNS=3] [ONLY=pxe]
	$(Q)RUNS='$(or $(RUNS),3)' ONLY='$(ONLY)' qemu-tests/time-media

.PHONY: check-media-debian
check-media-debian: $$(call scenario_needs,77 78 79) $(B)/roots/debian12.ext4 pxe ## Debian 12 with systemd boots from each medium that carries its kernel
	$(Q)MEDIA_ROOT=debian12 KERNEL=debian qemu-tests/run 77 78 79
	$(Q)set -e; $(foreach mode,$(PXE_MODES),MEDIA_ROOT=debian12 media/pxe-boot-test.sh $(mode);)

debug: $$(call scenario_needs,$$(T)) ## one scenario on this terminal, with a shell in the guest: T=31
	$(Q)qemu-tests/run --debug $(T)

shell: $$(call scenario_needs,10-) ## the machine under test on this terminal, without a scenario
	$(Q)qemu-tests/run --shell

demo: ## a diskless Debian 12 on this terminal: [KERNEL=6.12]
	@printf '%s\n' 'Builds client, server and boot image; gets a Debian kernel and a Debian 12 root' \
		'(once, some minutes); then boots a machine with no disk by PXE.'
	$(Q)$(MAKE) --no-print-directory demo-parts
	$(Q)qemu-tests/run --demo

demo-parts: $$(call scenario_needs,70-)
