# SPDX-License-Identifier: GPL-2.0-or-later
# What client and server share; compiled once for each of them.

COMMON_SRC := common/wire.c common/nbd-errno.c common/log.c

UNIT_TESTS += $(B)/test/wire-test $(B)/test/log-test

$(B)/test/wire-test: $(B)/asan/common/wire-test.o $(B)/asan/common/wire.o $(B)/asan/common/nbd-errno.o
$(B)/test/log-test: $(B)/asan/common/log-test.o $(B)/asan/common/log.o

$(B)/test/wire-test $(B)/test/log-test:
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ASAN_LDFLAGS) -o $@ $^ -lcmocka
