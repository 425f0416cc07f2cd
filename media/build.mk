# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boot media.  make pxe: what machines load over the network.  make floppy: one floppy with our loader,
# kernel and client; docs/floppy.md tells where the bytes go.  What runs on its machine is for 32-bit
# x86 from the Pentium on: compiled by gcc -m32 with the musl of Debian's i386, which is fetched below
# build/ and not installed.

FLOPPY_LINE  ?= root=nbd://nbd/root nbdswap=nbd://nbd/swap/%m ip=dhcp rw
MAN_PAGES    += media/swapsafe-floppy.1 media/swapsafe-pxe.8 media/swapsafe-image.8
I386         := $(B)/i386
I586_CC      := gcc -m32 -march=i586 -mtune=generic
I586_LIBGCC   = $(I386)/usr/lib/gcc/i686-linux-gnu/$(I386_GCC)
I386_GCC      = $(eval I386_GCC := $(shell gcc -dumpversion))$(I386_GCC)
I586_SPECS    = -specs=$(I386)/musl-gcc.specs -B$(I586_LIBGCC) -L$(I586_LIBGCC)
I586_LDFLAGS  = $(MUSL_LDFLAGS) -Wl,-z,noseparate-code -s $(I586_SPECS)
FLOPPY_TOOLS := $(B)/make-floppy $(B)/swapsafe-floppy

.PHONY: floppy floppy288 floppy-tools
floppy: $(B)/media/floppy.img ## a 1.44 MB boot floppy, build/media/floppy.img (FLOPPY_LINE= its boot line)
floppy288: $(B)/media/floppy288.img ## a 2.88 MB one with ext4 and more cards, build/media/floppy288.img
floppy-tools: $(FLOPPY_TOOLS)

$(I386)/ready: media/fetch-i386
	$(call say,FETCH,$(I386))
	$(Q)media/fetch-i386 $(I386) musl-dev libgcc-$(I386_GCC)-dev busybox-static

# f_type of statfs(2) is signed on x86_64 and unsigned on i386: one comparison suits one of them only.
$(B)/i586/%.o: %.c $(I386)/ready
	$(call say,I586,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(I586_CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(MUSL_CFLAGS) -fno-asynchronous-unwind-tables \
		-Wno-sign-compare \
		-specs=$(I386)/musl-gcc.specs -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/i586/*/*.d)

FLOPPY_INIT_SRC := media/floppy-init.c $(filter-out client-static/main.c,$(CLIENT_SRC)) $(COMMON_SRC)
$(B)/i586/floppy-init: $(patsubst %.c,$(B)/i586/%.o,$(FLOPPY_INIT_SRC))
$(B)/i586/qemu-tests/init: $(B)/i586/qemu-tests/init.o
$(B)/i586/qemu-tests/hog: $(B)/i586/qemu-tests/hog.o
$(B)/i586/floppy-init $(B)/i586/qemu-tests/init $(B)/i586/qemu-tests/hog:
	$(call say,LINK,$@)
	$(Q)$(I586_CC) -o $@ $^ $(I586_LDFLAGS)

$(B)/media/init.cpio.xz: $(B)/i586/floppy-init media/pack-init.sh initramfs/cpio.sh
	$(call say,PACK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)fakeroot media/pack-init.sh $< $@

$(B)/media/boot.bin: media/boot.S media/floppy.h
	$(call say,AS,$@)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -m32 -I. -c -o $(@:.bin=.o) $<
	$(Q)ld -m elf_i386 -Ttext=0x7c00 --oformat=binary -o $@ $(@:.bin=.o)

# The parser of the boot line, and what it may reach: the linker takes what it needs.
$(B)/host/boot-line.a: $(patsubst %.c,$(B)/host/%.o,$(COMMON_SRC) \
		$(filter-out $(addprefix client-static/,main.c init.c root.c),$(CLIENT_SRC)))
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

$(B)/make-floppy: $(B)/host/media/make-floppy.o
$(B)/swapsafe-floppy: $(B)/host/media/swapsafe-floppy.o $(B)/host/boot-line.a
$(FLOPPY_TOOLS):
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^

# $(1) = image, $(2) = kernel, $(3) = sectors
define floppy_image
$(B)/media/$(1): $(B)/media/boot.bin $(B)/kernel/$(2)/bzImage $(B)/media/init.cpio.xz $(FLOPPY_TOOLS)
	$$(call say,FLOPPY,$$@)
	$(Q)$(B)/make-floppy $(B)/media/boot.bin $(B)/kernel/$(2)/bzImage $(B)/media/init.cpio.xz $(3) $$@
	$(Q)$(B)/swapsafe-floppy --set '$$(FLOPPY_LINE)' $$@
endef
$(eval $(call floppy_image,floppy.img,floppy,2880))
$(eval $(call floppy_image,floppy288.img,floppy288,5760))

INTEROP_TESTS += media/floppy-test.sh
media/floppy-test.sh: $(FLOPPY_TOOLS) $(B)/media/boot.bin

# iPXE comes from Debian. On a medium of its own it serves a machine whose firmware boots from no
# network: a floppy with our loader, and one image that is a CD and a USB stick, for BIOS and UEFI.
IPXE_FOLDER ?= /usr/lib/ipxe
IPXE_URL    ?= tftp://$${next-server}/swapsafe.ipxe

.PHONY: ipxe-media $(B)/media/start.ipxe
ipxe-media: $(B)/media/ipxe-floppy.img $(B)/media/ipxe.iso ## iPXE on a floppy, CD or USB stick, build/media/ipxe* (IPXE_URL= what it loads)

$(B)/media/start.ipxe:
	$(Q)mkdir -p $(@D)
	$(Q)media/ipxe-script.sh '$(IPXE_URL)' >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/media/ipxe-floppy.img: $(B)/media/boot.bin $(B)/media/start.ipxe $(B)/make-floppy
	$(call say,FLOPPY,$@)
	$(Q)$(B)/make-floppy $(B)/media/boot.bin $(IPXE_FOLDER)/ipxe.lkrn $(B)/media/start.ipxe 2880 $@

$(B)/media/ipxe.iso: $(B)/media/start.ipxe media/ipxe-iso.sh
	$(call say,ISO,$@)
	$(Q)media/ipxe-iso.sh $(IPXE_FOLDER) $(B)/media/start.ipxe $@

PXE_MODES   := bios pxelinux uefi proxy proxy-pxelinux proxy-uefi http

.PHONY: pxe check-pxe
pxe: media ## what PXE and UEFI machines load, build/media/pxe: loaders, a script for each machine, kernels
	$(Q)media/pxe-loaders.sh $(IPXE_FOLDER) $(B)/media/pxe

check-pxe: pxe server $$(TEST_ROOT) ## a machine boots from build/media/pxe by BIOS, pxelinux, UEFI, beside another DHCP server, by HTTP: minutes
	$(Q)set -e; $(foreach mode,$(PXE_MODES),media/pxe-boot-test.sh $(mode);)

check-media: check-pxe

INTEROP_TESTS += media/pxe-test.sh

# What swapsafe-image puts into an image, and the scripts that it shares with make pxe.
IMAGE_KIT := $(addprefix $(B)/image-kit/,nbd-client busybox.cpio.gz cpio.sh modules.txt pack-modules.sh pxe-tree.sh pxe-loaders.sh)

.PHONY: image-kit
image-kit: $(IMAGE_KIT) ## what swapsafe-image needs beside it, build/image-kit

$(B)/image-kit/nbd-client: $(B)/nbd-client
$(B)/image-kit/busybox.cpio.gz: $(IMAGE)
$(B)/image-kit/modules.txt: initramfs/modules.txt
$(B)/image-kit/cpio.sh $(B)/image-kit/pack-modules.sh: $(B)/image-kit/%: initramfs/%
$(B)/image-kit/pxe-tree.sh: initramfs/media/pxe-tree.sh
$(B)/image-kit/pxe-loaders.sh: media/pxe-loaders.sh
$(IMAGE_KIT):
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@

INTEROP_TESTS += media/image-test.sh
media/image-test.sh: $(IMAGE_KIT) $(B)/nbd-server
check-qemu: $(IMAGE_KIT)
