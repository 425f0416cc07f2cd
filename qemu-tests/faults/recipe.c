// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handshake with a server ("Newstyle negotiation", NBD_OPT_EXPORT_NAME), kept
 * byte for byte.
 */
#include "qemu-tests/faults/faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/nbd-proto.h"
#include "common/wire.h"

static int shake_hands(int fd, const char *export_name, struct recipe *ret)
{
	struct wire_option option = {.option = NBD_OPT_EXPORT_NAME};
	struct wire_export export;
	uint16_t flags;
	int err;

	option.length = (uint32_t)strlen(export_name);
	if (option.length > sizeof(ret->choice) - WIRE_CLIENT_FLAGS_BYTES - WIRE_OPTION_BYTES)
		return -EMSGSIZE;
	err = wire_read_full(fd, ret->greeting, sizeof(ret->greeting));
	if (!err)
		err = wire_get_greeting(ret->greeting, &flags);
	if (err)
		return err;
	ret->choice_bytes = wire_put_client_flags(ret->choice, flags);
	ret->choice_bytes += wire_put_option(ret->choice + ret->choice_bytes, &option);
	memcpy(ret->choice + ret->choice_bytes, export_name, option.length);
	ret->choice_bytes += option.length;
	err = wire_write_full(fd, ret->choice, ret->choice_bytes);
	if (!err)
		err = wire_read_full(fd, ret->export, sizeof(ret->export));
	if (err)
		return err;
	wire_get_export_name(ret->export, &export);
	ret->size_bytes = export.size_bytes;
	ret->flags = export.flags;
	return 0;
}

int recipe_connect(const char *address, uint16_t port, const char *export_name, struct recipe *ret)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	*ret = (struct recipe){.address = {.sin_family = AF_INET, .sin_port = htons(port)}};
	if (inet_pton(AF_INET, address, &ret->address.sin_addr) != 1)
		err = -EINVAL;
	else if (connect(fd, (struct sockaddr *)&ret->address, sizeof(ret->address)) < 0)
		err = -errno;
	else
		err = shake_hands(fd, export_name, ret);
	if (!err)
		return fd;
	close(fd);
	return err;
}
