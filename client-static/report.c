/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -status and -doctor write: lines for people, JSON for programs. Texts may
 * come from a peer, so each kind has its own way to keep them harmless.
 */
#include "client-static/client.h"

#include <stdarg.h>
#include <stdio.h>

void report_add(struct report_text *text, const char *format, ...)
{
	size_t left = sizeof(text->bytes) - text->used;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->bytes + text->used, left, format, args);
	va_end(args);
	if (n > 0)
		text->used += (size_t)n < left ? (size_t)n : left - 1;
}

void report_add_quoted(struct report_text *text, const char *key, const char *value)
{
	report_add(text, "\"%s\": \"", key);
	for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
		if (*c == '"' || *c == '\\')
			report_add(text, "\\%c", *c);
		else if (*c < 0x20 || *c >= 0x7f)
			report_add(text, "\\u%04x", *c);
		else
			report_add(text, "%c", *c);
	}
	report_add(text, "\"");
}

void report_add_plain(struct report_text *text, const char *value)
{
	for (const unsigned char *c = (const unsigned char *)value; *c; c++)
		report_add(text, *c < 0x20 || *c >= 0x7f ? "\\x%02x" : "%c", *c);
}
