/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target for what a user or DHCP writes: boot lines with a root-path,
 * lines of nbdtab, URIs and device names. The first byte picks the parser;
 * "make fuzz-client" builds and runs it, check-unit replays its corpus.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client-static/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A reason is one line, and there is one whenever something is refused. */
static void check_why(int err, const char *why, size_t size)
{
	if (err < 0 && (!memchr(why, '\0', size) || !*why))
		abort();
}

/* What follows a newline is the root-path of DHCP. */
static void fuzz_boot_line(char *text)
{
	static struct boot_line line;
	char why[BOOT_WHY_BYTES] = "", *root_path = strchr(text, '\n');
	int err;

	if (root_path)
		*root_path++ = '\0';
	err = cmdline_parse(text, &line, why, sizeof(why));
	check_why(err, why, sizeof(why));
	if (err)
		return;
	err = cmdline_root_path(&line, root_path ? root_path : "", "192.0.2.1", why, sizeof(why));
	check_why(err, why, sizeof(why));
	if (!err && line.root_source != ROOT_ON_LINE)
		abort();
}

static void fuzz_nbdtab(char *text)
{
	static struct command command;
	struct failure why = {.text = ""};

	memset(&command, 0, sizeof(command));
	check_why(nbdtab_take(text, 1, 0, &command, &why), why.text, sizeof(why.text));
}

/* A URI that is taken is taken again as uri_format() writes it, and means the same. */
static void fuzz_uri(const char *text)
{
	static struct target target, again;
	static char uri[4 * TARGET_EXPORT_BYTES + 4096];
	char why[256] = "";

	if (uri_parse(text, &target, why, sizeof(why))) {
		check_why(-1, why, sizeof(why));
		return;
	}
	uri_format(&target, uri, sizeof(uri));
	if (uri_parse(uri, &again, why, sizeof(why)) || strcmp(target.host, again.host) != 0 ||
	    strcmp(target.export_name, again.export_name) != 0 || target.port != again.port ||
	    target.other_count != again.other_count ||
	    strcmp(target.unix_path, again.unix_path) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct failure why;
	uint32_t index;
	char *text;

	if (size == 0 || size > BOOT_LINE_BYTES)
		return 0;
	text = calloc(1, size); /* of exact size, without the byte that chooses */
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		fuzz_boot_line(text);
		break;
	case 1:
		fuzz_nbdtab(text);
		break;
	case 2:
		fuzz_uri(text);
		break;
	default:
		names_parse(text, &index, &why);
	}
	free(text);
	return 0;
}
