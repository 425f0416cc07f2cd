/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbdtab(5): the line of a device becomes what the command line would have said.
 * Fields are DEVICE HOST EXPORT [OPTION,...]; each option is one of the table in
 * options.c under its name here, so that a value has one parser.
 */
#include "client-static/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/nbd-proto.h"

#define NBDTAB_PATH "/etc/nbdtab"

enum { FIELDS = 4, FIELDS_NEEDED = 3, LINE_BYTES = 8192 };

/* Where the names differ; port= and unix say what the fields before them mean. */
static const struct {
	const char *key, *option;
} names[] = {
	{"bs", "block-size"},
	{"conns", "connections"},
	{"no_optgo", "no-optgo"},
};

/* A line while it is read. */
struct row {
	unsigned int number;
	struct command *command;
	bool is_unix;
	uint16_t port; /* 0: none given */
};

__attribute__((format(printf, 3, 4))) static int refuse(const struct row *row, struct failure *why,
							const char *format, ...)
{
	char text[FAILURE_TEXT_BYTES / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return failure_set(why, EXIT_PERMANENT, EINVAL, "%s:%u: %s", NBDTAB_PATH, row->number,
			   text);
}

/* Only what belongs to one device may stand here. */
static bool is_for_device(const struct option_row *option)
{
	static const char *const others[] = {"list",	"check",  "doctor",  "disconnect", "status",
					     "boot",	"json",	  "explain", "name",	   "help",
					     "version", "nofork", "unix",    NULL};

	for (const char *const *other = others; *other; other++)
		if (!strcmp(option->name, *other))
			return false;
	return true;
}

static const struct option_row *find_option(const char *key)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(key, names[i].key))
			key = names[i].option;
	for (const struct option_row *option = option_table; option->name; option++)
		if (!strcmp(key, option->name))
			return is_for_device(option) ? option : NULL;
	return NULL;
}

static int take_port(struct row *row, const char *value, struct failure *why)
{
	uint64_t port = 0;

	if (!value || options_number(value, false, UINT16_MAX, &port) || !port)
		return refuse(row, why, "port=%.40s: must be a number from 1 to 65535",
			      value ? value : "");
	row->port = (uint16_t)port;
	return 0;
}

/* What this program does not know is passed over, and named once for main() to say. */
static void note_unknown(struct command *command, const char *key)
{
	size_t used = strlen(command->unknown_options);

	snprintf(command->unknown_options + used, sizeof(command->unknown_options) - used, "%s%s",
		 used ? "," : "", key);
}

static int take_option(struct row *row, char *text, struct failure *why)
{
	char *value = strchr(text, '=');
	const struct option_row *option;
	struct failure inner;

	if (value)
		*value++ = '\0';
	if (!*text || *text == '_')
		return 0;
	if (!strcmp(text, "port"))
		return take_port(row, value, why);
	if (!strcmp(text, "unix")) {
		if (value)
			return refuse(row, why,
				      "unix: takes no value, the path is the second field");
		row->is_unix = true;
		return 0;
	}
	option = find_option(text);
	if (!option) {
		note_unknown(row->command, text);
		return 0;
	}
	if (!option->apply)
		return refuse(row, why, "%s: %s", text, option->help);
	if (!option->argument != !value)
		return refuse(row, why, "%s: %s", text,
			      value ? "takes no value" : "needs a value behind \"=\"");
	if (option->apply(row->command, value, &inner))
		return refuse(row, why, "%s", inner.text);
	return 0;
}

static int take_options(struct row *row, char *options, struct failure *why)
{
	char *text;

	while ((text = strsep(&options, ","))) {
		int err = take_option(row, text, why);

		if (err)
			return err;
	}
	return 0;
}

/* HOST alone as it is, or HOST[:PORT],... as in a URI. */
static int take_host(struct row *row, const char *host, struct failure *why)
{
	struct target *target = &row->command->job.target;
	char uri[1024], clause[FAILURE_TEXT_BYTES / 4];
	uint16_t port = row->port ? row->port : NBD_DEFAULT_PORT;

	if (!strpbrk(host, ",[")) {
		if (strlen(host) >= sizeof(target->host))
			return refuse(row, why, "the host is longer than %zu characters",
				      sizeof(target->host) - 1);
		strcpy(target->host, host);
		target->port = port;
		return 0;
	}
	if ((size_t)snprintf(uri, sizeof(uri), "nbd://%s/", host) >= sizeof(uri))
		return refuse(row, why, "the hosts are longer than %zu characters",
			      sizeof(uri) - 8);
	if (uri_parse(uri, target, clause, sizeof(clause)))
		return refuse(row, why, "%.80s: %s", host, clause);
	if (row->port && target->port == NBD_DEFAULT_PORT)
		target->port = port;
	for (uint32_t i = 0; row->port && i < target->other_count; i++)
		if (target->others[i].port == NBD_DEFAULT_PORT)
			target->others[i].port = port;
	return 0;
}

static int take_target(struct row *row, const char *host, const char *export, struct failure *why)
{
	struct target *target = &row->command->job.target;
	int err;

	if (row->is_unix) {
		if (strlen(host) >= sizeof(target->unix_path))
			return refuse(row, why, "the socket's path is longer than %zu characters",
				      sizeof(target->unix_path) - 1);
		strcpy(target->unix_path, host);
	} else {
		err = take_host(row, host, why);
		if (err)
			return err;
	}
	if (strlen(export) >= sizeof(target->export_name))
		return refuse(row, why, "the export is longer than %zu bytes",
			      sizeof(target->export_name) - 1);
	strcpy(target->export_name, export);
	return 0;
}

/* Cuts the line, which it writes to, at blanks; the number of fields, one more than fits at most.
 */
static int cut(char *line, char *fields[FIELDS + 1])
{
	int count = 0;
	char *field;

	line[strcspn(line, "#\n")] = '\0';
	while (count <= FIELDS && (field = strsep(&line, " \t\r")))
		if (*field)
			fields[count++] = field;
	return count;
}

int nbdtab_take(char *line, unsigned int number, uint32_t index, struct command *command,
		struct failure *why)
{
	struct row row = {.number = number, .command = command};
	char *fields[FIELDS + 1];
	int count = cut(line, fields), err;
	struct failure ignored;
	uint32_t found;

	if (count == 0 || names_parse(fields[0], &found, &ignored) || found != index)
		return 1;
	if (count < FIELDS_NEEDED)
		return refuse(&row, why, "wants DEVICE HOST EXPORT [OPTIONS]");
	if (count > FIELDS)
		return refuse(&row, why,
			      "\"%.40s\" is one field too many: options are joined by commas, "
			      "without blanks",
			      fields[FIELDS]);
	err = count == FIELDS ? take_options(&row, fields[3], why) : 0;
	return err ? err : take_target(&row, fields[1], fields[2], why);
}

int nbdtab_find(uint32_t index, struct command *command, struct failure *why)
{
	char path[256], line[LINE_BYTES];
	unsigned int number = 0;
	int r = 1;
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", system_root, NBDTAB_PATH);
	file = fopen(path, "re");
	if (!file)
		return failure_set(why, EXIT_PERMANENT, errno,
				   "nbd%u alone: %s: %s; write HOST [PORT] nbd%u", index,
				   NBDTAB_PATH, strerror(errno), index);
	while (r == 1 && fgets(line, sizeof(line), file))
		r = nbdtab_take(line, ++number, index, command, why);
	fclose(file);
	if (r == 1)
		return failure_set(why, EXIT_PERMANENT, ENOENT,
				   "nbd%u alone: %s has no line for it; write HOST [PORT] nbd%u",
				   index, NBDTAB_PATH, index);
	return r;
}
