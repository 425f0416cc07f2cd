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

.PHONY: fuzz-server
fuzz-server: $(B)/test/layer-map-fuzz ## fuzz the map of a layer as it lies on a disk (clang; FUZZ_SECONDS=60)
	$(Q)mkdir -p $(B)/fuzz/layer-map
	$(Q)$(B)/test/layer-map-fuzz -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 \
		-artifact_prefix=$(B)/fuzz/ $(B)/fuzz/layer-map

$(B)/test/layer-map-fuzz: server/layer-map-fuzz.c server/layer-map.c server/layer-map.h
	$(call say,CLANG,$@)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(CPPFLAGS_ALL) $(CFLAGS_ALL) -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< -lz
