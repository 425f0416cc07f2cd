/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target's host becomes addresses. The only stage that asks a resolver, and
 * so the only one that opens files, allocates or depends on DNS.
 */
#include "client-static/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void set_text(struct address *address, uint16_t port)
{
	const struct sockaddr_in *v4 = (const void *)&address->storage;
	const struct sockaddr_in6 *v6 = (const void *)&address->storage;
	char number[INET6_ADDRSTRLEN];

	if (address->storage.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, number, sizeof(number));
		snprintf(address->text, sizeof(address->text), "[%s]:%u", number, port);
	} else {
		inet_ntop(AF_INET, &v4->sin_addr, number, sizeof(number));
		snprintf(address->text, sizeof(address->text), "%s:%u", number, port);
	}
}

static void resolve_unix(const char *path, struct address_list *ret)
{
	struct address *address = &ret->items[0];
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	memcpy(name.sun_path, path, strlen(path) + 1);
	memcpy(&address->storage, &name, sizeof(name));
	address->length = sizeof(name);
	snprintf(address->text, sizeof(address->text), "%s", path);
	ret->count = 1;
}

static int not_resolved(const char *host, int error, struct failure *why)
{
	bool may_change = error == EAI_AGAIN || error == EAI_SYSTEM || error == EAI_MEMORY;

	return failure_set(why, may_change ? EXIT_TEMPORARY : EXIT_PERMANENT,
			   may_change ? EAGAIN : ENOENT, "%s: cannot find the address: %s", host,
			   gai_strerror(error));
}

/* Appends the addresses of one server. */
static int resolve_server(const char *host, uint16_t port_number, struct address_list *ret,
			  struct failure *why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
	struct addrinfo *found;
	char port[8];
	int error;

	snprintf(port, sizeof(port), "%u", port_number);
	error = getaddrinfo(host, port, &hints, &found);
	if (error)
		return not_resolved(host, error, why);
	for (struct addrinfo *a = found; a && ret->count < ADDRESSES_MAX; a = a->ai_next) {
		struct address *address = &ret->items[ret->count++];

		memcpy(&address->storage, a->ai_addr, a->ai_addrlen);
		address->length = a->ai_addrlen;
		set_text(address, port_number);
	}
	freeaddrinfo(found);
	return 0;
}

int resolve_target(const struct target *target, struct address_list *ret, struct failure *why)
{
	struct failure other;
	int err;

	ret->count = 0;
	if (*target->unix_path) {
		resolve_unix(target->unix_path, ret);
		return 0;
	}
	err = resolve_server(target->host, target->port, ret, why);
	for (uint32_t i = 0; i < target->other_count; i++) {
		const struct server *server = &target->others[i];

		/* The one that may be found later is the one that decides whether to try again. */
		if (resolve_server(server->host, server->port, ret, &other) && err &&
		    other.exit_code == EXIT_TEMPORARY)
			*why = other;
	}
	return ret->count ? 0 : err;
}
