/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What nbd-client does up to the kernel, without one: probe [-g] URI resolves,
 * connects, negotiates and prints "SIZE FLAGS MINIMUM MAXIMUM"; on failure the
 * reason, and the client's exit code. -g is its -no-optgo.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client-static/client.h"

static int probe_address(const struct address *address, const char *export_name, bool no_opt_go,
			 struct export_info *ret, struct failure *why)
{
	int fd, err;

	err = connect_address(address, &fd, why);
	if (err)
		return err;
	err = negotiate_export(fd, export_name, no_opt_go, ret, why);
	if (!err)
		err = connect_settle(fd, true, 0, why);
	close(fd);
	return err;
}

/* As attach_run() does: localhost may be ::1 first, where a server need not listen. */
static int probe(const struct target *target, bool no_opt_go, struct export_info *ret,
		 struct failure *why)
{
	struct address_list addresses;
	int err;

	err = resolve_target(target, &addresses, why);
	if (err)
		return err;
	for (size_t i = 0; i < addresses.count; i++) {
		err = probe_address(&addresses.items[i], target->export_name, no_opt_go, ret, why);
		if (!err)
			break;
	}
	return err;
}

int main(int argc, char **argv)
{
	bool no_opt_go = argc > 1 && !strcmp(argv[1], "-g");
	struct export_info export;
	struct failure why = {.exit_code = EXIT_PERMANENT};
	struct target target;

	if (argc != 2 + no_opt_go ||
	    uri_parse(argv[argc - 1], &target, why.text, sizeof(why.text)) ||
	    probe(&target, no_opt_go, &export, &why)) {
		printf("%s\n", why.text);
		return why.exit_code;
	}
	printf("%llu 0x%x %u %u\n", (unsigned long long)export.size_bytes, export.flags,
	       export.minimum_block_bytes, export.maximum_block_bytes);
	return 0;
}
