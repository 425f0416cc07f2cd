// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration file: [generic] and one section for each export, as the
 * nbd-server that people know reads it. Text enters, settings leave; nothing is
 * opened here. What the keys mean is in config-keys.c.
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
#include "server/config-keys.h"

int config_mistake(struct reader *reader, unsigned int line, const char *format, ...)
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

/* From libinih: one key of the section at hand. Goes on after a mistake. */
static int take_key(void *user, const char *section, const char *key, const char *value)
{
	struct reader *reader = user;

	(void)section;
	if (!reader->in_section) {
		mistake(reader, "%s is outside of a section; [generic] or [EXPORT] must come first",
			key);
		return 1;
	}
	if (!reader->is_generic && !reader->export)
		return 1; /* of a section that was refused */
	config_take_value(reader, key, value);
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
		config_mistake(&reader, (unsigned int)r, "neither [SECTION] nor KEY = VALUE");
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
