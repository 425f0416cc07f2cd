# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every target of the kit. Each folder adds its own in its build.mk; nothing is
# written outside build/. `make help` prints the targets, V=1 the commands.

B             := build
V             ?= 0
CC            := $(if $(filter default,$(origin CC)),gcc,$(CC))
MUSL_CC       ?= musl-gcc
QEMU          ?= qemu-system-x86_64
DESTDIR       ?=
PREFIX        ?= /usr/local
VERSION       := 0.1
INSTALL_BIN   := $(DESTDIR)$(PREFIX)/sbin
INSTALL_MAN   := $(DESTDIR)$(PREFIX)/share/man
INSTALL_UNITS := $(DESTDIR)$(PREFIX)/lib/systemd/system
INSTALL_UDEV  := $(DESTDIR)$(PREFIX)/lib/udev/rules.d
INSTALL_DRACUT := $(DESTDIR)/usr/lib/dracut/modules.d/50nbd
INSTALL_KIT   := $(DESTDIR)$(PREFIX)/lib/swapsafe
INSTALL_BASH  := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
UNITS         := nbd@.service nbd.service dev-nb1.swap
SERVER_UNITS  := nbd-server.service

export B V QEMU

Q   := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' '$(1)' '$(2)')

WARN          := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla $(if $(CI),-Werror)
CPPFLAGS_ALL  := -I. -D_GNU_SOURCE -DVERSION='"$(VERSION)"'
CFLAGS        ?= -O2 -g
CFLAGS_ALL    := -std=gnu11 $(WARN) -fno-strict-aliasing
ASAN_CFLAGS   := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_LDFLAGS  := -fsanitize=address,undefined
# Asked for when first used: in "make deps all" the compiler comes with deps.
MULTIARCH      = $(eval MULTIARCH := $(shell $(CC) -print-multiarch))$(MULTIARCH)
MUSL_CFLAGS    = -Os -static -ffunction-sections -fdata-sections \
		 -idirafter /usr/include -idirafter /usr/include/$(MULTIARCH)
MUSL_LDFLAGS  := -static -Wl,--gc-sections -Wl,-z,norelro -Wl,--build-id=none

UNIT_TESTS    :=
INTEROP_TESTS :=

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDEXPANSION:
$(if $(filter deps,$(MAKECMDGOALS)),$(eval .NOTPARALLEL:))

include common/build.mk
include client-static/build.mk
include server/build.mk
include kernel/build.mk
include initramfs/build.mk
include media/build.mk
include qemu-tests/build.mk
include $(wildcard qemu-tests/*/build.mk server/*/build.mk)
include bench/build.mk

.PHONY: all lint format check check-unit check-interop install uninstall clean distclean help deps

all: client server initramfs ## client, server and initramfs: all but the kernels

deps: ## install what is missing from Debian (says what and why first)
	$(Q).ci/deps

check: ## everything below check-*, in this order; what CI runs
	$(Q)$(MAKE) --no-print-directory lint
	$(Q)$(MAKE) --no-print-directory check-unit
	$(Q)$(MAKE) --no-print-directory check-interop
	$(Q)$(MAKE) --no-print-directory patches-check
	$(Q)$(MAKE) --no-print-directory check-qemu

check-unit: $$(UNIT_TESTS) ## unit tests (cmocka, with ASan and UBSan): seconds, no root
	$(Q).ci/run-tests unit $(UNIT_TESTS)

check-interop: client server $$(INTEROP_TESTS) ## our programs against the well-known ones: no root
	$(Q).ci/run-tests interop $(INTEROP_TESTS)

lint: client check-no-malloc ## shellcheck, clang-format, cppcheck, sparse, mandoc, no malloc at run time
	$(Q)LINT_CPPFLAGS='$(subst ',,$(CPPFLAGS_ALL))' .ci/lint

format: ## clang-format in place
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

install: client server floppy-tools image-kit ## install programs, manual pages, units and completion (DESTDIR= PREFIX=)
	$(Q)install -d $(INSTALL_BIN) $(INSTALL_MAN)/man1 $(INSTALL_MAN)/man5 $(INSTALL_MAN)/man7 $(INSTALL_MAN)/man8
	$(Q)install -m 755 $(B)/nbd-client $(B)/nbd-server $(B)/swapsafe-floppy media/swapsafe-pxe $(INSTALL_BIN)
	$(Q)sed 's,build/image-kit,$(PREFIX)/lib/swapsafe,' media/swapsafe-image >$(INSTALL_BIN)/swapsafe-image
	$(Q)chmod 755 $(INSTALL_BIN)/swapsafe-image
	$(Q)install -D -t $(INSTALL_KIT) $(IMAGE_KIT)
	$(Q)install -d $(INSTALL_UNITS) $(INSTALL_UDEV) $(INSTALL_BASH)
	$(Q)$(foreach u,$(UNITS),sed 's,@SBIN@,$(PREFIX)/sbin,' client-static/systemd/$(u) >$(INSTALL_UNITS)/$(u);)
	$(Q)$(foreach u,$(SERVER_UNITS),sed 's,@SBIN@,$(PREFIX)/sbin,' server/systemd/$(u) >$(INSTALL_UNITS)/$(u);)
	$(Q)install -m 644 client-static/systemd/60-nbd-client.rules $(INSTALL_UDEV)
	$(Q)install -m 644 client-static/completion/nbd-client $(INSTALL_BASH)
	$(Q)install -D -m 755 -t $(INSTALL_DRACUT) initramfs/dracut/*.sh
	$(Q)sed -i 's,@SBIN@,$(PREFIX)/sbin,' $(INSTALL_DRACUT)/module-setup.sh
	$(Q)$(foreach m,$(MAN_PAGES),install -m 644 $(m) $(INSTALL_MAN)/man$(lastword $(subst ., ,$(m)));)

uninstall: ## remove what install put there
	$(Q)rm -f $(addprefix $(INSTALL_BIN)/,nbd-client nbd-server swapsafe-floppy swapsafe-pxe swapsafe-image)
	$(Q)rm -f $(UNITS:%=$(INSTALL_UNITS)/%) $(SERVER_UNITS:%=$(INSTALL_UNITS)/%) $(INSTALL_UDEV)/60-nbd-client.rules $(INSTALL_BASH)/nbd-client
	$(Q)rm -rf $(INSTALL_DRACUT) $(INSTALL_KIT)
	$(Q)rm -f $(foreach m,$(MAN_PAGES),$(INSTALL_MAN)/man$(lastword $(subst ., ,$(m)))/$(notdir $(m)))

clean: ## remove what was compiled, keep kernels, downloads and root images
	$(Q)rm -rf $(addprefix $(B)/,host musl asan tsan test i586 nbd-client nbd-server make-floppy swapsafe-floppy initramfs image-kit media results bench)

distclean: ## remove build/ whole
	$(Q)rm -rf $(B)

help: ## print this
	@printf 'make TARGET [V=1]\n\n'
	@sed -nE 's/^([a-z][a-z0-9-]*):.*## (.*)/  \1\t\2/p' Makefile */build.mk */*/build.mk | sort | expand -t 20

$(B)/host/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/musl/%.o: %.c
	$(call say,MUSL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(MUSL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/asan/%.o: %.c
	$(call say,ASAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(ASAN_CFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/host/*/*.d $(B)/musl/*/*.d $(B)/asan/*/*.d)
