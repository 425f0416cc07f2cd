/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line becomes a command, by the table of options.c. Forms are those
 * of the usual nbd-client: long names behind one dash or two, abbreviated where
 * unique, values behind "=" or as the next word, letters in clusters, and the bs=
 * and timeout= words of old.
 */
#include "client-static/client.h"

#include <errno.h>
#include <string.h>

#include "common/nbd-proto.h"

enum { WORDS_MAX = 3 /* HOST PORT DEVICE */ };

/* The command line while it is read: words are what is no option. */
struct reading {
	char **argv; /* the rest, ends with NULL */
	struct command *command;
	const char *words[WORDS_MAX];
	size_t word_count;
	bool has_name;
};

static const struct option_row *find_letter(char letter)
{
	for (const struct option_row *row = option_table; row->name; row++) {
		if (row->letter == letter)
			return row;
	}
	return NULL;
}

/* The row with that name, or the only one that begins so. */
static const struct option_row *find_name(const char *name, size_t length, bool *ret_ambiguous)
{
	const struct option_row *found = NULL;

	*ret_ambiguous = false;
	for (const struct option_row *row = option_table; length > 1 && row->name; row++) {
		if (strncmp(row->name, name, length))
			continue;
		if (strlen(row->name) == length) {
			*ret_ambiguous = false;
			return row;
		}
		*ret_ambiguous = found != NULL;
		found = row;
	}
	return found;
}

/* value is NULL when none was given with the option; then it is the next word. */
static int apply(struct reading *reading, const struct option_row *row, const char *value,
		 struct failure *why)
{
	if (!row->apply)
		return failure_set(why, EXIT_PERMANENT, EINVAL, "-%s: %s", row->name, row->help);
	if (!row->argument && value)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "-%s takes no value, \"%s\" was given", row->name, value);
	if (row->argument && !value)
		value = *reading->argv ? *reading->argv++ : NULL;
	if (row->argument && !value)
		return failure_set(why, EXIT_PERMANENT, EINVAL, "-%s needs a value: -%s %s",
				   row->name, row->name, row->argument);
	reading->has_name |= row == find_letter('N');
	return row->apply(reading->command, value, why);
}

/* A cluster of letters, the last of which may have a value. */
static int take_letters(struct reading *reading, const char *letters, struct failure *why)
{
	for (const char *c = letters; *c; c++) {
		const struct option_row *row = find_letter(*c);
		int err;

		if (!row)
			return failure_set(why, EXIT_PERMANENT, EINVAL,
					   "option -%s is not known; -help lists them", letters);
		if (row->argument && c[1])
			return apply(reading, row, c + 1 + (c[1] == '='), why);
		err = apply(reading, row, NULL, why);
		if (err)
			return err;
	}
	return 0;
}

static int take_option(struct reading *reading, const char *text, struct failure *why)
{
	bool two_dashes = text[1] == '-', ambiguous;
	const char *name = text + 1 + two_dashes;
	size_t length = strcspn(name, "=");
	const struct option_row *row = find_name(name, length, &ambiguous);

	if (ambiguous)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "option %s is ambiguous; write it in full", text);
	if (row)
		return apply(reading, row, name[length] ? name + length + 1 : NULL, why);
	if (two_dashes || !*name)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "option %s is not known; -help lists them", text);
	return take_letters(reading, name, why);
}

static int take_word(struct reading *reading, const char *text, struct failure *why)
{
	if (!strncmp(text, "bs=", strlen("bs=")))
		return find_letter('b')->apply(reading->command, text + strlen("bs="), why);
	if (!strncmp(text, "timeout=", strlen("timeout=")))
		return find_letter('t')->apply(reading->command, text + strlen("timeout="), why);
	if (reading->word_count == WORDS_MAX)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "\"%s\" is one word too many after %s %s %s", text,
				   reading->words[0], reading->words[1], reading->words[2]);
	reading->words[reading->word_count++] = text;
	return 0;
}

static int read_words(struct reading *reading, struct failure *why)
{
	bool options_end = false;

	while (*reading->argv) {
		const char *text = *reading->argv++;
		int err;

		if (!options_end && !strcmp(text, "--")) {
			options_end = true;
			continue;
		}
		err = !options_end && *text == '-' ? take_option(reading, text, why)
						   : take_word(reading, text, why);
		if (err)
			return err;
	}
	return 0;
}

static int take_uri(struct reading *reading, const char *text, struct failure *why)
{
	static struct target target; /* too large for a stack beside the caller's */
	char clause[256];

	if (*reading->command->job.target.unix_path)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "%s: -unix and a URI do not go together", text);
	if (uri_parse(text, &target, clause, sizeof(clause)))
		return failure_set(why, EXIT_PERMANENT, EINVAL, "%s: %s", text, clause);
	if (reading->has_name && *target.export_name)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "%s: names an export, and so does -name; give one", text);
	if (reading->has_name)
		strcpy(target.export_name, reading->command->job.target.export_name);
	reading->command->job.target = target;
	return 0;
}

static int take_host(struct target *target, const char *host, const char *port, struct failure *why)
{
	uint64_t number = NBD_DEFAULT_PORT;

	if (port && (options_number(port, false, UINT16_MAX, &number) || !number))
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "port \"%s\" is not a number from 1 to 65535", port);
	if (!*host)
		return failure_set(why, EXIT_PERMANENT, EINVAL, "the host name is empty");
	target->port = (uint16_t)number;
	if (strlen(host) >= sizeof(target->host))
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "host name: longer than %zu characters",
				   sizeof(target->host) - 1);
	strcpy(target->host, host);
	return 0;
}

/* The words that say where the export is: none with -unix, a URI, or HOST [PORT]. */
static int take_target(struct reading *reading, size_t count, struct failure *why)
{
	struct target *target = &reading->command->job.target;

	if (count > 0 && uri_is_meant(reading->words[0]) && count == 1)
		return take_uri(reading, reading->words[0], why);
	if (count > 0 && uri_is_meant(reading->words[0]))
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "\"%s\" is one word too many after a URI", reading->words[1]);
	if (*target->unix_path && count > 0)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "-unix takes the place of HOST and PORT; \"%s\" is too many",
				   reading->words[0]);
	if (*target->unix_path)
		return 0;
	if (count > 2)
		return failure_set(why, EXIT_PERMANENT, EINVAL, "\"%s\" is one word too many",
				   reading->words[2]);
	if (count == 0)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "the server is missing: HOST [PORT] DEVICE or nbd://HOST/EXPORT "
				   "DEVICE; -help tells more");
	return take_host(target, reading->words[0], count > 1 ? reading->words[1] : NULL, why);
}

static int take_attach(struct reading *reading, struct failure *why)
{
	struct attach_job *job = &reading->command->job;
	size_t count = reading->word_count;
	int err;

	if (count == 0)
		return take_target(reading, 0, why);
	if (count == 1 && !*job->target.unix_path)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "%s: the device is missing: write it last, as /dev/nb0",
				   reading->words[0]);
	err = names_parse(reading->words[count - 1], &job->device_index, why);
	return err ? err : take_target(reading, count - 1, why);
}

/* A device alone: nbdtab says the rest, and what the command line says besides goes before. */
static int take_nbdtab(char **argv, struct reading *reading, struct failure *why)
{
	struct command *command = reading->command;
	uint32_t index;
	int err;

	if (reading->word_count != 1 || *command->job.target.unix_path ||
	    names_parse(reading->words[0], &index, why))
		return 1;
	memset(command, 0, sizeof(*command));
	err = nbdtab_find(index, command, why);
	if (err)
		return err;
	command->job.device_index = index;
	*reading = (struct reading){.argv = argv, .command = command};
	return read_words(reading, why);
}

static int take_device(char **argv, struct reading *reading, struct failure *why)
{
	const struct attach_job *job = &reading->command->job;
	int err = take_nbdtab(argv, reading, why);

	if (err == 1)
		err = take_attach(reading, why);
	if (!err && job->no_negotiation && !job->size_bytes)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "-preinit needs -size: no server will tell it");
	return err;
}

int arguments_parse(int argc, char **argv, struct command *ret, struct failure *why)
{
	struct reading reading = {.argv = argv + (argc > 0), .command = ret};
	int err;

	memset(ret, 0, sizeof(*ret));
	ret->job.target.port = NBD_DEFAULT_PORT;
	err = read_words(&reading, why);
	if (err)
		return err;
	if (ret->as_json && ret->action != ACTION_STATUS && ret->action != ACTION_DOCTOR)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "-json goes with -status or -doctor");
	switch (ret->action) {
	case ACTION_ATTACH:
		return take_device(argv + (argc > 0), &reading, why);
	case ACTION_LIST:
		return take_target(&reading, reading.word_count, why);
	case ACTION_EXPLAIN:
		ret->explain.root_path = reading.words[0];
		ret->explain.next_server = reading.words[1];
		return reading.word_count <= 2
			       ? 0
			       : failure_set(why, EXIT_PERMANENT, EINVAL,
					     "\"%s\" is one word too many", reading.words[2]);
	default:
		return reading.word_count == 0
			       ? 0
			       : failure_set(why, EXIT_PERMANENT, EINVAL,
					     "\"%s\" is one word too many", reading.words[0]);
	}
}
