// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may use an export: a client that has named one enters; it is let in, hears
 * who holds the export and since when, or waits. Two machines must never write to
 * one swap or file system, and what a machine sent on a connection that it has
 * given up must not land after what it sends on the next one. So an exclusive
 * export fences: the old connection of the machine is closed, and the new one is
 * answered when the storage has finished what the old one had begun.
 *
 * A machine is its identity and its address. The same identity at another address
 * may be a machine that moved, or a second one that must not come in: the holder
 * is asked for a sign of life.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/connection.h"
#include "server/server.h"

enum { PROBE_MS = 3000, WHO_BYTES = 200, TIME_BYTES = 32 };

/* After export, what was retired of the same name: its clients are still there. NULL: no more. */
static struct export *next_of_name(const struct server *server, const struct export *export,
				   const struct export *last)
{
	struct export *next = last == export ? server->retired : last->next_retired;

	while (next && strcmp(next->set.name, export->set.name) != 0)
		next = next->next_retired;
	return next;
}

static void schedule_waiting(struct server *server)
{
	struct connection *connection;

	TAILQ_FOREACH(connection, &server->claims, timed)
		connection_schedule(connection);
}

static int host_length(const char *peer)
{
	const char *colon = strrchr(peer, ':');

	return (int)(colon ? (size_t)(colon - peer) : strlen(peer));
}

/* 10.0.0.7:4321 and [fe80::1]:4321 without port and brackets. */
static struct wire_string address_of(const char *peer)
{
	int length = host_length(peer);

	if (peer[0] == '[' && length > 2)
		return (struct wire_string){peer + 1, (uint32_t)length - 2};
	return (struct wire_string){peer, (uint32_t)length};
}

static bool same_host(const char *peer, const char *other)
{
	int length = host_length(peer);

	return length == host_length(other) && !memcmp(peer, other, (size_t)length);
}

static bool same_identity(const struct connection *a, const struct connection *b)
{
	return !a->identity || !strcmp(a->identity, b->identity);
}

static bool is_open(const struct connection *connection)
{
	return !connection->has_left;
}

static const char *format_time(time_t time_s, char text[TIME_BYTES])
{
	struct tm tm;

	gmtime_r(&time_s, &tm);
	strftime(text, TIME_BYTES, "%Y-%m-%d %H:%M:%S UTC", &tm);
	return text;
}

/* IDENTITY at ADDRESS since TIME */
static void format_holder(const char *identity, const char *peer, time_t since_s,
			  char who[WHO_BYTES])
{
	char since[TIME_BYTES];

	snprintf(who, WHO_BYTES, "%s%s%.*s since %s", identity ?: "", identity ? " at " : "",
		 host_length(peer), peer, format_time(since_s, since));
}

static int refuse_for(const struct connection *holder, char *why)
{
	char who[WHO_BYTES];

	format_holder(holder->identity, holder->peer, holder->attached_s, who);
	snprintf(why, REFUSAL_BYTES, "in use by %s; one machine at a time may %s it", who,
		 holder->export->set.readonly ? "use" : "write to");
	return -EBUSY;
}

/* Begins to ask the machines that say to be ours; -EAGAIN until they had their time. */
static int probe(struct connection *connection, const struct export *export)
{
	struct server *server = connection->server;
	uint64_t now_ms = server_now_ms();
	struct connection *other;

	if (!connection->probe_ms) {
		TAILQ_FOREACH(other, &export->attached, sharing) {
			if (is_open(other) && !same_host(connection->peer, other->peer))
				listen_probe(other->watch.fd);
		}
		connection->probe_ms = now_ms + PROBE_MS;
	}
	if (connection->probe_ms <= now_ms)
		return 0;
	if (!server->claim_ms || server->claim_ms > connection->probe_ms)
		server->claim_ms = connection->probe_ms;
	return -EAGAIN;
}

/* Not an address: a machine keeps it when it moves. */
static bool has_named_identity(const struct export *export)
{
	return export->section ? export->section->any_identity : export->any_identity;
}

static int check_attached(struct connection *connection, const struct export *export, char *why)
{
	struct connection *other;

	TAILQ_FOREACH(other, &export->attached, sharing) {
		int r;

		if (!is_open(other))
			continue;
		if (!same_identity(connection, other))
			return refuse_for(other, why);
		if (same_host(connection->peer, other->peer))
			continue;
		r = has_named_identity(export) ? probe(connection, export) : -EBUSY;
		if (r == -EAGAIN)
			return r;
		if (r < 0 || listen_was_answered(other->watch.fd, PROBE_MS))
			return refuse_for(other, why);
	}
	return 0;
}

/* 0 when no other machine uses export; -EBUSY with the reason in why; -EAGAIN. */
static int check_others(struct connection *connection, struct export *export, char *why)
{
	struct export *each = export;
	int r = 0;

	for (; !r && each; each = next_of_name(connection->server, export, each))
		r = check_attached(connection, each, why);
	return r;
}

static bool is_holder(const struct export_hold *hold, const struct connection *connection)
{
	if (connection->identity)
		return !strcmp(hold->identity, connection->identity);
	return !strncmp(hold->host, connection->peer, (size_t)host_length(connection->peer)) &&
	       !hold->host[host_length(connection->peer)];
}

/* A machine whose connection was lost may still run and come back for its data. */
static int check_hold(const struct connection *connection, const struct export *export, char *why)
{
	const struct export_hold *hold = &export->hold;
	char who[WHO_BYTES], lost[TIME_BYTES], until[TIME_BYTES];
	time_t until_s = hold->lost_s + (time_t) export->set.hold_s;

	if (!hold->is_held || !hold->lost_s || is_holder(hold, connection) || time(NULL) >= until_s)
		return 0;
	format_holder(hold->identity[0] ? hold->identity : NULL, hold->host, hold->since_s, who);
	snprintf(why, REFUSAL_BYTES,
		 "held by %s; its connection was lost %s, and it may come back until %s", who,
		 format_time(hold->lost_s, lost), format_time(until_s, until));
	return -EBUSY;
}

static void close_oldest(struct export *export, unsigned int limit, const char *why)
{
	while (export->connections >= limit) {
		struct connection *oldest = TAILQ_FIRST(&export->attached);

		while (!is_open(oldest))
			oldest = TAILQ_NEXT(oldest, sharing);
		oldest->server->counts.fenced++;
		mail_close(oldest, why);
	}
}

/* Closes the oldest connections until there is room for one more, and all of what was retired. */
static void fence(const struct connection *connection, struct export *export)
{
	struct server *server = connection->server;
	struct export *each = export;
	char why[PEER_BYTES + 32];

	snprintf(why, sizeof(why), "fenced: %s takes its place", connection->peer);
	close_oldest(export, export->set.max_connections ?: 1, why);
	while ((each = next_of_name(server, export, each)))
		close_oldest(each, 1, why);
}

/* What a lost connection has begun must not land after what comes now. */
static bool is_unfinished(const struct server *server, struct export *export)
{
	struct export *each = export;

	for (; each; each = next_of_name(server, export, each)) {
		if (each->closing || (!each->set.readonly && each->unfinished))
			return true;
	}
	return false;
}

static bool is_for_one_machine(const struct export *export)
{
	return export->set.exclusive == EXCLUSIVE_ON ||
	       (export->set.exclusive == EXCLUSIVE_MACHINE && !export->set.readonly);
}

static bool is_of_boot(const struct connection *connection, const struct export *export)
{
	return !connection->boot || !strcmp(connection->boot, export->boot);
}

/* The machine has booted anew: what it had before ends, and is closed; then it is made anew. */
static int end_boot(const struct connection *connection, struct export *export, char *why)
{
	char fenced_why[PEER_BYTES + 32];

	if (atomic_load(&export->flush_error)) {
		snprintf(why, REFUSAL_BYTES,
			 "what it had before could not be flushed; the server has to be restarted");
		return -EBUSY;
	}
	snprintf(fenced_why, sizeof(fenced_why), "fenced: %s has booted anew", connection->peer);
	close_oldest(export, 1, fenced_why);
	connection->server->export_left = true;
	return -EAGAIN;
}

/* 0: connection may use export; -EAGAIN: not yet; -errno with the reason in why. */
static int claim(struct connection *connection, struct export *export, char *why)
{
	int r = 0;

	if (is_for_one_machine(export))
		r = check_others(connection, export, why);
	if (!r && export->set.exclusive == EXCLUSIVE_ON)
		r = check_hold(connection, export, why);
	if (r < 0)
		return r;
	if (!is_of_boot(connection, export))
		return end_boot(connection, export, why);
	if (export->set.exclusive == EXCLUSIVE_ON) {
		fence(connection, export);
	} else if (export->set.max_connections &&
		   export->connections >= export->set.max_connections) {
		snprintf(why, REFUSAL_BYTES, "the export has reached its maxconnections = %u",
			 export->set.max_connections);
		return -EBUSY;
	}
	return is_unfinished(connection->server, export) ? -EAGAIN : 0;
}

/* IDENTITY/BOOT; the part that is missing has no bytes. */
static void split_boot(struct wire_string *identity, struct wire_string *ret_boot)
{
	const char *slash = identity->bytes ? memchr(identity->bytes, '/', identity->length) : NULL;
	uint32_t length = slash ? (uint32_t)(slash - identity->bytes) : identity->length;

	*ret_boot = (struct wire_string){0};
	if (slash)
		*ret_boot = (struct wire_string){slash + 1, identity->length - length - 1};
	identity->length = length;
}

static int take_boot(struct connection *connection, struct wire_string boot, char *why)
{
	if (!boot.bytes || !export_is_identity(boot.bytes, boot.length)) {
		snprintf(why, REFUSAL_BYTES,
			 "the name must end in who you are and in what each of your boots has of "
			 "its own: IDENTITY/BOOT, BOOT of 1 to %d letters, digits and : . _ -",
			 IDENTITY_MAX_BYTES);
		return -EINVAL;
	}
	connection->boot = strndup(boot.bytes, boot.length);
	if (connection->boot)
		return 0;
	snprintf(why, REFUSAL_BYTES, "the server is out of memory");
	return -ENOMEM;
}

static int take_identity(struct connection *connection, char *why)
{
	const struct negotiation *n = connection->negotiation;
	bool wants_boot = n->export->set.keep == KEEP_BOOT;
	struct wire_string identity = n->identity, boot;

	if (connection->identity || (!n->export->any_identity && !n->export->set.per_client))
		return 0;
	if (!n->export->any_identity)
		identity = address_of(connection->peer);
	if (wants_boot)
		split_boot(&identity, &boot);
	if (!identity.bytes || !export_is_identity(identity.bytes, identity.length)) {
		snprintf(why, REFUSAL_BYTES,
			 "the name must end in who you are: 1 to %d letters, digits and : . _ -",
			 IDENTITY_MAX_BYTES);
		return -EINVAL;
	}
	if (wants_boot && take_boot(connection, boot, why) < 0)
		return -EINVAL;
	connection->identity = strndup(identity.bytes, identity.length);
	if (connection->identity)
		return 0;
	snprintf(why, REFUSAL_BYTES, "the server is out of memory");
	return -ENOMEM;
}

static void wake(void *arg)
{
	struct server *server = arg;

	server->export_left = true; /* whoever asked for it may have gone */
	schedule_waiting(server);
}

/* The export itself, or the client's own one of a section that has one for each. */
static int find_export(struct connection *connection, bool is_info, struct export **ret, char *why)
{
	struct export *export = connection->negotiation->export;

	*ret = export;
	if (!export->set.per_client)
		return 0;
	return per_client_find(export, connection->server->storage, connection->identity,
			       is_info ? NULL : connection->boot, wake, connection->server, ret,
			       why, REFUSAL_BYTES);
}

static void take_hold(const struct connection *connection, struct export *export)
{
	struct export_hold *hold = &export->hold;

	if (export->set.exclusive != EXCLUSIVE_ON)
		return;
	*hold = (struct export_hold){.is_held = true, .since_s = connection->attached_s};
	snprintf(hold->identity, sizeof(hold->identity), "%s", connection->identity ?: "");
	snprintf(hold->host, sizeof(hold->host), "%.*s", host_length(connection->peer),
		 connection->peer);
	hold_save(export);
}

static void attach(struct connection *connection, struct export *export)
{
	connection->export = export;
	connection->attached_s = time(NULL);
	export->connections++;
	TAILQ_INSERT_TAIL(&export->attached, connection, sharing);
	take_hold(connection, export);
}

static void forget_identity(struct connection *connection)
{
	free(connection->identity);
	free(connection->boot);
	connection->identity = NULL;
	connection->boot = NULL;
}

static int refuse(struct connection *connection, int error, const char *why)
{
	struct negotiation *n = connection->negotiation;
	int r = negotiate_refuse(n, error == -EBUSY ? NBD_REP_ERR_POLICY : NBD_REP_ERR_UNKNOWN,
				 why);

	forget_identity(connection);
	connection->probe_ms = 0;
	connection->settle_round = 0;
	connection->server->counts.refused++;
	if (!r)
		log_line("%s: export \"%s\": refused: %s", connection->peer, n->name, why);
	return r < 0 ? r : 1;
}

/* While it waits for us, the time of its handshake stands still. */
static void set_claiming(struct connection *connection, bool claiming)
{
	struct server *server = connection->server;

	if (connection->is_claiming == claiming)
		return;
	TAILQ_REMOVE(claiming ? &server->handshakes : &server->claims, connection, timed);
	connection->is_claiming = claiming;
	connection->deadline_ms =
		server_now_ms() + (claiming ? CLAIM_TIMEOUT_MS : HANDSHAKE_TIMEOUT_MS);
	TAILQ_INSERT_TAIL(claiming ? &server->claims : &server->handshakes, connection, timed);
}

static void grant(struct connection *connection, struct export *export)
{
	struct negotiation *n = connection->negotiation;

	n->export = export;
	negotiate_grant(n);
	if (n->state == NEGOTIATE_READY) {
		attach(connection, export);
		return;
	}
	forget_identity(connection); /* NBD_OPT_INFO */
	connection->server->export_left |= export->section != NULL;
}

/* Whoever holds it may have left, and another worker has not looked yet. */
static int claim_settled(struct connection *connection, struct export *export, char *why)
{
	int r = claim(connection, export, why);

	return r == -EBUSY && !mail_has_settled(connection) ? -EAGAIN : r;
}

int claim_answer(struct connection *connection)
{
	bool is_info = connection->negotiation->option.option == NBD_OPT_INFO;
	struct export *export;
	char why[REFUSAL_BYTES];
	int r;

	if (connection->negotiation->export->is_retired) {
		connection->negotiation->why = "its export was changed while it came";
		return -ESTALE;
	}
	r = take_identity(connection, why);
	if (!r)
		r = find_export(connection, is_info, &export, why);
	if (!r && !is_info)
		r = claim_settled(connection, export, why);
	set_claiming(connection, r == -EAGAIN);
	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return refuse(connection, r, why);
	grant(connection, export);
	return 1;
}

void claim_resume(struct server *server)
{
	server->claim_ms = 0;
	schedule_waiting(server);
}

/* By another connection, to what the export is or was. */
static bool is_held_by_name(const struct server *server, const struct export *export)
{
	const char *name = export->set.name;
	struct export *each = export_find(&server->exports, name, strlen(name));

	if (each && each->hold.is_held)
		return true;
	for (each = server->retired; each; each = each->next_retired) {
		if (each->hold.is_held && !strcmp(each->set.name, name))
			return true;
	}
	return false;
}

/* The machine may come back, and then to what has the name now. */
static void hand_on_hold(struct server *server, struct export *retired)
{
	const char *name = retired->set.name;
	struct export *export = export_find(&server->exports, name, strlen(name));

	if (export && export->set.exclusive == EXCLUSIVE_ON && !export->hold.is_held)
		export->hold = retired->hold;
}

void claim_leave(struct connection *connection, bool said_disc)
{
	struct export *export = connection->export;
	struct export_hold *hold;

	connection->has_left = true;
	if (!export)
		return;
	export->connections--;
	export->unfinished++;
	hold = &export->hold;
	if (!hold->is_held || export->connections)
		return;
	hold->is_held = !said_disc;
	hold->lost_s = time(NULL);
	if (!hold->is_held && !is_held_by_name(connection->server, export))
		hold_forget(export);
	if (export->is_retired)
		hand_on_hold(connection->server, export);
}

static void add_traffic(const struct connection *connection, struct export *export)
{
	for (; export; export = export->section)
		traffic_add(&export->traffic, &connection->traffic);
}

void claim_finish(struct connection *connection)
{
	struct export *export = connection->export;

	forget_identity(connection);
	if (!export)
		return;
	TAILQ_REMOVE(&export->attached, connection, sharing);
	export->unfinished--;
	add_traffic(connection, export);
	connection->server->export_left |= export->section || export->is_retired;
	schedule_waiting(connection->server);
}
