// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Between the files of the configuration (config.c) and the values of its keys (config-keys.c).
 */
#ifndef SERVER_CONFIG_KEYS_H
#define SERVER_CONFIG_KEYS_H

#include <stdio.h>

#include "server/server.h"

/* What is being read. */
struct reader {
	FILE *stream;
	const char *file;
	unsigned int line;
	char *text; /* of the line, from getline() */
	size_t text_size;
	bool is_included;
	bool is_generic, in_section;
	struct config *config;
	struct export_request *export; /* of the section at hand */
	unsigned int mistakes;
};

/*
 * Logs a mistake of that line, or of the line at hand, and counts it; the reader goes on.
 * Returns -EINVAL.
 */
int config_mistake(struct reader *reader, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define mistake(reader, ...) config_mistake(reader, (reader)->line, __VA_ARGS__)

/*
 * Takes the value of a key of the section at hand into reader->config or reader->export.
 * What is wrong with it is logged by config_mistake(), and a key that is known and without
 * effect is too.
 */
void config_take_value(struct reader *reader, const char *key, const char *value);

#endif
