// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sizes as people write them: 512, 64k, 10M, 4G.
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
