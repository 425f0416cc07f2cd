/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log line: "program: subject: what: why" on stderr. Used by the client
 * after its lockdown too, hence no stdio streams and no allocation.
 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE_BYTES = 1024,
	TEXT_BYTES = LINE_BYTES - 4, /* room for "..." and the newline */
};

static const char *program_name = "";
static void (*line_sink)(const char *line);

void log_init(const char *program)
{
	program_name = program;
}

void log_to(void (*sink)(const char *line))
{
	line_sink = sink;
}

/* Appends text to line, escaped; false when it did not fit whole. */
static bool append_escaped(char *line, size_t *used, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		bool plain = *c >= 0x20 && *c < 0x7f;

		if (*used + (plain ? 1 : 4) > TEXT_BYTES)
			return false;
		if (plain) {
			line[(*used)++] = (char)*c;
			continue;
		}
		line[(*used)++] = '\\';
		line[(*used)++] = 'x';
		line[(*used)++] = hex[*c >> 4];
		line[(*used)++] = hex[*c & 15];
	}
	return true;
}

static void write_line(const char *format, va_list args)
{
	char text[TEXT_BYTES + 1], line[LINE_BYTES];
	int saved = errno;
	size_t used = 0;
	bool whole = vsnprintf(text, sizeof(text), format, args) < (int)sizeof(text);

	if (*program_name) {
		append_escaped(line, &used, program_name);
		append_escaped(line, &used, ": ");
	}
	whole &= append_escaped(line, &used, text);
	if (!whole) {
		memcpy(line + used, "...", 3);
		used += 3;
	}
	if (line_sink) {
		line[used] = '\0';
		line_sink(line);
		errno = saved;
		return;
	}
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0) {
		/* nobody is left to be told */
	}
	errno = saved;
}

void log_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(format, args);
	va_end(args);
}

void die(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(format, args);
	va_end(args);
	exit(status);
}
