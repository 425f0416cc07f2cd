# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-client, static with musl; the same binary is /init of the initramfs.

CLIENT_SRC := $(filter-out %-test.c,$(wildcard client-static/*.c))
CLIENT_OBJ := $(patsubst %.c,$(B)/musl/%.o,$(CLIENT_SRC) $(COMMON_SRC))

.PHONY: client
client: $(B)/nbd-client ## the static client build/nbd-client

$(B)/nbd-client: $(CLIENT_OBJ)
	$(call say,LINK,$@)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -s -o $@ $^
