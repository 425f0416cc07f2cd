// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's side of --status: whoever connects gets one JSON object and the end of the
 * stream. What the loop knows is put together on its thread; a storage thread adds the
 * files of machines, whose directories may be slow. A reader that takes nothing is closed;
 * who comes while there are many waits to be accepted.
 */
#include "server/status.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/layer.h"
#include "server/machine-file.h"
#include "server/server.h"

enum { QUERIES_MAX = 8, QUERY_TIMEOUT_MS = 5000 };

/* The files of one section, for the storage thread. */
struct folder {
	int fd;
	const char *suffix;
	json_t *machines; /* of the object */
};

struct status_query {
	struct watch watch; /* first: watch and query are one address */
	struct storage_job job;
	struct server *server;
	struct status_query *next;
	bool running; /* the storage has it */
	uint64_t deadline_ms;
	json_t *root;
	struct folder *folders;
	size_t folder_count;
	char *text;
	size_t text_bytes, sent_bytes;
};

static json_t *traffic_object(const struct traffic *traffic)
{
	uint64_t all = traffic->reads + traffic->writes + traffic->flushes + traffic->others;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "reads",
			 (json_int_t)traffic->reads, "read_bytes", (json_int_t)traffic->read_bytes,
			 "writes", (json_int_t)traffic->writes, "written_bytes",
			 (json_int_t)traffic->written_bytes, "flushes",
			 (json_int_t)traffic->flushes, "others", (json_int_t)traffic->others,
			 "errors", (json_int_t)traffic->errors, "latency_mean_us",
			 (json_int_t)(all ? traffic->answered_us / all : 0), "latency_max_us",
			 (json_int_t)traffic->slowest_us);
}

static json_t *client_object(const struct connection *connection)
{
	json_t *object = traffic_object(&connection->traffic);

	json_object_set_new(object, "peer", json_string(connection->peer));
	json_object_set_new(object, "export", json_string(connection->export->set.name));
	if (connection->identity)
		json_object_set_new(object, "identity", json_string(connection->identity));
	json_object_set_new(object, "since_s", json_integer(connection->attached_s));
	json_object_set_new(object, "worker",
			    json_integer(connection->worker - connection->server->workers));
	json_object_set_new(object, "in_flight", json_integer(connection->request_count));
	return object;
}

static json_t *client_list(const struct server *server)
{
	const struct connection *connection;
	json_t *list = json_array();

	TAILQ_FOREACH(connection, &server->connections, all) {
		if (connection->export && !connection->has_left)
			json_array_append_new(list, client_object(connection));
	}
	return list;
}

static unsigned int connections_of(const struct export *export)
{
	unsigned int count = export->connections;

	for (const struct export *each = export->machines; each; each = each->next_machine)
		count += each->connections;
	return count;
}

static json_t *export_object(const struct export *export)
{
	static const char *const kinds[] = {"none", "swap", "cow"};
	struct traffic traffic;
	json_t *object;

	traffic_of_export(export, &traffic);
	object = traffic_object(&traffic);
	json_object_set_new(object, "name", json_string(export->set.name));
	json_object_set_new(object, "path", json_string(export->set.path));
	json_object_set_new(object, "size_bytes", json_integer((json_int_t) export->size_bytes));
	json_object_set_new(object, "per_client", json_string(kinds[export->set.per_client]));
	json_object_set_new(object, "readonly", json_boolean(export->set.readonly));
	json_object_set_new(object, "generation", json_string(export->generation));
	json_object_set_new(object, "retired", json_boolean(export->is_retired));
	json_object_set_new(object, "connections", json_integer(connections_of(export)));
	json_object_set_new(object, "latency_p50_us",
			    json_integer((json_int_t)traffic_percentile_us(&traffic, 50)));
	json_object_set_new(object, "latency_p99_us",
			    json_integer((json_int_t)traffic_percentile_us(&traffic, 99)));
	json_object_set_new(object, "flush_error",
			    json_string(atomic_load(&export->flush_error)
						? strerror(-atomic_load(&export->flush_error))
						: ""));
	return object;
}

static void add_folder(struct status_query *query, const struct export *export, json_t *object)
{
	struct folder *folder = &query->folders[query->folder_count];

	folder->fd = fcntl(export->folder_fd, F_DUPFD_CLOEXEC, 0);
	if (folder->fd < 0)
		return;
	folder->suffix = export->set.per_client == PER_CLIENT_SWAP ? SWAP_SUFFIX : LAYER_SUFFIX;
	folder->machines = json_array();
	json_object_set_new(object, "machines", folder->machines);
	query->folder_count++;
}

static json_t *export_list(struct status_query *query)
{
	const struct server *server = query->server;
	json_t *list = json_array();

	for (size_t i = 0; i < server->exports.count; i++) {
		const struct export *export = server->exports.list[i];
		json_t *object = export_object(export);

		if (export->set.per_client)
			add_folder(query, export, object);
		json_array_append_new(list, object);
	}
	for (const struct export *export = server->retired; export; export = export->next_retired)
		json_array_append_new(list, export_object(export));
	return list;
}

static json_t *server_object(const struct server *server)
{
	const struct server_counts *counts = &server->counts;

	return json_pack("{s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
			 "version", VERSION, "pid", (json_int_t)getpid(), "since_s",
			 (json_int_t)server->since_s, "workers", (json_int_t)server->worker_count,
			 "io", storage_ring_fd(server->storage) >= 0 ? "io_uring" : "epoll",
			 "connections", (json_int_t)server->connection_count, "connections_max",
			 (json_int_t)server->connections_max, "handshakes",
			 (json_int_t)server->handshake_count, "accepted",
			 (json_int_t)counts->accepted, "attached", (json_int_t)counts->attached,
			 "refused", (json_int_t)counts->refused, "fenced",
			 (json_int_t)counts->fenced, "draining", server->draining);
}

static void add_machine(int folder_fd, const char *name, void *arg)
{
	const struct folder *folder = arg;
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	json_array_append_new(folder->machines,
			      json_pack("{s:s%, s:I, s:I, s:I}", "identity", name,
					strlen(name) - strlen(folder->suffix), "size_bytes",
					(json_int_t)st.st_size, "taken_bytes",
					(json_int_t)st.st_blocks * 512, "last_used_s",
					(json_int_t)st.st_mtime));
}

/* On a storage thread: nothing else touches the object meanwhile. */
static int list_machines(struct storage_job *job)
{
	struct status_query *query =
		(struct status_query *)((char *)job - offsetof(struct status_query, job));

	for (size_t i = 0; i < query->folder_count; i++)
		machine_file_each(query->folders[i].fd, query->folders[i].suffix, add_machine,
				  &query->folders[i]);
	query->text = json_dumps(query->root, JSON_INDENT(1));
	return query->text ? 0 : -ENOMEM;
}

static void free_query(struct status_query *query)
{
	struct server *server = query->server;
	struct status_query **place = &server->status_queries;

	while (*place != query)
		place = &(*place)->next;
	*place = query->next;
	if (query->watch.fd >= 0)
		close(query->watch.fd);
	for (size_t i = 0; i < query->folder_count; i++)
		close(query->folders[i].fd);
	free(query->folders);
	json_decref(query->root);
	free(query->text);
	free(query);
}

static void free_and_accept(struct status_query *query)
{
	struct server *server = query->server;

	free_query(query);
	listen_accept_status(server, true);
}

/* Ends the stream; the memory stays until the batch of the loop has ended, as watches must. */
static void end_query(struct status_query *query)
{
	loop_forget(query->server->loop, &query->watch);
	close(query->watch.fd);
	query->watch.fd = -1;
	query->deadline_ms = 0;
	query->server->status_ms = 1; /* at once */
}

static void send_text(struct watch *watch, unsigned int events)
{
	struct status_query *query = (struct status_query *)watch;

	while (query->sent_bytes < query->text_bytes && !(events & LOOP_HANGUP)) {
		ssize_t n = send(watch->fd, query->text + query->sent_bytes,
				 query->text_bytes - query->sent_bytes,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			break;
		query->sent_bytes += (size_t)n;
	}
	end_query(query);
}

static void machines_listed(struct storage_job *job)
{
	struct status_query *query =
		(struct status_query *)((char *)job - offsetof(struct status_query, job));
	struct server *server = query->server;

	query->running = false;
	query->text_bytes = query->text ? strlen(query->text) : 0;
	query->watch.wanted = LOOP_WRITE;
	query->watch.ready = send_text;
	query->deadline_ms = server_now_ms() + QUERY_TIMEOUT_MS;
	if (!query->text_bytes || loop_watch(server->loop, &query->watch) < 0) {
		free_and_accept(query);
		return;
	}
	if (!server->status_ms || server->status_ms > query->deadline_ms)
		server->status_ms = query->deadline_ms;
}

static int describe(struct status_query *query)
{
	struct server *server = query->server;

	query->folders = calloc(server->exports.count + 1, sizeof(*query->folders));
	query->root = server_object(server);
	if (!query->folders || !query->root ||
	    json_object_set_new(query->root, "exports", export_list(query)) < 0 ||
	    json_object_set_new(query->root, "clients", client_list(server)) < 0)
		return -ENOMEM;
	return 0;
}

bool status_has_room(const struct server *server)
{
	unsigned int count = 0;

	for (const struct status_query *each = server->status_queries; each; each = each->next)
		count++;
	return count < QUERIES_MAX;
}

void status_answer(struct server *server, int fd)
{
	struct status_query *query = calloc(1, sizeof(*query));

	if (!query) {
		close(fd);
		return;
	}
	query->watch.fd = fd;
	query->server = server;
	query->next = server->status_queries;
	server->status_queries = query;
	if (describe(query) < 0) {
		free_and_accept(query);
		return;
	}
	query->running = true;
	query->job = (struct storage_job){
		.op = STORAGE_CALL,
		.call = list_machines,
		.done = machines_listed,
	};
	storage_submit(server->storage, &query->job);
}

void status_check(struct server *server, unsigned long long now_ms)
{
	struct status_query *query, *next;

	server->status_ms = 0;
	for (query = server->status_queries; query; query = next) {
		next = query->next;
		if (query->running)
			continue;
		if (query->watch.fd >= 0 && query->deadline_ms <= now_ms)
			loop_forget(server->loop, &query->watch);
		if (query->deadline_ms <= now_ms)
			free_and_accept(query);
		else if (!server->status_ms || query->deadline_ms < server->status_ms)
			server->status_ms = query->deadline_ms;
	}
}

void status_close(struct server *server)
{
	while (server->status_queries)
		free_query(server->status_queries);
}
