# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-client, static with musl; the same binary is /init of the initramfs.

CLIENT_SRC := $(filter-out %-test.c %-testbed.c %-fuzz.c,$(wildcard client-static/*.c))
CLIENT_OBJ := $(patsubst %.c,$(B)/musl/%.o,$(CLIENT_SRC) $(COMMON_SRC))
CLIENT_MAX_BYTES := 204800
# All sections: a supervisor locks them, and its stack beside them, in at most 400 KiB.
CLIENT_MAX_MEMORY_BYTES := 245760
MAN_PAGES += client-static/nbd-client.8 client-static/nbdtab.5

# What runs once names are resolved: it may neither allocate nor use a stream.
CLIENT_RUN_TIME := connect negotiate session geometry attach reserve reserve-rule nic check attach-ioctl names \
		   system failure lockdown supervise supervise-main state launch
CLIENT_RUN_TIME_OBJ := $(CLIENT_RUN_TIME:%=$(B)/musl/client-static/%.o) \
		       $(patsubst %.c,$(B)/musl/%.o,$(COMMON_SRC))

# Nothing unwinds a stack here, and the tables are a fifteenth of the program.
$(CLIENT_OBJ): MUSL_CFLAGS += -fno-asynchronous-unwind-tables

.PHONY: client check-no-malloc
client: $(B)/nbd-client ## the static client build/nbd-client

$(B)/nbd-client: $(CLIENT_OBJ)
	$(call say,LINK,$@)
	$(Q)$(MUSL_CC) $(MUSL_LDFLAGS) -Wl,-z,noseparate-code -s -o $@ $^
	$(Q)size=$$(stat -c %s $@); [ $$size -le $(CLIENT_MAX_BYTES) ] || \
		{ echo "$@: $$size bytes, the limit is $(CLIENT_MAX_BYTES)" >&2; exit 1; }
	$(Q)size=$$(size $@ | awk 'NR == 2 { print $$4 }'); [ $$size -le $(CLIENT_MAX_MEMORY_BYTES) ] || \
		{ echo "$@: $$size bytes of memory, the limit is $(CLIENT_MAX_MEMORY_BYTES)" >&2; exit 1; }

check-no-malloc: $(B)/test/run-time.ok ## the client's run-time part reaches no malloc and no stdio

$(B)/test/run-time.ok: client-static/check-no-malloc $(CLIENT_RUN_TIME_OBJ)
	$(call say,CHECK,no malloc in the run-time part)
	$(Q)mkdir -p $(@D)
	$(Q)client-static/check-no-malloc $(MUSL_CC) $(CLIENT_RUN_TIME_OBJ)
	$(Q)touch $@

# client_test NAME OBJECT...: a unit test and the stages it links.
define client_test
UNIT_TESTS += $(B)/test/client-$(1)-test
$(B)/test/client-$(1)-test: $(patsubst %,$(B)/asan/client-static/%.o,$(1)-test $(2)) \
		$(patsubst %.c,$(B)/asan/%.o,$(COMMON_SRC))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ASAN_LDFLAGS) -o $$@ $$^ -lcmocka
endef

$(eval $(call client_test,uri,uri))
$(eval $(call client_test,names,names system failure check attach-ioctl reserve reserve-rule attach launch state))
$(eval $(call client_test,reserve-rule,reserve-rule))
$(eval $(call client_test,options,options arguments nbdtab uri names system failure attach reserve reserve-rule check attach-ioctl launch state))
$(eval $(call client_test,nbdtab,nbdtab options arguments uri names system failure attach reserve reserve-rule check attach-ioctl launch state))
$(eval $(call client_test,cmdline,cmdline root-forms root-path names ip links address nbdopts uri reserve reserve-rule check attach-ioctl attach launch state system failure))
$(eval $(call client_test,root-forms,root-forms root-path cmdline names ip links address nbdopts uri reserve reserve-rule check attach-ioctl attach launch state system failure))
$(eval $(call client_test,boot,boot cmdline root-forms root-path names ip links address nbdopts uri reserve reserve-rule check attach-ioctl attach launch state system failure))
$(eval $(call client_test,lease,lease))
$(eval $(call client_test,filesystem,filesystem))
$(eval $(call client_test,root-tag,root-tag filesystem directory system))
$(eval $(call client_test,swap,swap swap-crypt system))
$(eval $(call client_test,swap-keep,swap-keep system))
$(eval $(call client_test,negotiate,negotiate failure))
$(eval $(call client_test,geometry,geometry failure))
$(eval $(call client_test,attach,attach-testbed attach failure))
$(eval $(call client_test,attach-driver,attach-testbed attach failure))
$(eval $(call client_test,connect,connect resolve nic failure))
$(eval $(call client_test,status,status report state launch attach names directory system failure))
$(eval $(call client_test,doctor,doctor report state launch attach names reserve reserve-rule nic check attach-ioctl system failure))
$(eval $(call client_test,session,session connect negotiate failure))
$(eval $(call client_test,supervise,supervise-testbed supervise session connect negotiate attach system failure))

INTEROP_TESTS += client-static/interop/peers.sh client-static/interop/units.sh client-static/interop/completion.sh
client-static/interop/peers.sh: $(B)/test/client-probe

CLIENT_PROBE := interop/probe uri resolve connect negotiate failure
$(B)/test/client-probe: $(CLIENT_PROBE:%=$(B)/asan/client-static/%.o) \
		$(patsubst %.c,$(B)/asan/%.o,$(COMMON_SRC))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ASAN_LDFLAGS) -o $@ $^

# What the fuzz targets link; their corpora are client-static/corpus/NAME.
FUZZ_S ?= 60
CLIENT_FUZZ := peer text
FUZZ_peer := uri names system failure negotiate geometry attach
FUZZ_text := cmdline root-forms root-path nbdopts ip links address uri names system failure nbdtab options check attach-ioctl attach \
	     reserve reserve-rule launch state

.PHONY: fuzz-client $(CLIENT_FUZZ:%=fuzz-client-%)
fuzz-client: $(CLIENT_FUZZ:%=fuzz-client-%) ## fuzz what peers, users and DHCP say to the client (clang; FUZZ_S=60, of each)

# client_fuzz NAME: libFuzzer by clang, and a replay of the corpus for check-unit by any compiler.
define client_fuzz
fuzz-client-$(1): $(B)/test/client-$(1)-fuzz
	$$(Q)mkdir -p $(B)/fuzz/client-$(1)
	$$(Q)$$< -max_total_time=$$(FUZZ_S) -rss_limit_mb=1024 -artifact_prefix=$(B)/fuzz/ \
		$(B)/fuzz/client-$(1) client-static/corpus/$(1)

$(B)/test/client-$(1)-fuzz: $(patsubst %,client-static/%.c,$(1)-fuzz $(FUZZ_$(1))) $(COMMON_SRC) \
		$(wildcard client-static/*.h) common/wire.h
	$$(call say,CLANG,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)clang $$(CPPFLAGS_ALL) $$(CFLAGS_ALL) -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $$@ $$(filter %.c,$$^)

UNIT_TESTS += $(B)/test/client-$(1)-replay
$(B)/test/client-$(1)-replay-program: $(patsubst %,$(B)/asan/client-static/%.o,$(1)-fuzz corpus-replay-fuzz $(FUZZ_$(1))) \
		$(patsubst %.c,$(B)/asan/%.o,$(COMMON_SRC))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ASAN_LDFLAGS) -o $$@ $$^

$(B)/test/client-$(1)-replay: $(B)/test/client-$(1)-replay-program
	$$(Q)printf '#!/bin/sh\nexec $$< client-static/corpus/$(1)\n' >$$@
	$$(Q)chmod +x $$@
endef

$(foreach name,$(CLIENT_FUZZ),$(eval $(call client_fuzz,$(name))))
