# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-server.

SERVER_STAGES := options size address allow config config-keys machines load listen loop-epoll server worker mail connection payload \
		 splice negotiate claim hold command serve reply flush storage-pool storage-uring export \
		 export-linux extent per-client swap-file layer layer-map machine-file traffic status \
		 status-show confine daemon
SERVER_SRC    := $(SERVER_STAGES:%=server/%.c)
SERVER_OBJ    := $(patsubst %.c,$(B)/host/%.o,server/main.c $(SERVER_SRC) $(COMMON_SRC))

MAN_PAGES     += server/nbd-server.1 server/nbd-server.5

.PHONY: server
server: $(B)/nbd-server ## the server

$(B)/nbd-server: $(SERVER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -pthread -o $@ $^ -linih -luring -lz -ljansson -lseccomp

SERVER_TESTS    := $(B)/test/address-test $(B)/test/allow-test $(B)/test/config-test $(B)/test/negotiate-test \
		   $(B)/test/serve-test $(B)/test/extent-test $(B)/test/claim-test \
		   $(B)/test/load-test \
		   $(B)/test/swap-file-test $(B)/test/confine-test $(B)/test/layer-test $(B)/test/layer-crash-test
SERVER_ASAN_OBJ := $(patsubst %.c,$(B)/asan/%.o,$(SERVER_SRC) $(COMMON_SRC))
UNIT_TESTS      += $(SERVER_TESTS)

extent-test-LDFLAGS      := -Wl,--wrap=lseek
serve-test-LDFLAGS       := -Wl,--wrap=fdatasync,--wrap=pwritev,--wrap=fallocate
load-test-LDFLAGS        := -Wl,--wrap=fdatasync,--wrap=clock_gettime
layer-crash-test-LDFLAGS := -Wl,--wrap=layer_boot_id,--wrap=pwrite,--wrap=pwritev,--wrap=fallocate,--wrap=fdatasync
swap-file-test-LDFLAGS   := -Wl,--wrap=posix_fallocate,--wrap=fsync
claim-test-LDFLAGS       := -Wl,--wrap=pwritev,--wrap=listen_was_answered,--wrap=time
LAYER_BED_TESTS          := layer-test layer-crash-test
TESTBED_TESTS            := serve-test extent-test claim-test load-test
SERVER_TEST_LDLIBS       := -lcmocka -linih -luring -lz -ljansson -lseccomp

$(LAYER_BED_TESTS:%=$(B)/test/%): $(B)/asan/server/layer-bed.o
$(TESTBED_TESTS:%=$(B)/test/%): $(B)/asan/server/testbed.o

$(SERVER_TESTS): $(B)/test/%: $(B)/asan/server/%.o $(SERVER_ASAN_OBJ)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ASAN_LDFLAGS) $($*-LDFLAGS) -pthread -o $@ $^ $(SERVER_TEST_LDLIBS)

# The same tests, and the server itself with several workers, by ThreadSanitizer: what loops
# and storage threads share. setarch, since older sanitizers do not find their way in a random layout.
TSAN_FLAGS        := -O1 -g -fsanitize=thread
SERVER_TSAN_OBJ   := $(SERVER_ASAN_OBJ:$(B)/asan/%=$(B)/tsan/%)
SERVER_TSAN_TESTS := $(SERVER_TESTS:$(B)/test/%=$(B)/tsan/%)
# With --io auto and --io epoll each; these have many requests in flight.
TSAN_INTEROP      ?= conformance fio parallel-clients per-client-many per-client-cow exclusive reload \
		     sigterm status direct

.PHONY: tsan-server
tsan-server: $(SERVER_TSAN_TESTS) $(B)/tsan/nbd-server ## unit and interop tests of the server under ThreadSanitizer
	$(Q)B=$(B) NBD_WORKERS=3 NBD_SERVER=$(B)/tsan/nbd-server TSAN_OPTIONS=exitcode=66 setarch -R \
		.ci/run-tests tsan $(SERVER_TSAN_TESTS) $(TSAN_INTEROP:%=server/interop/%.sh)

$(LAYER_BED_TESTS:%=$(B)/tsan/%): $(B)/tsan/server/layer-bed.o
$(TESTBED_TESTS:%=$(B)/tsan/%): $(B)/tsan/server/testbed.o

$(SERVER_TSAN_TESTS): $(B)/tsan/%: $(B)/tsan/server/%.o $(SERVER_TSAN_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(TSAN_FLAGS) $($*-LDFLAGS) -pthread -o $@ $^ $(SERVER_TEST_LDLIBS)

$(B)/tsan/nbd-server: $(B)/tsan/server/main.o $(SERVER_TSAN_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(TSAN_FLAGS) -pthread -o $@ $^ -linih -luring -lz -ljansson -lseccomp

$(B)/tsan/%.o: %.c
	$(call say,TSAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(TSAN_FLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/tsan/*/*.d)

INTEROP_TESTS += server/manual-test

FUZZ_SECONDS ?= 60

CRASHES ?= 1000

.PHONY: check-crash
check-crash: server ## kill the server CRASHES=1000 times in the middle of writes: nothing is lost
	$(Q)CRASHES=$(CRASHES) server/interop/crash.sh

# What the fuzz targets link, where it is not all of the server; corpora are server/corpus/NAME.
SERVER_FUZZ         := handshake transmission config layer-map
FUZZ_ALL            := $(SERVER_SRC) $(COMMON_SRC)
SERVER_FUZZ_LDLIBS  := -linih -luring -lz -ljansson -lseccomp

.PHONY: fuzz-server $(SERVER_FUZZ:%=fuzz-server-%)
fuzz-server: $(SERVER_FUZZ:%=fuzz-server-%) ## fuzz what clients send, the config, and a layer's map (clang; FUZZ_SECONDS=60, of each)

# server_fuzz NAME: libFuzzer by clang, and a replay of the corpus for check-unit by any
# compiler. The target of the map includes what it tests.
define server_fuzz
fuzz-server-$(1): $(B)/test/server-$(1)-fuzz
	$$(Q)mkdir -p $(B)/fuzz/server-$(1)
	$$(Q)$$< -max_total_time=$$(FUZZ_SECONDS) -rss_limit_mb=1024 -artifact_prefix=$(B)/fuzz/ \
		$(B)/fuzz/server-$(1) server/corpus/$(1)

$(B)/test/server-$(1)-fuzz: server/$(1)-fuzz.c $(if $(filter layer-map,$(1)),server/layer-map.c,$(FUZZ_ALL)) \
		$(wildcard server/*.h) common/wire.h
	$$(call say,CLANG,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)clang $$(CPPFLAGS_ALL) $$(CFLAGS_ALL) -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -pthread -o $$@ \
		$$(filter-out $(if $(filter layer-map,$(1)),server/layer-map.c),$$(filter %.c,$$^)) $$(SERVER_FUZZ_LDLIBS)

UNIT_TESTS += $(B)/test/server-$(1)-replay
$(B)/test/server-$(1)-replay-program: $(B)/asan/server/$(1)-fuzz.o $(B)/asan/client-static/corpus-replay-fuzz.o \
		$(if $(filter layer-map,$(1)),,$$(SERVER_ASAN_OBJ))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ASAN_LDFLAGS) -pthread -o $$@ $$^ $$(SERVER_FUZZ_LDLIBS)

$(B)/test/server-$(1)-replay: $(B)/test/server-$(1)-replay-program
	$$(Q)printf '#!/bin/sh\nexec $$< server/corpus/$(1)\n' >$$@
	$$(Q)chmod +x $$@
endef

$(foreach name,$(SERVER_FUZZ),$(eval $(call server_fuzz,$(name))))
