# SPDX-License-Identifier: GPL-2.0-only
#
# Kernels.  kernel-debian: the stock Debian kernel, unpacked from its package.  For each
# kernel/versions/VERSION.mk: VERSION is built from the Debian source with patches/VERSION and the
# fragments below, VERSION-stock without the patches, VERSION-debug with debug.config on top.
# floppy is 6.12 with its own fragment, floppy288 with one more.
# docs/kernels.md tells how to add a version.

KERNEL_DEBIAN_PACKAGE ?= linux-image-cloud-amd64
LINUX_SOURCE_DIR      ?= /usr/src

KERNEL_VERSIONS  := $(patsubst kernel/versions/%.mk,%,$(wildcard kernel/versions/*.mk))
KERNEL_PRODUCTS  := $(foreach v,$(KERNEL_VERSIONS),$v $v-stock $v-debug) floppy floppy288
KERNEL_FRAGMENTS := $(patsubst %,kernel/config/%.config, \
		      base netboot nics nbd swap filesystems systemd test)

include $(wildcard kernel/versions/*.mk)

# KERNEL= restricts the targets below; a default that another folder gives it does not.
kernel_chosen  := $(if $(filter command environment,$(firstword $(origin KERNEL))),$(KERNEL))
kernel_flavour := $(addprefix -,$(filter debug,$(FLAVOUR)))
kernel_tarball  = $(LINUX_SOURCE_DIR)/$(KERNEL_PACKAGE_$(1)).tar.xz
kernel_src     := $(B)/kernel/src

.PHONY: kernel kernel-stock kernel-debian
kernel: $(patsubst %,$(B)/kernel/%$(kernel_flavour)/bzImage,$(or $(kernel_chosen),$(KERNEL_VERSIONS))) ## patched kernels (KERNEL=6.12 for one, FLAVOUR=debug)
kernel-stock: $(patsubst %,$(B)/kernel/%-stock/bzImage,$(or $(kernel_chosen),$(KERNEL_VERSIONS))) ## the same kernels with no patch, as control
kernel-debian: $(B)/kernel/debian/release ## unpack the stock Debian kernel below build/

$(B)/kernel/debian.package: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo $(KERNEL_DEBIAN_PACKAGE) | cmp -s - $@ || echo $(KERNEL_DEBIAN_PACKAGE) >$@

$(B)/kernel/debian/release: $(B)/kernel/debian.package kernel/fetch-debian
	$(call say,FETCH,$(KERNEL_DEBIAN_PACKAGE))
	$(Q)kernel/fetch-debian $(KERNEL_DEBIAN_PACKAGE) $(@D)

$(B)/kernel/debian/vmlinuz: $(B)/kernel/debian/release ;

# A name that is no product must not fall through to "No rule to make target".
$(B)/kernel/%/bzImage:
	@echo "kernel: $*: no such kernel: use one of $(KERNEL_PRODUCTS)" >&2; exit 1

# dpkg keeps the packager's time stamp, so a newer package may carry an old date: compare.
$(kernel_src)/%.package: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)[ -f $(call kernel_tarball,$*) ] || { \
		echo "kernel: $(call kernel_tarball,$*): not found: run \"make deps\"" >&2; exit 1; }
	$(Q)stat -L -c '%n %s %Y' $(call kernel_tarball,$*) | cmp -s - $@ || \
		stat -L -c '%n %s %Y' $(call kernel_tarball,$*) >$@
FORCE:

# $(1) = version
define kernel_trees
$(kernel_src)/$(1)-stock.ready $(kernel_src)/$(1).unpacked $(kernel_src)/$(1)-without.unpacked: \
		$(kernel_src)/$(1).package kernel/unpack
	$$(call say,UNPACK,$$(basename $$@))
	$(Q)kernel/unpack $(call kernel_tarball,$(1)) $$(basename $$@)
	$(Q)touch $$@

$(kernel_src)/$(1).ready: $(kernel_src)/$(1).unpacked $(kernel_src)/$(1)-stock.ready \
		kernel/patch-tree kernel/series.sh kernel/versions/$(1).mk \
		patches/$(1) patches/$(1)/series $(wildcard patches/$(1)/*.patch)
	$$(call say,PATCH,$$(basename $$@))
	$(Q)kernel/patch-tree $(kernel_src)/$(1)-stock patches/$(1) $(KERNEL_PIN_$(1)) $$(basename $$@)
	$(Q)touch $$@
endef

# $(1) = product, $(2) = tree, $(3) = build folder, $(4) = suffix of the release, $(5) = fragments
define kernel_product
$(B)/kernel/$(1)/bzImage: $(kernel_src)/$(2).ready kernel/configure kernel/compile $(5)
	$$(call say,KERNEL,$$@ (takes minutes; log: $$(@D)/build.log))
	$(Q)flock $(B)/kernel/lock kernel/compile $(kernel_src)/$(2) $(3) $(4) $$(@D) $(5)
endef

$(foreach v,$(KERNEL_VERSIONS), \
  $(eval $(call kernel_trees,$v)) \
  $(eval kernel_config := $(KERNEL_FRAGMENTS) $(wildcard kernel/config/$v.config)) \
  $(eval $(call kernel_product,$v,$v,obj,-swapsafe,$(kernel_config))) \
  $(eval $(call kernel_product,$v-stock,$v-stock,obj,-stock,$(kernel_config))) \
  $(eval $(call kernel_product,$v-debug,$v,obj-debug,-swapsafe-debug,$(kernel_config) kernel/config/debug.config)))

# The kernels of the boot floppies: 32-bit, as small as it goes, and for twice the room.
$(eval $(call kernel_product,floppy,6.12,obj-floppy,-swapsafe-floppy,kernel/config/floppy.config))
$(eval $(call kernel_product,floppy288,6.12,obj-floppy288,-swapsafe-floppy,kernel/config/floppy.config kernel/config/floppy288.config))

# The driver for a stock kernel: the one of Debian that the tests boot, or, with KERNEL_RELEASE=,
# one whose headers are installed.
module_src := kernel/module-build kernel/module-source kernel/series.sh $(wildcard kernel/module/* \
		kernel/versions/*.mk patches/*/series patches/*/*.patch)

.PHONY: module
module: $(if $(KERNEL_RELEASE),,$(B)/module/debian.built) ## nbd.ko for a stock kernel and its DKMS source, build/module/RELEASE [KERNEL_RELEASE=]
	$(if $(KERNEL_RELEASE),$(Q)kernel/module-build $(B)/module/$(KERNEL_RELEASE) $(KERNEL_RELEASE) \
		/lib/modules/$(KERNEL_RELEASE)/build $(LINUX_SOURCE_DIR))

$(B)/module/debian.built: $(B)/kernel/debian-headers/release $(module_src)
	$(call say,KMOD,$@)
	$(Q)kernel/module-build $(B)/module/$$(cat $<) $$(cat $<) $(B)/kernel/debian-headers/obj \
		$(LINUX_SOURCE_DIR)
	$(Q)touch $@

INTEROP_TESTS += kernel/patches-test kernel/check-patches-test kernel/configure-test

# The patch tools work on one version at a time, patches-check on all unless KERNEL= names one.
kernel_patched := $(filter $(kernel_chosen),$(KERNEL_VERSIONS))
kernel_one      = $(if $(kernel_patched),,@echo "$@: name one of: $(KERNEL_VERSIONS:%=KERNEL=%)" >&2; exit 1)

.PHONY: patches-edit patches-refresh patches-check
patches-edit: ## a git repository of a series (KERNEL=6.12 [FILES="further files"])
	$(kernel_one)
	$(Q)kernel/patches-edit $(KERNEL) $(call kernel_tarball,$(KERNEL)) $(FILES)

patches-refresh: ## its commits back to patches/VERSION (KERNEL=6.12)
	$(kernel_one)
	$(Q)kernel/patches-refresh $(KERNEL)

patches-check: ## the series are sorted, complete, apply without fuzz, pass checkpatch
	$(Q)set -e; $(foreach v,$(or $(kernel_patched),$(KERNEL_VERSIONS)), \
		kernel/patches-check $v $(call kernel_tarball,$v);)

# What boots in its scenarios is built first.
kernels_proven = $(or $(kernel_patched),$(KERNEL_VERSIONS))
proof_needs    = $(foreach v,$(kernels_proven),$(B)/kernel/$v$(kernel_flavour)/bzImage \
		   $(kernel_src)/$v-stock.ready $(kernel_src)/$v-without.unpacked)

.PHONY: check-patches
check-patches: $$(proof_needs) $$(TEST_ROOT) server initramfs ## each patch: its scenario fails without it, passes with it; W=1 [KERNEL=6.12] [PATCH=0003] [FLAVOUR=debug]
	$(Q)set -e; $(foreach v,$(kernels_proven), \
		kernel/check-patches $v $(KERNEL_PIN_$v) $(KERNEL_FRAGMENTS) $(wildcard kernel/config/$v.config);)
