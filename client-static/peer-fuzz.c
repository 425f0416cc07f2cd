/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target for all that a peer or a user can send: the first byte picks
 * the parser, the rest is what it gets. `make fuzz-client` builds and runs it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-static/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_handshake(const uint8_t *data, size_t size, bool no_opt_go)
{
	struct export_info export;
	struct failure why;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		abort();
	if (write(fds[1], data, size) != (ssize_t)size)
		abort();
	shutdown(fds[1], SHUT_WR);
	if (!negotiate_export(fds[0], "export", no_opt_go, &export, &why)) {
		struct attach_job job = {0};
		struct geometry geometry;

		geometry_choose(&job, &export, &geometry, &why);
	}
	close(fds[0]);
	close(fds[1]);
}

static void fuzz_netlink(const uint8_t *data, size_t size)
{
	struct netlink netlink;
	struct failure why;
	int fds[2];

	if (size == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		return;
	if (send(fds[1], data, size, 0) != (ssize_t)size)
		abort();
	shutdown(fds[1], SHUT_WR);
	attach_begin(fds[0], &netlink, &why);
	close(fds[0]);
	close(fds[1]);
}

static void fuzz_notification(const uint8_t *data, size_t size)
{
	struct netlink events = {.family = 0x1d};
	int fds[2];

	if (size == 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) < 0)
		return;
	if (send(fds[1], data, size, 0) != (ssize_t)size)
		abort();
	events.fd = fds[0];
	attach_heard(&events, 1);
	close(fds[0]);
	close(fds[1]);
}

static void fuzz_text(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1), why_text[64];
	struct target target;
	struct failure why;
	uint32_t index;

	if (!text)
		abort();
	memcpy(text, data, size);
	uri_parse(text, &target, why_text, sizeof(why_text));
	names_parse(text, &index, &why);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 32768)
		return 0;
	switch (data[0] % 5) {
	case 0:
	case 1:
		fuzz_handshake(data + 1, size - 1, data[0] % 5);
		break;
	case 2:
		fuzz_netlink(data + 1, size - 1);
		break;
	case 3:
		fuzz_notification(data + 1, size - 1);
		break;
	default:
		fuzz_text(data + 1, size - 1);
	}
	return 0;
}
