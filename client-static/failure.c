/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a stage says why it failed; main.c and run.c print it. */
#include "client-static/client.h"

#include <stdarg.h>
#include <stdio.h>

int failure_set(struct failure *ret, int exit_code, int error, const char *format, ...)
{
	va_list args;

	ret->exit_code = exit_code;
	va_start(args, format);
	vsnprintf(ret->text, sizeof(ret->text), format, args);
	va_end(args);
	return -error;
}
