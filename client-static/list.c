/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -list: the names of a server's exports, one a line on stdout. */
#include "client-static/client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nbd-errno.h"
#include "common/nbd-proto.h"
#include "common/wire.h"

enum {
	EXPORTS_MAX = 100000, /* so that a server cannot keep us for ever */
};

/* Control bytes would let a server write on the terminal as it likes. */
static int print_name(struct wire_string name, struct failure *why)
{
	char line[NBD_MAX_STRING + 1];

	for (uint32_t i = 0; i < name.length; i++) {
		unsigned char c = (unsigned char)name.bytes[i];

		line[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	line[name.length] = '\n';
	if (write(STDOUT_FILENO, line, name.length + 1) != (ssize_t)name.length + 1)
		return failure_set(why, EXIT_TEMPORARY, EIO, "cannot write the list");
	return 0;
}

static int list_exports(int fd, struct failure *why)
{
	struct negotiate_reply reply;
	struct wire_string name;
	uint16_t flags;
	int err;

	err = negotiate_begin(fd, &flags, why);
	if (err)
		return err;
	if (!(flags & NBD_FLAG_FIXED_NEWSTYLE))
		return failure_set(why, EXIT_PERMANENT, EOPNOTSUPP,
				   "the server cannot list (not fixed newstyle)");
	err = negotiate_send(fd, NBD_OPT_LIST, NULL, 0, why);
	for (int i = 0; !err && i < EXPORTS_MAX; i++) {
		err = negotiate_receive(fd, NBD_OPT_LIST, &reply, why);
		if (err)
			return err;
		if (reply.type == NBD_REP_ACK)
			return negotiate_send(fd, NBD_OPT_ABORT, NULL, 0, why);
		if (reply.type & NBD_REP_ERROR(0))
			return negotiate_refused(&reply, "list", why);
		if (reply.type != NBD_REP_SERVER ||
		    wire_get_server(reply.data, reply.length, &name))
			return failure_set(
				why, EXIT_PERMANENT, EPROTO,
				"an answer to NBD_OPT_LIST is malformed: %s with %u bytes",
				nbd_reply_name(reply.type), reply.length);
		err = print_name(name, why);
	}
	return err ? err
		   : failure_set(why, EXIT_PERMANENT, EMSGSIZE, "more than %d exports",
				 EXPORTS_MAX);
}

int list_run(const struct target *target)
{
	struct address_list addresses;
	struct failure why;
	int fd, err;

	if (resolve_target(target, &addresses, &why)) {
		log_line("%s", why.text);
		return why.exit_code;
	}
	for (size_t i = 0; i < addresses.count; i++) {
		err = connect_address(&addresses.items[i], &fd, &why);
		if (!err) {
			err = list_exports(fd, &why);
			close(fd);
			if (!err)
				return 0;
		}
		log_line("%s: %s", addresses.items[i].text, why.text);
		if (why.exit_code == EXIT_PERMANENT)
			break;
	}
	return why.exit_code;
}
