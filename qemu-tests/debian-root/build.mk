# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real Debian 12 with systemd: the slow tar changes with packages and
# configuration, the image also when a scenario does.

DEBIAN_ROOT_DIR  := qemu-tests/debian-root
DEBIAN_ROOT_SRC  := $(DEBIAN_ROOT_DIR)/bootstrap $(DEBIAN_ROOT_DIR)/packages \
		    $(DEBIAN_ROOT_DIR)/configure \
		    $(shell find $(DEBIAN_ROOT_DIR)/overlay -type f)
DEBIAN_ROOT_KIT  := $(B)/qemu-tests/init $(B)/qemu-tests/hog qemu-tests/lib/guest.sh \
		    qemu-tests/kernel-problems $(wildcard qemu-tests/scenarios/*.sh)

.PHONY: debian-root
debian-root: $(B)/roots/debian12.ext4 ## a real Debian 12 root for demo and scenarios

$(B)/roots/debian12.tar: $(DEBIAN_ROOT_SRC)
	$(call say,DEBIAN,$@)
	$(Q)$(DEBIAN_ROOT_DIR)/bootstrap $@

$(B)/roots/debian12.ext4: $(B)/roots/debian12.tar $(DEBIAN_ROOT_DIR)/make-image $(DEBIAN_ROOT_KIT)
	$(call say,EXT4,$@)
	$(Q)rm -rf $(B)/roots/kit
	$(Q)install -D -t $(B)/roots/kit $(B)/qemu-tests/init $(B)/qemu-tests/hog
	$(Q)install -D -m 644 -t $(B)/roots/kit qemu-tests/lib/guest.sh qemu-tests/kernel-problems
	$(Q)install -D -m 644 -t $(B)/roots/kit/scenarios $(wildcard qemu-tests/scenarios/*.sh)
	$(Q)$(DEBIAN_ROOT_DIR)/make-image $< $@ $(B)/roots/kit
