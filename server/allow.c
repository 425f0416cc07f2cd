// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may see an export at all: the addresses of an authfile. A file of one address or
 * network (ADDRESS/BITS) a line enters, yes or no for a peer leaves. Who is not in a list
 * is told nothing of its export.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "server/server.h"

struct rule {
	uint8_t bytes[sizeof(struct in6_addr)];
	unsigned int address_bits; /* 32 or 128 */
	unsigned int prefix_bits;
};

struct allow_list {
	size_t count;
	struct rule rules[];
};

static int parse_address(const char *text, struct rule *ret)
{
	struct rule rule = {.address_bits = 32};

	if (inet_pton(AF_INET, text, rule.bytes) != 1) {
		rule.address_bits = 128;
		if (inet_pton(AF_INET6, text, rule.bytes) != 1)
			return -EINVAL;
	}
	rule.prefix_bits = rule.address_bits;
	*ret = rule;
	return 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return !memcmp(a, b, bits / 8) && (!rest || !((a[bits / 8] ^ b[bits / 8]) & mask));
}

/* An address with bits behind its prefix is a slip of the pen: what was meant? */
static bool is_network(const struct rule *rule)
{
	uint8_t network[sizeof(rule->bytes)] = {0};

	memcpy(network, rule->bytes, rule->prefix_bits / 8);
	if (rule->prefix_bits % 8)
		network[rule->prefix_bits / 8] = (uint8_t)(rule->bytes[rule->prefix_bits / 8] &
							   0xff00 >> rule->prefix_bits % 8);
	return !memcmp(network, rule->bytes, sizeof(network));
}

static const char *parse_rule(char *text, struct rule *ret)
{
	char *slash = strchr(text, '/'), *end;
	unsigned long bits;

	if (slash)
		*slash = '\0';
	if (parse_address(text, ret) < 0)
		return "is not an IPv4 or IPv6 address";
	if (!slash)
		return NULL;
	bits = strtoul(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end || bits > ret->address_bits)
		return "has no prefix length (0 to 32, or to 128 for IPv6) after its slash";
	ret->prefix_bits = (unsigned int)bits;
	return is_network(ret) ? NULL : "has bits set behind its prefix";
}

static int add_line(struct allow_list **list, char *line, const char **ret_wrong)
{
	struct allow_list *bigger;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	line[strcspn(line, " \t")] = '\0';
	if (!*line)
		return 0;
	bigger = realloc(*list, sizeof(**list) + ((*list)->count + 1) * sizeof(struct rule));
	if (!bigger)
		return -ENOMEM;
	*list = bigger;
	*ret_wrong = parse_rule(line, &bigger->rules[bigger->count]);
	bigger->count++;
	return *ret_wrong ? -EINVAL : 0;
}

static int read_lines(FILE *file, const char *path, struct allow_list **list, char *why,
		      size_t why_size)
{
	const char *wrong = NULL;
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (!r && getline(&line, &size, file) >= 0) {
		number++;
		r = add_line(list, line, &wrong);
	}
	if (!r && ferror(file))
		r = -EIO;
	if (r < 0)
		snprintf(why, why_size, "%s:%u: %s", path, number, wrong ?: strerror(-r));
	free(line);
	return r;
}

/* /dev/zero has no line that ends. /dev/null is for nobody, as an empty file is. */
static bool is_endless(FILE *file)
{
	struct stat st;

	return fstat(fileno(file), &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev != makedev(1, 3);
}

int allow_read(const char *path, struct allow_list **ret, char *why, size_t why_size)
{
	struct allow_list *list = calloc(1, sizeof(*list));
	FILE *file;
	int r;

	if (!list)
		return -ENOMEM;
	file = fopen(path, "re");
	if (!file) {
		r = -errno;
		snprintf(why, why_size, "%s: cannot read: %s", path, strerror(-r));
		free(list);
		return r;
	}
	if (is_endless(file)) {
		snprintf(why, why_size, "%s: is a device, not a file with addresses", path);
		r = -EINVAL;
	} else {
		r = read_lines(file, path, &list, why, why_size);
	}
	fclose(file);
	if (r < 0)
		free(list);
	else
		*ret = list;
	return r;
}

bool allow_same(const struct allow_list *a, const struct allow_list *b)
{
	if (!a || !b)
		return a == b;
	return a->count == b->count && !memcmp(a->rules, b->rules, a->count * sizeof(*a->rules));
}

bool allow_peer(const struct allow_list *list, const char *peer)
{
	char host[PEER_BYTES];
	const char *colon = strrchr(peer, ':');
	struct rule address;

	if (!list || !colon)
		return true; /* no list, or a local client, whom the socket's mode has let in */
	snprintf(host, sizeof(host), "%.*s", (int)(colon - peer), peer);
	host[strcspn(host, "]%")] = '\0';
	if (parse_address(host + (host[0] == '['), &address) < 0)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->rules[i];

		if (rule->address_bits == address.address_bits &&
		    same_bits(rule->bytes, address.bytes, rule->prefix_bits))
			return true;
	}
	return false;
}
