// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sizes and times as people write them: 512, 64k, 10M, 4G; 90, 90s, 15m, 12h, 30d.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/server.h"

static int shift_of(const char *suffix)
{
	static const char letters[] = "kKmMgG";
	const char *found;

	if (!*suffix)
		return 0;
	found = suffix[1] ? NULL : strchr(letters, *suffix);
	return found ? ((int)(found - letters) / 2 + 1) * 10 : -EINVAL;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	unsigned long long number;
	char *end;
	int shift;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	shift = shift_of(end);
	if (shift < 0)
		return shift;
	if (number > (unsigned long long)INT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = number << shift;
	return 0;
}

int time_parse(const char *text, unsigned int *ret_s)
{
	static const struct {
		char letter;
		unsigned int seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 60 * 60}, {'d', 24 * 60 * 60}};
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (*end != units[i].letter || (*end && end[1]))
			continue;
		if (errno || number > INT32_MAX / units[i].seconds)
			return -ERANGE;
		*ret_s = (unsigned int)number * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}
