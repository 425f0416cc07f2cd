// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keys of the configuration file: for each how its value is taken, or why it is
 * refused. Each key of the nbd-server that people know is here: those that are not
 * implemented are refused, because to ignore one could share or overwrite data that its
 * owner meant to protect.
 */
#include "server/config-keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nbd-proto.h"

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

static int generic_workers(struct reader *reader, const struct rule *rule, const char *value)
{
	return parse_number(reader, rule, value, WORKERS_MAX, &reader->config->workers);
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
	{"workers", generic_workers, 0, NULL},
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

void config_take_value(struct reader *reader, const char *key, const char *value)
{
	const struct rule *rule = find_rule(reader->is_generic ? generic_rules : export_rules, key);

	if (!rule)
		mistake(reader, "unknown key %s in %s; nbd-server(5) lists the keys", key,
			reader->is_generic ? "[generic]" : "the section of an export");
	else if (rule->take(reader, rule, value) == -ENOMEM)
		mistake(reader, "out of memory");
}
