# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-server.

SERVER_STAGES := options size address allow config machines load listen loop-epoll server connection payload \
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

$(B)/test/extent-test: TEST_LDFLAGS := -Wl,--wrap=lseek
$(B)/test/serve-test: TEST_LDFLAGS := -Wl,--wrap=fdatasync,--wrap=pwritev,--wrap=fallocate
$(B)/test/load-test: TEST_LDFLAGS := -Wl,--wrap=fdatasync,--wrap=clock_gettime
$(B)/test/layer-crash-test: TEST_LDFLAGS := -Wl,--wrap=layer_boot_id,--wrap=pwrite,--wrap=pwritev,--wrap=fallocate,--wrap=fdatasync
$(B)/test/layer-test $(B)/test/layer-crash-test: $(B)/asan/server/layer-bed.o
$(B)/test/swap-file-test: TEST_LDFLAGS := -Wl,--wrap=posix_fallocate,--wrap=fsync
$(B)/test/claim-test: TEST_LDFLAGS := -Wl,--wrap=pwritev,--wrap=listen_was_answered,--wrap=time
$(B)/test/serve-test $(B)/test/extent-test $(B)/test/claim-test $(B)/test/load-test: \
	$(B)/asan/server/testbed.o

$(SERVER_TESTS): $(B)/test/%: $(B)/asan/server/%.o $(SERVER_ASAN_OBJ)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ASAN_LDFLAGS) $(TEST_LDFLAGS) -pthread -o $@ $^ -lcmocka -linih -luring -lz -ljansson -lseccomp

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
