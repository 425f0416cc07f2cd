// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From configuration to exports, at the start and again on SIGHUP. All that is new or
 * changed is opened first; then the table changes at once, or not at all. Clients keep
 * what they have: an export that was changed or removed is retired, which means that no
 * name leads to it, and is closed when the last of its clients has gone. A section with
 * files of machines takes new settings over, for those who come from then on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "server/confine.h"
#include "server/server.h"

/* A table that is not in force yet: its exports, and which of them take others over. */
struct plan {
	struct export **list;
	struct export **old; /* of the same name, NULL: none; the same export: it is kept */
	size_t count;
	unsigned int added, changed;
};

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_settings(const struct export_settings *a, const struct export_settings *b)
{
	return same_text(a->path, b->path) && same_text(a->description, b->description) &&
	       same_text(a->generation, b->generation) && same_text(a->cow_dir, b->cow_dir) &&
	       a->size_bytes == b->size_bytes && a->max_connections == b->max_connections &&
	       a->exclusive == b->exclusive && a->hold_s == b->hold_s &&
	       a->per_client == b->per_client && a->keep == b->keep &&
	       a->quota_bytes == b->quota_bytes && a->expire_s == b->expire_s &&
	       a->sparse == b->sparse && a->readonly == b->readonly && a->flush == b->flush &&
	       a->fua == b->fua && a->trim == b->trim && a->rotational == b->rotational &&
	       a->sync == b->sync && a->direct == b->direct && allow_same(a->allow, b->allow);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether the name of its file still leads to what is open; no: it was replaced. */
static bool is_current(const struct export *export)
{
	struct stat named, open;
	int fd = export->set.per_client == PER_CLIENT_SWAP ? export->folder_fd : export->fd;

	return stat(export->set.path, &named) == 0 && fstat(fd, &open) == 0 &&
	       same_file(&named, &open);
}

static bool same_folder(const struct export *a, const struct export *b)
{
	struct stat one, other;

	return a->set.per_client && a->set.per_client == b->set.per_client &&
	       fstat(a->folder_fd, &one) == 0 && fstat(b->folder_fd, &other) == 0 &&
	       same_file(&one, &other);
}

static int plan_one(struct plan *plan, struct export_request *request, struct export *old)
{
	struct export **place = &plan->list[plan->count];
	char why[TEXT_MAX];
	int r;

	if (old &&
	    (old->is_fixed || (same_settings(&old->set, &request->set) && is_current(old)))) {
		*place = old;
	} else if (!confine_covers(&request->set)) {
		log_line("%s:%u: section [%s] writes where nothing was written at the start: "
			 "restart the server (or --unconfined)",
			 request->file, request->line, request->set.name);
		return -EACCES;
	} else {
		r = export_open(&request->set, place, why, sizeof(why));
		if (r < 0) {
			log_line("%s:%u: exportname = %s %s", request->file, request->line,
				 request->set.path, why);
			return r;
		}
		old ? plan->changed++ : plan->added++;
	}
	plan->old[plan->count++] = old;
	return 0;
}

static void give_up(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->list[i] != plan->old[i])
			export_close(plan->list[i]);
	}
	free(plan->list);
	free(plan->old);
}

static bool is_in(const struct plan *plan, const struct export *export)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->old[i] == export)
			return true;
	}
	return false;
}

static int make_plan(struct server *server, struct config *config, struct plan *plan)
{
	const struct export_table *table = &server->exports;
	size_t room = table->count + config->export_count;
	int r = 0;

	*plan = (struct plan){.list = calloc(room + 1, sizeof(*plan->list)),
			      .old = calloc(room + 1, sizeof(*plan->old))};
	if (!plan->list || !plan->old) {
		give_up(plan);
		return -ENOMEM;
	}
	for (size_t i = 0; i < config->export_count; i++) {
		struct export_request *request = &config->exports[i];
		const char *name = request->set.name;
		int one = plan_one(plan, request, export_find(table, name, strlen(name)));

		if (one < 0)
			r = one;
	}
	for (size_t i = 0; !r && i < table->count; i++) {
		if (!table->list[i]->is_fixed || is_in(plan, table->list[i]))
			continue;
		plan->list[plan->count] = table->list[i];
		plan->old[plan->count++] = table->list[i];
	}
	if (r < 0)
		give_up(plan);
	return r;
}

static void retire(struct server *server, struct export *export)
{
	export->is_retired = true;
	export->next_retired = server->retired;
	server->retired = export;
	server->export_left = true;
}

/* The files of its machines stay open, so that the same section goes on with other settings. */
static struct export *take_over(struct export *old, struct export *new)
{
	struct export_settings set = old->set;

	old->set = new->set;
	new->set = set;
	old->size_bytes = new->size_bytes;
	old->flags = new->flags;
	if (new->fd >= 0)
		dup2(new->fd, old->fd); /* at once, also for a thread that opens a layer */
	atomic_store(&old->cannot_keep, false);
	export_close(new);
	return old;
}

static void succeed(struct server *server, struct export *old, struct export *new)
{
	/* While it is connected, the old one tells (claim_leave()). */
	new->hold = old->hold;
	new->hold.is_held &= !old->connections;
	if (new->set.exclusive != EXCLUSIVE_ON)
		hold_forget(old);
	atomic_store(&new->flush_error, atomic_load(&old->flush_error));
	retire(server, old);
}

/* Returns how many exports are gone. */
static unsigned int carry_out(struct server *server, struct plan *plan)
{
	struct export_table *table = &server->exports;
	unsigned int removed = 0;

	for (size_t i = 0; i < table->count; i++) {
		if (is_in(plan, table->list[i]))
			continue;
		retire(server, table->list[i]);
		removed++;
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct export *old = plan->old[i], *new = plan->list[i];

		if (!old || old == new)
			continue;
		if (same_folder(old, new))
			plan->list[i] = take_over(old, new);
		else
			succeed(server, old, new);
	}
	free(table->list);
	free(plan->old);
	table->list = plan->list;
	table->count = plan->count;
	return removed;
}

int load_exports(struct server *server, struct config *config)
{
	struct plan plan;
	int r = make_plan(server, config, &plan);

	if (r < 0)
		return r;
	carry_out(server, &plan);
	return 0;
}

static bool same_listeners(const struct config *a, const struct config *b)
{
	if (a->listen_count != b->listen_count || a->port != b->port ||
	    a->dual_listen != b->dual_listen || !same_text(a->unix_path, b->unix_path) ||
	    !same_text(a->status_path, b->status_path) ||
	    !same_text(a->oldstyle_ports, b->oldstyle_ports))
		return false;
	for (unsigned int i = 0; i < a->listen_count; i++) {
		if (strcmp(a->listen[i].host, b->listen[i].host) != 0)
			return false;
	}
	return true;
}

/* What a running server cannot change any more. */
static void log_kept(const struct config *old, const struct config *new)
{
	const char *file = new->files[0];

	if (!same_listeners(old, new))
		log_line("%s: listenaddr, port, unixsock, duallisten and statussock change at a "
			 "restart",
			 file);
	if (!same_text(old->user, new->user) || !same_text(old->group, new->group))
		log_line("%s: user and group change at a restart", file);
	if (old->storage_threads != new->storage_threads || old->workers != new->workers)
		log_line("%s: max_threads and workers change at a restart", file);
}

void load_again(struct server *server)
{
	struct config config;
	struct plan plan;
	unsigned int removed;

	if (!server->config_path) {
		log_line("SIGHUP: there is no configuration to read again");
		return;
	}
	if (config_read(server->config_path, &config) < 0) {
		log_line("%s: not reloaded", server->config_path);
		return;
	}
	if (make_plan(server, &config, &plan) < 0) {
		log_line("%s: not reloaded", server->config_path);
		config_free(&config);
		return;
	}
	log_kept(&server->config, &config);
	removed = carry_out(server, &plan);
	server->exports.allow_list = config.allow_list;
	log_line("%s: reloaded: %u exports added, %u changed, %u removed", server->config_path,
		 plan.added, plan.changed, removed);
	config_free(&server->config);
	server->config = config;
}

static bool is_named(const struct connection_list *list, const struct export *export)
{
	const struct connection *connection;

	TAILQ_FOREACH(connection, list, timed) {
		const struct negotiation *n = connection->negotiation;

		if (n->export == export || n->context_export == export)
			return true;
	}
	return false;
}

static bool is_in_use(const struct server *server, const struct export *export)
{
	return !TAILQ_EMPTY(&export->attached) || export->machines || export->is_expiring ||
	       is_named(&server->handshakes, export) || is_named(&server->claims, export);
}

void load_sweep(struct server *server)
{
	struct export **place = &server->retired;

	while (*place) {
		struct export *export = *place;

		per_client_sweep(export, server->storage);
		if (is_in_use(server, export)) {
			place = &export->next_retired;
			continue;
		}
		*place = export->next_retired;
		export_close(export);
	}
}

void load_close(struct server *server)
{
	struct export *export;

	while ((export = server->retired)) {
		server->retired = export->next_retired;
		export_close(export);
	}
	export_table_free(&server->exports);
	config_free(&server->config);
}
