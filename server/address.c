// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses to listen on, as people write them, and back.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/server.h"

int port_parse(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (*end || port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

/* Where the port begins, and the end of the host in *ret_end; NULL: not of this form. */
static const char *split(const char *text, const char **ret_host, const char **ret_end)
{
	const char *at = strrchr(text, '@'), *colon = strrchr(text, ':');
	const char *bracket = strchr(text, ']');

	*ret_host = text;
	*ret_end = at ? at : colon;
	if (at)
		return at + 1;
	if (text[0] == '[') {
		*ret_host = text + 1;
		*ret_end = bracket;
		return bracket && bracket[1] == ':' ? bracket + 2 : NULL;
	}
	if (!colon) {
		*ret_end = text;
		return text;
	}
	return strchr(text, ':') == colon ? colon + 1 : NULL;
}

int address_parse(const char *text, struct listen_address *ret, char *why, size_t why_size)
{
	struct listen_address address = {0};
	const char *host, *end, *port = split(text, &host, &end);
	size_t length;

	if (!port) {
		snprintf(why, why_size, "an IPv6 address is written [IP]:PORT or IP@PORT");
		return -EINVAL;
	}
	length = (size_t)(end - host);
	if (length >= sizeof(address.host)) {
		snprintf(why, why_size, "the address is too long");
		return -EINVAL;
	}
	memcpy(address.host, host, length);
	if (port_parse(port, &address.port) < 0) {
		snprintf(why, why_size, "\"%s\" is not a port (0 to 65535)", port);
		return -EINVAL;
	}
	*ret = address;
	return 0;
}

void address_format(const struct sockaddr *address, socklen_t length, char *text, size_t size)
{
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

	if (address->sa_family == AF_UNIX) {
		snprintf(text, size, "local client");
		return;
	}
	getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(text, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
