// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration file: [generic] and one section for each export, as the
 * nbd-server that people know reads it. Text enters, settings leave; nothing is
 * opened here. Each key of that nbd-server is known: those that are not
 * implemented are refused, because to ignore one could share or overwrite data
 * that its owner meant to protect.
 *
 * libinih splits lines into keys and values. It cuts section names at 49 bytes,
 * lines at 199, and joins indented lines to the value before; so the reader
 * below, which sees each line first, keeps section names, strips the indent and
 * refuses what would be cut.
 */
#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/server.h"

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

static int mistake_at(struct reader *reader, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int mistake_at(struct reader *reader, unsigned int line, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_line("%s:%u: %s", reader->file, line, text);
	reader->mistakes++;
	return -EINVAL;
}

#define mistake(reader, ...) mistake_at(reader, (reader)->line, __VA_ARGS__)

/* A key: how to take its value, or, when it is not implemented, what to do instead. */
struct rule {
	const char *key;
	int (*take)(struct reader *reader, const struct rule *rule, const char *value);
	size_t offset;	     /* of the setting */
	const char *instead; /* of a refused key */
};

static int parse_bool(struct reader *reader, const struct rule *rule, const char *value, bool *ret)
{
	if (!strcmp(value, "true") || !strcmp(value, "1"))
		*ret = true;
	else if (!strcmp(value, "false") || !strcmp(value, "0"))
		*ret = false;
	else
		return mistake(reader, "%s = %s: must be true or false", rule->key, value);
	return 0;
}

static int parse_number(struct reader *reader, const struct rule *rule, const char *value,
			unsigned int max, unsigned int *ret)
{
	uint64_t number;

	if (size_parse(value, &number) < 0 || number > max)
		return mistake(reader, "%s = %s: must be a number from 0 to %u", rule->key, value,
			       max);
	*ret = (unsigned int)number;
	return 0;
}

static void *generic_field(struct reader *reader, const struct rule *rule)
{
	return (char *)reader->config + rule->offset;
}

static void *export_field(struct reader *reader, const struct rule *rule)
{
	return (char *)&reader->export->set + rule->offset;
}

static int replace_string(char **string, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}

static int generic_bool(struct reader *reader, const struct rule *rule, const char *value)
{
	return parse_bool(reader, rule, value, generic_field(reader, rule));
}

static int generic_string(struct reader *reader, const struct rule *rule, const char *value)
{
	return replace_string(generic_field(reader, rule), value);
}

static int generic_port(struct reader *reader, const struct rule *rule, const char *value)
{
	if (port_parse(value, &reader->config->port) < 0)
		return mistake(reader, "%s = %s: must be a port (0 to 65535)", rule->key, value);
	reader->config->port_given = true;
	return 0;
}

static int export_port(struct reader *reader, const struct rule *rule, const char *value)
{
	struct export_settings *set = &reader->export->set;

	if (port_parse(value, &set->oldstyle_port) < 0)
		return mistake(reader, "%s = %s: must be a port (0 to 65535)", rule->key, value);
	set->is_oldstyle = true;
	reader->export->port_line = reader->line;
	return 0;
}

static int take_socket(struct reader *reader, const struct rule *rule, const char *value,
		       char **path)
{
	if (!*value || strlen(value) > UNIX_PATH_MAX_BYTES)
		return mistake(reader, "%s = %s: must be a file name of 1 to %d bytes", rule->key,
			       value, UNIX_PATH_MAX_BYTES);
	return replace_string(path, value);
}

static int generic_unix(struct reader *reader, const struct rule *rule, const char *value)
{
	return take_socket(reader, rule, value, &reader->config->unix_path);
}

static int generic_status(struct reader *reader, const struct rule *rule, const char *value)
{
	return take_socket(reader, rule, value, &reader->config->status_path);
}

static int generic_threads(struct reader *reader, const struct rule *rule, const char *value)
{
	unsigned int threads = 0;
	int r = parse_number(reader, rule, value, 64, &threads);

	if (!r && threads)
		reader->config->storage_threads = threads;
	return r;
}

static int generic_listen(struct reader *reader, const struct rule *rule, const char *value)
{
	static const char separators[] = ", \t";
	struct config *config = reader->config;

	for (value += strspn(value, separators); *value; value += strspn(value, separators)) {
		size_t length = strcspn(value, separators);
		struct listen_address *address = &config->listen[config->listen_count];

		if (config->listen_count == LISTENERS_MAX)
			return mistake(reader, "%s: more than %d addresses", rule->key,
				       LISTENERS_MAX);
		if (length >= sizeof(address->host))
			return mistake(reader, "%s: %.40s...: the address is too long", rule->key,
				       value);
		memcpy(address->host, value, length);
		address->host[length] = '\0';
		config->listen_count++;
		value += length;
	}
	return 0;
}

static int export_bool(struct reader *reader, const struct rule *rule, const char *value)
{
	return parse_bool(reader, rule, value, export_field(reader, rule));
}

static int export_path(struct reader *reader, const struct rule *rule, const char *value)
{
	if (!*value)
		return mistake(reader, "%s is empty: must be a file or block device", rule->key);
	if (strstr(value, "%s"))
		return mistake(reader,
			       "%s = %s: %%s (one file for each client) is not implemented; "
			       "give each client a section of its own",
			       rule->key, value);
	return replace_string(export_field(reader, rule), value);
}

static int export_allow(struct reader *reader, const struct rule *rule, const char *value)
{
	struct export_settings *set = &reader->export->set;
	struct allow_list *list = NULL;
	char why[TEXT_MAX] = "out of memory";

	if (allow_read(value, &list, why, sizeof(why)) < 0)
		return mistake(reader, "%s: %s", rule->key, why);
	free(set->allow);
	set->allow = list;
	return 0;
}

static int export_string(struct reader *reader, const struct rule *rule, const char *value)
{
	if (!*value)
		return mistake(reader, "%s is empty: must be a directory", rule->key);
	return replace_string(export_field(reader, rule), value);
}

static int export_size(struct reader *reader, const struct rule *rule, const char *value)
{
	if (size_parse(value, export_field(reader, rule)) < 0)
		return mistake(reader, "%s = %s: must be a size in bytes, or with k, M or G",
			       rule->key, value);
	return 0;
}

static int export_time(struct reader *reader, const struct rule *rule, const char *value)
{
	if (time_parse(value, export_field(reader, rule)) < 0)
		return mistake(reader,
			       "%s = %s: must be a time in seconds, or with m, h or d, "
			       "of at most 68 years",
			       rule->key, value);
	return 0;
}

static int export_exclusive(struct reader *reader, const struct rule *rule, const char *value)
{
	bool on;
	int r = parse_bool(reader, rule, value, &on);

	if (!r)
		reader->export->set.exclusive = on ? EXCLUSIVE_ON : EXCLUSIVE_OFF;
	return r;
}

static int export_per_client(struct reader *reader, const struct rule *rule, const char *value)
{
	struct export_settings *set = &reader->export->set;

	if (!strcmp(value, "swap"))
		set->per_client = PER_CLIENT_SWAP;
	else if (!strcmp(value, "cow"))
		set->per_client = PER_CLIENT_COW;
	else
		return mistake(reader, "%s = %s: must be swap or cow", rule->key, value);
	if (set->exclusive == EXCLUSIVE_MACHINE)
		set->exclusive = EXCLUSIVE_ON;
	return 0;
}

static int export_keep(struct reader *reader, const struct rule *rule, const char *value)
{
	struct export_settings *set = &reader->export->set;

	if (strcmp(value, "always") != 0 && strcmp(value, "boot") != 0)
		return mistake(reader, "%s = %s: must be always or boot", rule->key, value);
	set->keep = !strcmp(value, "boot") ? KEEP_BOOT : KEEP_ALWAYS;
	return 0;
}

static int export_number(struct reader *reader, const struct rule *rule, const char *value)
{
	return parse_number(reader, rule, value, INT32_MAX, export_field(reader, rule));
}

static int export_description(struct reader *reader, const struct rule *rule, const char *value)
{
	if (strlen(value) > DESCRIPTION_MAX_BYTES)
		return mistake(reader, "%s: longer than %d bytes", rule->key,
			       DESCRIPTION_MAX_BYTES);
	return replace_string(export_field(reader, rule), value);
}

static int export_generation(struct reader *reader, const struct rule *rule, const char *value)
{
	if (strlen(value) >= GENERATION_BYTES || !export_is_identity(value, strlen(value)))
		return mistake(reader, "%s = %s: must be 1 to %d letters, digits and : . _ -",
			       rule->key, value, GENERATION_BYTES - 1);
	return replace_string(&reader->export->set.generation, value);
}

static int refuse(struct reader *reader, const struct rule *rule, const char *value)
{
	(void)value;
	return mistake(reader, "%s is not implemented: %s", rule->key, rule->instead);
}

/* A switch that may be off. */
static int refuse_true(struct reader *reader, const struct rule *rule, const char *value)
{
	bool on;
	int r = parse_bool(reader, rule, value, &on);

	return r || !on ? r : refuse(reader, rule, value);
}

/* What changes neither data nor who may reach it. */
static int warn(struct reader *reader, const struct rule *rule, const char *value)
{
	(void)value;
	log_line("%s:%u: %s has no effect: %s", reader->file, reader->line, rule->key,
		 rule->instead);
	return 0;
}

#define NO_TLS "there is no TLS yet; remove it and keep the port on a trusted network"
#define NO_COW "use per_client = cow and cowdir, which keep what each machine writes"
#define NO_RUN "run the command before the server starts"

static const struct rule generic_rules[] = {
	{"allowlist", generic_bool, offsetof(struct config, allow_list), NULL},
	{"cacertfile", refuse, 0, NO_TLS},
	{"certfile", refuse, 0, NO_TLS},
	{"duallisten", generic_bool, offsetof(struct config, dual_listen), NULL},
	{"force_tls", refuse_true, 0, NO_TLS},
	{"group", generic_string, offsetof(struct config, group), NULL},
	{"includedir", generic_string, offsetof(struct config, include_dir), NULL},
	{"keyfile", refuse, 0, NO_TLS},
	{"listenaddr", generic_listen, 0, NULL},
	{"max_threads", generic_threads, 0, NULL},
	{"oldstyle", generic_bool, offsetof(struct config, oldstyle), NULL},
	{"port", generic_port, 0, NULL},
	{"splice", warn, 0, "the server uses splice(2) where it saves a copy"},
	{"statussock", generic_status, 0, NULL},
	{"tlsprio", refuse, 0, NO_TLS},
	{"unixsock", generic_unix, 0, NULL},
	{"user", generic_string, offsetof(struct config, user), NULL},
	{NULL, NULL, 0, NULL},
};

static const struct rule export_rules[] = {
	{"authfile", export_allow, 0, NULL},
	{"copyonwrite", refuse_true, 0, NO_COW},
	{"cowdir", export_string, offsetof(struct export_settings, cow_dir), NULL},
	{"description", export_description, offsetof(struct export_settings, description), NULL},
	{"direct", export_bool, offsetof(struct export_settings, direct), NULL},
	{"exclusive", export_exclusive, 0, NULL},
	{"expire", export_time, offsetof(struct export_settings, expire_s), NULL},
	{"exportname", export_path, offsetof(struct export_settings, path), NULL},
	{"filesize", export_size, offsetof(struct export_settings, size_bytes), NULL},
	{"flush", export_bool, offsetof(struct export_settings, flush), NULL},
	{"force_tls", refuse_true, 0, NO_TLS},
	{"fua", export_bool, offsetof(struct export_settings, fua), NULL},
	{"generation", export_generation, 0, NULL},
	{"hold", export_time, offsetof(struct export_settings, hold_s), NULL},
	{"keep", export_keep, 0, NULL},
	{"listenaddr", refuse, 0, "set it in [generic], for all exports"},
	{"maxconnections", export_number, offsetof(struct export_settings, max_connections), NULL},
	{"multifile", refuse_true, 0, "join the files to one"},
	{"per_client", export_per_client, 0, NULL},
	{"port", export_port, 0, NULL},
	{"postrun", refuse, 0, NO_RUN},
	{"prerun", refuse, 0, NO_RUN},
	{"quota", export_size, offsetof(struct export_settings, quota_bytes), NULL},
	{"readonly", export_bool, offsetof(struct export_settings, readonly), NULL},
	{"rotational", export_bool, offsetof(struct export_settings, rotational), NULL},
	{"sdp", refuse_true, 0, "the Sockets Direct Protocol is gone from Linux"},
	{"size", export_size, offsetof(struct export_settings, size_bytes), NULL},
	{"sparse", export_bool, offsetof(struct export_settings, sparse), NULL},
	{"sparse_cow", refuse_true, 0, NO_COW},
	{"sync", export_bool, offsetof(struct export_settings, sync), NULL},
	{"temporary", refuse_true, 0, "give each client a file and a section of its own"},
	{"timeout", warn, 0, "clients that are gone are found by TCP keepalive"},
	{"tlsonly", refuse_true, 0, NO_TLS},
	{"transactionlog", refuse, 0, "there is no log of requests"},
	{"treefiles", refuse_true, 0, "use one sparse file"},
	{"trim", export_bool, offsetof(struct export_settings, trim), NULL},
	{"virtstyle", warn, 0, "it needs %s in exportname, which is not implemented"},
	{"waitfile", refuse_true, 0, "all files have to exist when the server starts"},
	{NULL, NULL, 0, NULL},
};

static const struct rule *find_rule(const struct rule *rules, const char *key)
{
	for (; rules->key; rules++) {
		if (!strcmp(rules->key, key))
			return rules;
	}
	return NULL;
}

/* From libinih: one key of the section at hand. Goes on after a mistake. */
static int take_key(void *user, const char *section, const char *key, const char *value)
{
	struct reader *reader = user;
	const struct rule *rule;

	(void)section;
	if (!reader->in_section) {
		mistake(reader, "%s is outside of a section; [generic] or [EXPORT] must come first",
			key);
		return 1;
	}
	if (!reader->is_generic && !reader->export)
		return 1; /* of a section that was refused */
	rule = find_rule(reader->is_generic ? generic_rules : export_rules, key);
	if (!rule)
		mistake(reader, "unknown key %s in %s; nbd-server(5) lists the keys", key,
			reader->is_generic ? "[generic]" : "the section of an export");
	else if (rule->take(reader, rule, value) == -ENOMEM)
		mistake(reader, "out of memory");
	return 1;
}

static struct export_request *find_export(struct config *config, const char *name)
{
	for (size_t i = 0; i < config->export_count; i++) {
		if (!strcmp(config->exports[i].set.name, name))
			return &config->exports[i];
	}
	return NULL;
}

static int add_export(struct reader *reader, const char *name)
{
	struct config *config = reader->config;
	struct export_request *same = find_export(config, name), *list;

	if (same)
		return mistake(reader, "section [%s] is here a second time, first at %s:%u", name,
			       same->file, same->line);
	if (strlen(name) > NBD_MAX_STRING)
		return mistake(reader, "the name of the export is longer than %d bytes",
			       NBD_MAX_STRING);
	list = realloc(config->exports, (config->export_count + 1) * sizeof(*list));
	if (!list)
		return mistake(reader, "out of memory");
	config->exports = list;
	if (export_settings_init(&list[config->export_count].set, name, NULL) < 0)
		return mistake(reader, "out of memory");
	reader->export = &list[config->export_count++];
	reader->export->line = reader->line;
	reader->export->file = reader->file;
	return 0;
}

static void begin_section(struct reader *reader, char *line)
{
	char *end = strrchr(line, ']');

	reader->in_section = true;
	reader->is_generic = false;
	reader->export = NULL;
	if (!end)
		return; /* libinih says so; the keys below belong to no other section */
	*end = '\0';
	reader->is_generic = !strcmp(line + 1, "generic");
	if (!reader->is_generic)
		add_export(reader, line + 1);
	else if (reader->is_included)
		mistake(reader, "[generic] belongs in the main file");
	*end = ']';
}

/* For libinih, in place of fgets(): one whole line, or an empty one for what does not fit. */
static char *read_line(char *buffer, int size, void *user)
{
	struct reader *reader = user;
	ssize_t length = getline(&reader->text, &reader->text_size, reader->stream);
	char *line = reader->text;

	if (length < 0)
		return NULL;
	reader->line++;
	line += strspn(line, " \t");
	if (*line == '[')
		begin_section(reader, line);
	if (strlen(line) < (size_t)size)
		return strcpy(buffer, line);
	if (*line == '[' && strrchr(line, ']'))
		return strcpy(buffer, "[long]\n");
	if (*line != '#' && *line != ';')
		mistake(reader, "the line is longer than %d bytes", size - 1);
	return strcpy(buffer, "\n");
}

static int keep_file_name(struct config *config, const char *path, const char **ret)
{
	char **files = realloc(config->files, (config->file_count + 1) * sizeof(*files));

	if (!files)
		return -ENOMEM;
	config->files = files;
	files[config->file_count] = strdup(path);
	if (!files[config->file_count])
		return -ENOMEM;
	*ret = files[config->file_count++];
	return 0;
}

static int read_file(const char *path, bool is_included, struct config *config)
{
	struct reader reader = {.config = config, .is_included = is_included};
	int r = keep_file_name(config, path, &reader.file);

	if (r < 0)
		return r;
	reader.stream = fopen(path, "re");
	if (!reader.stream) {
		r = -errno;
		log_line("%s: cannot read the configuration: %s", path, strerror(-r));
		return r;
	}
	r = ini_parse_stream(read_line, &reader, take_key, &reader);
	if (r > 0)
		mistake_at(&reader, (unsigned int)r, "neither [SECTION] nor KEY = VALUE");
	if (ferror(reader.stream))
		mistake(&reader, "cannot read further: %s", strerror(errno));
	fclose(reader.stream);
	free(reader.text);
	return reader.mistakes ? -EINVAL : 0;
}

static int is_config_file(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && !strcmp(dot, ".conf");
}

static int read_directory(const char *directory, struct config *config)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_config_file, alphasort), r = 0;

	if (count < 0) {
		r = -errno;
		log_line("%s: cannot read includedir: %s", directory, strerror(-r));
		return r;
	}
	for (int i = 0; i < count; i++) {
		char *path;
		int one = asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0
				  ? -ENOMEM
				  : read_file(path, true, config);

		if (one < 0)
			r = one;
		if (one != -ENOMEM)
			free(path);
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* What no single line shows: NULL, or what is wrong with the section. */
static const char *check_section(const struct export_settings *set)
{
	bool is_per_client = set->per_client != PER_CLIENT_NONE;

	if (!set->path)
		return set->per_client == PER_CLIENT_SWAP ? "has no exportname = DIRECTORY"
							  : "has no exportname = FILE";
	if ((set->per_client == PER_CLIENT_COW) != !!set->cow_dir)
		return set->cow_dir ? "has a cowdir, which needs per_client = cow"
				    : "has no cowdir = DIRECTORY, which per_client = cow needs";
	if (set->per_client == PER_CLIENT_COW && set->quota_bytes && !set->size_bytes)
		return "has a quota, which needs size, the most that each layer may take";
	if (set->per_client == PER_CLIENT_COW && set->sparse)
		return "has sparse = true: a layer is always sparse";
	if (set->per_client == PER_CLIENT_COW && set->direct)
		return "has direct = true: all layers read their image through the page cache";
	if (!is_per_client && (set->quota_bytes || set->expire_s || set->sparse))
		return "has quota, expire or sparse, which need per_client";
	if (set->keep == KEEP_BOOT && (!is_per_client || !export_is_pattern(set->name)))
		return "has keep = boot, which needs per_client and a name that ends in /*";
	if (set->is_oldstyle && export_is_pattern(set->name))
		return "has a port, where nobody could say who he is: give each machine a section";
	if (is_per_client && set->exclusive == EXCLUSIVE_OFF)
		return "has exclusive = false: what is per_client can have one machine only";
	if (set->generation && !set->readonly)
		return "has a generation, which needs readonly = true";
	if (is_per_client && set->readonly)
		return "has readonly = true: nobody could write what is per_client";
	if (set->per_client == PER_CLIENT_SWAP && set->size_bytes < SWAP_MIN_BYTES)
		return "has no size of 64k or more, which per_client = swap needs";
	return NULL;
}

static int check_exports(const struct config *config)
{
	int r = 0;

	for (size_t i = 0; i < config->export_count; i++) {
		const struct export_request *export = &config->exports[i];
		const char *wrong = check_section(&export->set);

		if (export->set.is_oldstyle && !config->oldstyle) {
			log_line("%s:%u: port is not implemented without oldstyle = true in "
				 "[generic]; the port of all other exports is set there",
				 export->file, export->port_line);
			r = -EINVAL;
		}
		if (!wrong)
			continue;
		log_line("%s:%u: section [%s] %s", export->file, export->line, export->set.name,
			 wrong);
		r = -EINVAL;
	}
	return r;
}

/* PORT NAME, a line for each. -ENOMEM. */
static int note_oldstyle(struct config *config)
{
	for (size_t i = 0; i < config->export_count; i++) {
		const struct export_settings *set = &config->exports[i].set;
		char *before = config->oldstyle_ports;

		if (!set->is_oldstyle)
			continue;
		if (asprintf(&config->oldstyle_ports, "%s%u %s\n", before ?: "", set->oldstyle_port,
			     set->name) < 0) {
			config->oldstyle_ports = before;
			return -ENOMEM;
		}
		free(before);
	}
	return 0;
}

int config_read(const char *path, struct config *ret)
{
	struct config config = {.storage_threads = STORAGE_THREADS_DEFAULT,
				.port = NBD_DEFAULT_PORT};
	int r = read_file(path, false, &config);

	if (!r && config.include_dir)
		r = read_directory(config.include_dir, &config);
	if (!r)
		r = check_exports(&config);
	if (!r)
		r = note_oldstyle(&config);
	if (r < 0) {
		config_free(&config);
		return r;
	}
	for (unsigned int i = 0; i < config.listen_count; i++)
		config.listen[i].port = config.port;
	*ret = config;
	return 0;
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->export_count; i++)
		export_settings_free(&config->exports[i].set);
	for (size_t i = 0; i < config->file_count; i++)
		free(config->files[i]);
	free(config->exports);
	free(config->files);
	free(config->user);
	free(config->group);
	free(config->include_dir);
	free(config->unix_path);
	free(config->status_path);
	free(config->oldstyle_ports);
	*config = (struct config){0};
}
