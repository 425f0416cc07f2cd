# SPDX-License-Identifier: GPL-2.0-or-later
# The boot image (busybox flavour), the modules of the stock Debian kernel behind
# it, and the media that carry them.

BUSYBOX       ?= /bin/busybox
IMAGE_MAX     := 1572864
BOOTLINE      ?= root=nbd://$${next-server}/root nbdswap=nbd://$${next-server}/swap ip=dhcp
IMAGE         := $(B)/initramfs/busybox.cpio.gz
IMAGE_DEBIAN  := $(B)/initramfs/busybox-debian.cpio.gz
DEBIAN_KERNEL := $(B)/kernel/debian
INTEROP_TESTS += initramfs/reproducible-test.sh initramfs/dracut-test.sh client-static/nbdboot-test.sh
MAN_PAGES     += client-static/nbdboot.7

.PHONY: initramfs media
initramfs: $(IMAGE) ## the boot image without modules, build/initramfs/busybox.cpio.gz

$(IMAGE): $(B)/nbd-client $(BUSYBOX) initramfs/pack-image.sh initramfs/cpio.sh initramfs/applets.txt
	$(call say,PACK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)fakeroot initramfs/pack-image.sh $(BUSYBOX) $< $@
	$(Q)size=$$(stat -c %s $@); [ $$size -le $(IMAGE_MAX) ] || \
		{ echo "$@: $$size bytes, more than $(IMAGE_MAX)" >&2; rm $@; exit 1; }

$(B)/initramfs/modules-debian.cpio.gz: $(DEBIAN_KERNEL)/release initramfs/pack-modules.sh \
		initramfs/cpio.sh initramfs/modules.txt
	$(call say,PACK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)initramfs/pack-modules.sh $(DEBIAN_KERNEL) "$$(cat $<)" $@

$(IMAGE_DEBIAN): $(IMAGE) $(B)/initramfs/modules-debian.cpio.gz
	$(call say,CAT,$@)
	$(Q)cat $^ >$@

# Level L1: our nbd.ko in the place of Debian's.  An archive behind another replaces its files.
$(B)/initramfs/modules-l1.cpio.gz: $(B)/module/debian.built initramfs/cpio.sh
	$(call say,PACK,$@)
	$(Q)release=$$(cat $(DEBIAN_KERNEL)/release); modules=$(@D)/l1/lib/modules/$$release; \
	rm -rf $(@D)/l1; \
	install -D -m 644 $(B)/module/$$release/nbd.ko $$modules/nbd.ko; \
	install -D -m 644 $$modules/nbd.ko $$modules/kernel/drivers/block/nbd.ko; \
	initramfs/cpio.sh $(@D)/l1 $@

$(B)/initramfs/busybox-l1.cpio.gz: $(IMAGE_DEBIAN) $(B)/initramfs/modules-l1.cpio.gz
	$(call say,CAT,$@)
	$(Q)cat $^ >$@

# Images of dracut with our module: one with systemd in it, one without.
DRACUT_SRC := initramfs/make-dracut $(wildcard initramfs/dracut/*.sh) $(B)/nbd-client $(DEBIAN_KERNEL)/release
DRACUT_MODULES_dracut       := nbd dracut-systemd qemu
DRACUT_MODULES_dracut-plain := nbd qemu rootfs-block

.PHONY: initramfs-dracut
initramfs-dracut: $(B)/initramfs/dracut-debian.cpio.gz ## a dracut image for the stock Debian kernel, build/initramfs/dracut-debian.cpio.gz

$(B)/initramfs/dracut-debian.cpio.gz $(B)/initramfs/dracut-plain-debian.cpio.gz: \
$(B)/initramfs/%-debian.cpio.gz: $(DRACUT_SRC)
	$(call say,DRACUT,$@)
	$(Q)mkdir -p $(@D)
	$(Q)initramfs/make-dracut $(B)/nbd-client $(DEBIAN_KERNEL) "$$(cat $(DEBIAN_KERNEL)/release)" $@ \
		$(DRACUT_MODULES_$*)

check-interop: $(IMAGE)
check-qemu debug shell demo: $(IMAGE_DEBIAN)

media: $(B)/media/pxe/boot.ipxe ## what a TFTP server hands out, build/media/pxe (BOOTLINE= to choose)

# The stock Debian kernel at the top, and each kernel that is built already in a folder.
.PHONY: $(B)/media/pxe/boot.ipxe
$(B)/media/pxe/boot.ipxe: initramfs/media/pxe-tree.sh $(DEBIAN_KERNEL)/vmlinuz $(IMAGE_DEBIAN)
	$(call say,MEDIA,$(@D))
	$(Q)$< $(@D) $(DEBIAN_KERNEL)/vmlinuz $(IMAGE_DEBIAN) '$(BOOTLINE)'
	$(Q)for kernel in $(filter-out $(B)/kernel/floppy/%,$(wildcard $(B)/kernel/*/bzImage)); do \
		version=$$(basename $$(dirname $$kernel)); \
		$< $(@D)/$$version $$kernel $(IMAGE) '$(BOOTLINE)' || exit 1; \
	done
