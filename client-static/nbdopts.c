/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The values of nbdopts=: KEY=VALUE,... in the names that nbdtab(5) uses, for
 * each device of the boot, and of nbdoverlay=. Called by cmdline.c; pure.
 */
#include "client-static/boot.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole decimal number of min..max; nothing else, not even a sign or blanks. */
static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end || number < min || number > max)
		return -EINVAL;
	*ret = number;
	return 0;
}

/* Module parameters and kernel parameters take - for _; so do these keys. */
static bool same_key(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b))
			return false;
	return *a == *b;
}

enum opt_key {
	OPT_TIMEOUT,
	OPT_DEAD_TIMEOUT,
	OPT_TCP_TIMEOUT,
	OPT_BS,
	OPT_PRIO,
	OPT_RESERVE,
	OPT_SIZE,
};

static const struct {
	const char *name, *range;
	uint64_t min, max;
} opt_keys[] = {
	[OPT_TIMEOUT] = {"timeout", "seconds of 0 (none) to 86400", 0, 86400},
	[OPT_DEAD_TIMEOUT] = {"dead-timeout", "seconds of 0 to 2000000", 0, 2000000},
	[OPT_TCP_TIMEOUT] = {"tcp-timeout", "seconds of 5 to 86400", TCP_TIMEOUT_MIN_S,
			     TCP_TIMEOUT_MAX_S},
	[OPT_BS] = {"bs", "bytes: 512, 1024, 2048 or 4096", 512, 4096},
	[OPT_PRIO] = {"prio", "a priority of 0 to 32767", 0, 32767},
	[OPT_RESERVE] = {"reserve", "auto or keep", RESERVE_AUTO, RESERVE_KEEP},
	[OPT_SIZE] = {"size", "a share of the memory, 1% to 10000%", 1, 10000},
};

enum { OPT_KEYS = sizeof(opt_keys) / sizeof(opt_keys[0]) };

static int parse_percent(const char *text, uint64_t max, uint64_t *ret)
{
	char number[8];
	size_t length = strlen(text);

	if (length < 2 || length > sizeof(number) || text[length - 1] != '%')
		return -EINVAL;
	memcpy(number, text, length - 1);
	number[length - 1] = '\0';
	return parse_number(number, 1, max, ret);
}

static int parse_value(enum opt_key key, const char *text, uint64_t *ret)
{
	enum reserve_mode mode = RESERVE_AUTO;
	int err;

	if (key == OPT_SIZE)
		return parse_percent(text, opt_keys[key].max, ret);
	if (key != OPT_RESERVE) {
		err = parse_number(text, opt_keys[key].min, opt_keys[key].max, ret);
		return !err && key == OPT_BS && (*ret & (*ret - 1)) ? -EINVAL : err;
	}
	err = reserve_parse_mode(text, &mode);
	if (!err)
		*ret = mode;
	return err;
}

static void set_opt(struct nbd_opts *opts, enum opt_key key, uint64_t number)
{
	switch (key) {
	case OPT_TIMEOUT:
		opts->io_timeout_s = number;
		break;
	case OPT_DEAD_TIMEOUT:
		opts->dead_timeout_s = number;
		opts->has_dead_timeout = true;
		break;
	case OPT_TCP_TIMEOUT:
		opts->tcp_timeout_s = (uint32_t)number;
		break;
	case OPT_BS:
		opts->block_size_bytes = (uint32_t)number;
		break;
	case OPT_PRIO:
		opts->swap_priority = (int)number;
		break;
	case OPT_RESERVE:
		opts->reserve = (enum reserve_mode)number;
		break;
	case OPT_SIZE:
		opts->swap_percent = (uint32_t)number;
		break;
	}
}

static int parse_opt(struct nbd_opts *opts, const char *key, const char *value, char *why,
		     size_t why_size)
{
	uint64_t number = 0;
	int i = 0;

	while (i < OPT_KEYS && !same_key(key, opt_keys[i].name))
		i++;
	if (i == OPT_KEYS) {
		snprintf(why, why_size,
			 "unknown key \"%.40s\"; known are timeout=, dead-timeout=, bs=, prio=, "
			 "reserve=, tcp-timeout=, size=, crypt, discard",
			 key);
		return -EINVAL;
	}
	if (!value || parse_value((enum opt_key)i, value, &number) < 0) {
		snprintf(why, why_size, "%s=%.40s: wants %s", opt_keys[i].name, value ? value : "",
			 opt_keys[i].range);
		return -EINVAL;
	}
	set_opt(opts, (enum opt_key)i, number);
	return 0;
}

/* A key without a value; false when it is none. */
static bool set_flag(struct nbd_opts *opts, const char *key)
{
	if (strcmp(key, "crypt") == 0)
		opts->swap_crypt = true;
	else if (strcmp(key, "discard") == 0)
		opts->swap_discard_pages = true;
	else
		return strcmp(key, "persist") == 0; /* every connection is made again */
	return true;
}

int nbdopts_parse(const char *value, struct nbd_opts *opts, char *why, size_t why_size)
{
	char text[256], *rest = text, *opt;

	if ((size_t)snprintf(text, sizeof(text), "%s", value) >= sizeof(text)) {
		snprintf(why, why_size, "longer than %zu characters", sizeof(text) - 1);
		return -EINVAL;
	}
	while ((opt = strsep(&rest, ","))) {
		char *equals = strchr(opt, '=');
		int r;

		if (equals)
			*equals = '\0';
		if ((!*opt && !equals) || (!equals && set_flag(opts, opt)))
			continue;
		r = parse_opt(opts, opt, equals ? equals + 1 : NULL, why, why_size);
		if (r < 0)
			return r;
	}
	return 0;
}

int overlay_parse(const char *value, struct overlay *ret, char *why, size_t why_size)
{
	static const char with_size[] = "tmpfs,size=";
	const char *size = value + strlen(with_size);
	size_t digits;

	*ret = (struct overlay){0};
	if (strncmp(value, "nbd://", strlen("nbd://")) == 0) {
		ret->kind = OVERLAY_ON_EXPORT;
		return uri_parse(value, &ret->target, why, why_size);
	}
	ret->kind = OVERLAY_IN_MEMORY;
	if (strcmp(value, "tmpfs") == 0)
		return 0;
	if (strncmp(value, with_size, strlen(with_size)) != 0)
		goto refuse;
	digits = strspn(size, "0123456789");
	if (!digits || strlen(size) >= sizeof(ret->size) ||
	    (size[digits] && (!strchr("kKmMgG%", size[digits]) || size[digits + 1])))
		goto refuse;
	strcpy(ret->size, size);
	return 0;
refuse:
	snprintf(why, why_size,
		 "wants tmpfs, tmpfs,size=SIZE (bytes with k, M or G, or a share of the memory "
		 "with %%), or nbd://SERVER[:PORT]/EXPORT");
	return -EINVAL;
}
