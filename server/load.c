// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From configuration to exports, at the start and again on SIGHUP. Clients hold
 * the exports they have: a reload adds to them and neither changes nor removes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "server/server.h"

static int open_one(struct server *server, struct export_request *request)
{
	char why[TEXT_MAX];
	struct export *export;
	int r;

	r = export_open(&request->set, &export, why, sizeof(why));
	if (r < 0) {
		log_line("%s:%u: exportname = %s %s", request->file, request->line,
			 request->set.path, why);
		return r;
	}
	r = export_table_add(&server->exports, export);
	if (r < 0)
		export_close(export);
	return r;
}

static struct export *find(struct server *server, const struct export_request *request)
{
	return export_find(&server->exports, request->set.name, strlen(request->set.name));
}

/* Nobody can have attached to them yet. */
static void take_back(struct export_table *table, size_t count)
{
	while (table->count > count)
		export_close(table->list[--table->count]);
}

int load_exports(struct server *server, struct config *config)
{
	size_t before = server->exports.count;
	int r = 0;

	for (size_t i = 0; i < config->export_count; i++) {
		int one = find(server, &config->exports[i]) ? 0
							    : open_one(server, &config->exports[i]);

		if (one < 0)
			r = one;
	}
	if (r < 0)
		take_back(&server->exports, before);
	return r;
}

static bool differs(const struct export_settings *a, const struct export_settings *b)
{
	return strcmp(a->path, b->path) || a->size_bytes != b->size_bytes ||
	       a->readonly != b->readonly || a->flush != b->flush || a->fua != b->fua ||
	       a->trim != b->trim || a->sync != b->sync || a->rotational != b->rotational ||
	       a->max_connections != b->max_connections || a->exclusive != b->exclusive ||
	       a->hold_s != b->hold_s || a->per_client != b->per_client ||
	       a->quota_bytes != b->quota_bytes || a->expire_s != b->expire_s ||
	       a->sparse != b->sparse;
}

static void log_changed(struct server *server, const struct config *config)
{
	for (size_t i = 0; i < config->export_count; i++) {
		const struct export_request *request = &config->exports[i];
		struct export *export = find(server, request);

		if (export && differs(&export->set, &request->set))
			log_line("%s:%u: section [%s] changed: needs a restart", request->file,
				 request->line, request->set.name);
	}
}

static bool is_in(const struct config *config, const struct export *export)
{
	for (size_t i = 0; i < config->export_count; i++) {
		if (!strcmp(config->exports[i].set.name, export->set.name))
			return true;
	}
	return false;
}

static void log_removed(struct server *server, const struct config *config)
{
	for (size_t i = 0; i < server->exports.count; i++) {
		if (!is_in(config, server->exports.list[i]))
			log_line("%s: section [%s] is gone: served until a restart",
				 server->config_path, server->exports.list[i]->set.name);
	}
}

void load_again(struct server *server)
{
	size_t before = server->exports.count;
	struct config config;

	if (!server->config_path) {
		log_line("SIGHUP: there is no configuration to read again");
		return;
	}
	if (config_read(server->config_path, &config) < 0) {
		log_line("%s: not reloaded", server->config_path);
		return;
	}
	log_changed(server, &config);
	log_removed(server, &config);
	if (load_exports(server, &config) < 0)
		log_line("%s: not reloaded", server->config_path);
	else
		log_line("%s: reloaded, %zu exports added", server->config_path,
			 server->exports.count - before);
	config_free(&config);
}
