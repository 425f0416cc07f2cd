/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD URIs, on the command line and on the boot line: text enters, a target
 * leaves. Follows doc/uri.md of the NBD project and RFC 3986.
 */
#include "client-static/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/nbd-proto.h"

_Static_assert(TARGET_EXPORT_BYTES == NBD_MAX_STRING + 1, "export name");

static const char not_a_uri[] = "write nbd://HOST[:PORT]/EXPORT";

/* Behind a % in the name of an export: what cmdline_expand() knows; no hexadecimal digit. */
#define MACHINE_LETTERS "muhi"

struct why {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct why why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why.text, why.size, format, args);
	va_end(args);
	return -EINVAL;
}

/* A part of the URI that is being read; not terminated. */
struct span {
	const char *at;
	size_t length;
};

/* Takes what comes before the first of stops (or all) from *rest. */
static struct span take_until(struct span *rest, const char *stops)
{
	size_t length = 0;
	struct span taken;

	while (length < rest->length && !strchr(stops, rest->at[length]))
		length++;
	taken = (struct span){rest->at, length};
	rest->at += length;
	rest->length -= length;
	return taken;
}

static bool take_char(struct span *rest, char c)
{
	if (rest->length == 0 || *rest->at != c)
		return false;
	rest->at++;
	rest->length--;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Percent-decodes from into ret; keep lists characters that may follow a % that is no escape. */
static int decode(struct span from, const char *keep, char *ret, size_t size, const char *what,
		  struct why why)
{
	size_t used = 0;

	for (size_t i = 0; i < from.length; i++) {
		char c = from.at[i];

		if (used + 1 == size)
			return refuse(why, "%s is longer than %zu bytes", what, size - 1);
		if (c == '%' && !(i + 1 < from.length && strchr(keep, from.at[i + 1]))) {
			int high = i + 2 < from.length ? hex_value(from.at[i + 1]) : -1;
			int low = i + 2 < from.length ? hex_value(from.at[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return refuse(why,
					      "\"%.*s\" in the %s is no escape; write %%25 for %%",
					      (int)(from.length - i < 3 ? from.length - i : 3),
					      from.at + i, what);
			c = (char)(high << 4 | low);
			i += 2;
		}
		ret[used++] = c;
	}
	ret[used] = '\0';
	return 0;
}

static int parse_port(struct span text, uint16_t *ret, struct why why)
{
	uint32_t port = 0;

	for (size_t i = 0; i < text.length; i++) {
		if (text.at[i] < '0' || text.at[i] > '9' || port > UINT16_MAX)
			goto err_port;
		port = port * 10 + (uint32_t)(text.at[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		goto err_port;
	*ret = (uint16_t)port;
	return 0;

err_port:
	return refuse(why, "port \"%.*s\" is not a number from 1 to 65535", (int)text.length,
		      text.at);
}

/* host[:port], with an IPv6 address in brackets. */
static int parse_server(struct span rest, char host_text[TARGET_HOST_BYTES], uint16_t *ret_port,
			struct why why)
{
	struct span host;
	int err;

	if (take_char(&rest, '[')) {
		host = take_until(&rest, "]");
		if (!take_char(&rest, ']') || host.length == 0)
			return refuse(why,
				      "an IPv6 address ends with \"]\": nbd://[ADDRESS]:PORT/");
	} else {
		host = take_until(&rest, ":");
	}
	if (host.length == 0)
		host = (struct span){"localhost", strlen("localhost")};
	err = decode(host, "", host_text, TARGET_HOST_BYTES, "host name", why);
	if (err)
		return err;
	*ret_port = NBD_DEFAULT_PORT;
	if (rest.length == 0)
		return 0;
	if (!take_char(&rest, ':'))
		return refuse(why, "\"%.*s\" after the address is not :PORT", (int)rest.length,
			      rest.at);
	if (memchr(rest.at, ':', rest.length))
		return refuse(why, "an IPv6 address stands in brackets: nbd://[ADDRESS]:PORT/");
	return rest.length == 0 ? 0 : parse_port(rest, ret_port, why);
}

/* One server, or several with commas, of which none may be empty. */
static int parse_authority(struct span rest, struct target *target, struct why why)
{
	struct span first = take_until(&rest, ",");
	bool is_alone = rest.length == 0;
	int err;

	if (memchr(first.at, '@', first.length + rest.length))
		return refuse(why,
			      "user names need TLS, which is not supported; leave out \"%.*s\"",
			      (int)(first.length + rest.length), first.at);
	if (!is_alone && first.length == 0)
		return refuse(why, "a server is missing before the comma");
	err = parse_server(first, target->host, &target->port, why);
	while (!err && take_char(&rest, ',')) {
		struct span next = take_until(&rest, ",");
		struct server *server = &target->others[target->other_count];

		if (next.length == 0)
			return refuse(why, "a server is missing after the comma");
		if (target->other_count++ == SERVERS_MAX - 1)
			return refuse(why, "more than %d servers", SERVERS_MAX);
		err = parse_server(next, server->host, &server->port, why);
	}
	return err;
}

/* socket=PATH, the only parameter that means something without TLS. */
static int parse_query(struct span rest, struct target *target, struct why why)
{
	while (rest.length > 0) {
		struct span value = take_until(&rest, "&;");
		struct span name = take_until(&value, "=");
		int err;

		if (rest.length > 0)
			take_char(&rest, *rest.at);
		if (name.length != strlen("socket") || memcmp(name.at, "socket", name.length))
			return refuse(why,
				      "parameter \"%.*s\" is not known; nbd+unix takes socket=PATH",
				      (int)name.length, name.at);
		take_char(&value, '=');
		err = decode(value, "", target->unix_path, sizeof(target->unix_path), "socket path",
			     why);
		if (err)
			return err;
	}
	return 0;
}

/* What follows nbd:// or nbd+unix://. */
static int parse_hierarchy(struct span rest, bool is_unix, struct target *target, struct why why)
{
	struct span authority = take_until(&rest, "/?#");
	struct span name;
	int err;

	if (is_unix && authority.length > 0)
		return refuse(why, "nbd+unix has no host: write nbd+unix:///EXPORT?socket=PATH");
	if (!is_unix) {
		err = parse_authority(authority, target, why);
		if (err)
			return err;
	}
	take_char(&rest, '/');
	name = take_until(&rest, "?#");
	err = decode(name, MACHINE_LETTERS, target->export_name, sizeof(target->export_name),
		     "export name", why);
	if (err)
		return err;
	if (take_char(&rest, '?')) {
		if (!is_unix)
			return refuse(why, "nbd:// takes no parameter; write %%3F for ? in a name");
		err = parse_query(take_until(&rest, "#"), target, why);
		if (err)
			return err;
	}
	if (rest.length > 0)
		return refuse(why, "an NBD URI has no fragment; write %%23 for #");
	if (is_unix && !*target->unix_path)
		return refuse(why, "the socket is missing: write nbd+unix:///EXPORT?socket=PATH");
	return 0;
}

bool uri_is_meant(const char *text)
{
	return strstr(text, "://") != NULL;
}

int uri_parse(const char *text, struct target *ret, char *why_text, size_t why_size)
{
	static const char *const refused[] = {"nbds", "nbds+unix", "nbd+vsock", "nbds+vsock",
					      "nbd+ssh"};
	struct why why = {why_text, why_size};
	struct span rest = {text, strlen(text)};
	struct span scheme = take_until(&rest, ":");
	struct target target = {0};
	bool is_unix;
	int err;

	if (rest.length < 3 || memcmp(rest.at, "://", 3))
		return refuse(why, "\"%.100s\" is not an NBD URI: %s", text, not_a_uri);
	rest = (struct span){rest.at + 3, rest.length - 3};
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		if (scheme.length != strlen(refused[i]) ||
		    memcmp(scheme.at, refused[i], scheme.length))
			continue;
		refuse(why, "%s:// is not supported (TLS cannot carry swap safely): %s", refused[i],
		       not_a_uri);
		return -EPROTONOSUPPORT;
	}
	is_unix = scheme.length == strlen("nbd+unix") && !memcmp(scheme.at, "nbd+unix", 8);
	if (!is_unix && (scheme.length != strlen("nbd") || memcmp(scheme.at, "nbd", 3)))
		return refuse(why, "scheme \"%.*s\" is not known: %s", (int)scheme.length,
			      scheme.at, not_a_uri);
	err = parse_hierarchy(rest, is_unix, &target, why);
	if (err)
		return err;
	*ret = target;
	return 0;
}

/* The text of a URI while it is written; what does not fit is left out. */
struct writer {
	char *ret;
	size_t size, used;
};

/* Escapes all but letters, digits, plain, and a % before one of keep. */
static void write_escaped(struct writer *w, const char *text, const char *plain, const char *keep)
{
	for (const char *c = text; *c && w->used + 4 <= w->size; c++) {
		bool is_plain = isalnum((unsigned char)*c) || strchr(plain, *c) ||
				(*c == '%' && c[1] && strchr(keep, c[1]));

		w->used += (size_t)snprintf(w->ret + w->used, w->size - w->used,
					    is_plain ? "%c" : "%%%02X", (unsigned char)*c);
	}
}

static void write_plain(struct writer *w, const char *text)
{
	if (w->used + strlen(text) < w->size)
		w->used += (size_t)snprintf(w->ret + w->used, w->size - w->used, "%s", text);
}

static void write_server(struct writer *w, const char *host, uint16_t port)
{
	bool is_ipv6 = strchr(host, ':') != NULL;
	char text[8];

	write_plain(w, is_ipv6 ? "[" : "");
	write_escaped(w, *host ? host : "SERVER", is_ipv6 ? "-._~:" : "-._~", "");
	write_plain(w, is_ipv6 ? "]" : "");
	snprintf(text, sizeof(text), ":%u", port);
	write_plain(w, port != NBD_DEFAULT_PORT ? text : "");
}

void uri_format(const struct target *target, char *ret, size_t size)
{
	struct writer w = {.ret = ret, .size = size};

	*ret = '\0';
	write_plain(&w, *target->unix_path ? "nbd+unix://" : "nbd://");
	if (!*target->unix_path) {
		write_server(&w, target->host, target->port);
		for (uint32_t i = 0; i < target->other_count; i++) {
			write_plain(&w, ",");
			write_server(&w, target->others[i].host, target->others[i].port);
		}
	}
	write_plain(&w, "/");
	write_escaped(&w, target->export_name, "-._~/:@!$'()*+,;=", MACHINE_LETTERS);
	if (*target->unix_path) {
		write_plain(&w, "?socket=");
		write_escaped(&w, target->unix_path, "-._~/:@", "");
	}
}
