# SPDX-License-Identifier: GPL-2.0-only
#
# Kernels.  kernel-debian: the stock Debian kernel, unpacked from its package.

KERNEL_DEBIAN_PACKAGE ?= linux-image-cloud-amd64

.PHONY: kernel-debian
kernel-debian: $(B)/kernel/debian/release ## unpack the stock Debian kernel below build/

$(B)/kernel/debian/release: kernel/fetch-debian
	$(call say,FETCH,$(KERNEL_DEBIAN_PACKAGE))
	$(Q)mkdir -p $(@D)
	$(Q)kernel/fetch-debian $(KERNEL_DEBIAN_PACKAGE) $(@D)

$(B)/kernel/debian/vmlinuz: $(B)/kernel/debian/release ;
