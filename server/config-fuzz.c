// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for the configuration: the input is a file. Whatever is in it, it is
 * read or refused, and read twice it is the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "server/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void be_silent(const char *line)
{
	(void)line;
}

/* The keys that name other files would have the fuzzer read what this machine has. */
static bool names_files(const uint8_t *data, size_t size)
{
	return memmem(data, size, "includedir", 10) || memmem(data, size, "authfile", 8);
}

static int open_input(const uint8_t *data, size_t size)
{
	int fd = names_files(data, size) ? -1 : memfd_create("config", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, data, size) != (ssize_t)size)
		abort();
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config, again;
	int fd = open_input(data, size), r;
	char path[32];

	if (fd < 0)
		return 0;
	log_to(be_silent);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_read(path, &config);
	if (r != config_read(path, &again))
		abort();
	if (!r) {
		if (config.export_count != again.export_count ||
		    config.listen_count > LISTENERS_MAX)
			abort();
		for (size_t i = 0; i < config.export_count; i++) {
			if (!config.exports[i].set.path || !config.exports[i].set.name)
				abort();
		}
		config_free(&config);
		config_free(&again);
	}
	close(fd);
	return 0;
}
