// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Between the first worker and the others: connections that were let in leave for the
 * worker that serves them, and come back when they have ended. The first worker keeps
 * their sockets open until it knows that they were left, so that a descriptor that it
 * looks at is that of the client it means; and frees their memory when it was told that
 * the other thread has done with them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/server.h"
#include "server/worker.h"

/* The fewest clients; the first worker, which has more to do, last. */
static struct worker *choose_worker(struct server *server)
{
	struct worker *best = &server->workers[server->worker_count - 1];

	for (unsigned int i = server->worker_count - 1; i-- > 0;) {
		if (server->workers[i].client_count < best->client_count)
			best = &server->workers[i];
	}
	return best;
}

static void order(struct connection *connection, unsigned int what)
{
	struct worker *worker = connection->worker;
	struct server *server = connection->server;

	pthread_mutex_lock(&server->mail_lock);
	if (!connection->orders)
		TAILQ_INSERT_TAIL(&worker->ordered, connection, ordered);
	connection->orders |= what;
	pthread_mutex_unlock(&server->mail_lock);
	loop_wake(worker->loop);
}

int mail_hand_over(struct connection *connection)
{
	struct worker *first = connection->worker, *worker = choose_worker(connection->server);

	worker->client_count++;
	connection->is_placed = true;
	if (worker == first)
		return 0;
	connection->is_runnable = false; /* it runs, and is in no list */
	loop_forget(first->loop, &connection->watch);
	TAILQ_REMOVE(&first->connections, connection, of_worker);
	connection->worker = worker;
	order(connection, ORDER_SERVE);
	return 1;
}

void mail_close(struct connection *connection, const char *why)
{
	if (worker_is_first(connection->worker)) {
		connection_close(connection, why);
		return;
	}
	connection->order_why = strdup(why); /* NULL: no reason is logged */
	connection->export->closing++;
	connection->is_closing = true;
	claim_leave(connection, false);
	order(connection, ORDER_CLOSE);
}

static void take_left(struct connection *connection)
{
	close(connection->watch.fd);
	connection->server->connection_count--;
	connection->worker->client_count--;
	if (!connection->is_closing) {
		claim_leave(connection, connection->said_disc);
		return;
	}
	connection->is_closing = false;
	connection->export->closing--;
	claim_resume(connection->server);
}

/* Its worker has done with it, and ignores an order that it has not taken. */
static void take_finished(struct connection *connection)
{
	struct server *server = connection->server;

	pthread_mutex_lock(&server->mail_lock);
	if (connection->orders)
		TAILQ_REMOVE(&connection->worker->ordered, connection, ordered);
	pthread_mutex_unlock(&server->mail_lock);
	claim_finish(connection);
	TAILQ_REMOVE(&server->connections, connection, all);
	free(connection->order_why);
	free(connection);
}

/* Looked at before the notes, which came before it. */
static bool is_round_over(struct server *server)
{
	bool is_over;

	pthread_mutex_lock(&server->mail_lock);
	is_over = server->settle_rounds_done < server->settle_rounds && !server->unsettled;
	pthread_mutex_unlock(&server->mail_lock);
	return is_over;
}

static struct connection *next_note(struct server *server, unsigned int *ret_notes)
{
	struct connection *connection;

	pthread_mutex_lock(&server->mail_lock);
	connection = TAILQ_FIRST(&server->noted);
	if (connection) {
		TAILQ_REMOVE(&server->noted, connection, noted);
		*ret_notes = connection->notes;
		connection->notes = 0;
	}
	pthread_mutex_unlock(&server->mail_lock);
	return connection;
}

void mail_take_notes(struct server *server)
{
	struct connection *connection;
	unsigned int notes;
	bool is_over;

	if (server->worker_count == 1)
		return;
	is_over = is_round_over(server);
	while ((connection = next_note(server, &notes))) {
		if (notes & NOTE_LEFT)
			take_left(connection);
		if (notes & NOTE_FINISHED)
			take_finished(connection);
	}
	if (!is_over)
		return;
	server->settle_rounds_done = server->settle_rounds;
	claim_resume(server);
}

void mail_drain(struct server *server)
{
	worker_drain(&server->workers[0]);
	for (unsigned int i = 1; i < server->worker_count; i++) {
		pthread_mutex_lock(&server->mail_lock);
		server->workers[i].is_to_drain = true;
		pthread_mutex_unlock(&server->mail_lock);
		loop_wake(server->workers[i].loop);
	}
}

void mail_end(struct worker *worker)
{
	pthread_mutex_lock(&worker->server->mail_lock);
	worker->is_to_end = true;
	pthread_mutex_unlock(&worker->server->mail_lock);
	loop_wake(worker->loop);
}

static void begin_round(struct server *server)
{
	server->settle_rounds++;
	pthread_mutex_lock(&server->mail_lock);
	server->unsettled = server->worker_count - 1;
	for (unsigned int i = 1; i < server->worker_count; i++)
		server->workers[i].is_to_settle = true;
	pthread_mutex_unlock(&server->mail_lock);
	for (unsigned int i = 1; i < server->worker_count; i++)
		loop_wake(server->workers[i].loop);
}

bool mail_has_settled(struct connection *connection)
{
	struct server *server = connection->server;

	if (server->worker_count == 1)
		return true;
	/* A round that goes on may have passed its holder already. */
	if (!connection->settle_round)
		connection->settle_round = server->settle_rounds + 1;
	if (server->settle_rounds_done >= connection->settle_round)
		return true;
	if (server->settle_rounds_done == server->settle_rounds)
		begin_round(server);
	return false;
}

void mail_note(struct connection *connection, unsigned int note)
{
	struct server *server = connection->server;

	pthread_mutex_lock(&server->mail_lock);
	if (!connection->notes)
		TAILQ_INSERT_TAIL(&server->noted, connection, noted);
	connection->notes |= note;
	/* With the lock: then the first worker may free it at once. */
	connection->is_finished |= note == NOTE_FINISHED;
	pthread_mutex_unlock(&server->mail_lock);
	loop_wake(server->workers[0].loop);
}

void mail_note_settled(struct worker *worker)
{
	pthread_mutex_lock(&worker->server->mail_lock);
	worker->server->unsettled--;
	pthread_mutex_unlock(&worker->server->mail_lock);
	loop_wake(worker->server->workers[0].loop);
}

/* The next order for a connection that is still this worker's. */
static struct connection *next_order(struct worker *worker, unsigned int *ret_orders)
{
	struct connection *connection;

	do {
		connection = TAILQ_FIRST(&worker->ordered);
		if (!connection)
			return NULL;
		TAILQ_REMOVE(&worker->ordered, connection, ordered);
		*ret_orders = connection->orders;
		connection->orders = 0;
	} while (connection->is_finished);
	return connection;
}

bool mail_take_orders(struct worker *worker)
{
	struct server *server = worker->server;
	struct connection *connection;
	bool is_to_end, is_to_drain;
	unsigned int orders;

	for (;;) {
		pthread_mutex_lock(&server->mail_lock);
		connection = next_order(worker, &orders);
		is_to_drain = worker->is_to_drain;
		is_to_end = worker->is_to_end;
		if (!connection && worker->is_to_settle) {
			worker->is_to_settle = false;
			worker->settle = SETTLE_ASKED;
		}
		pthread_mutex_unlock(&server->mail_lock);
		if (!connection)
			break;
		if (orders & ORDER_SERVE)
			connection_adopt(connection);
		if ((orders & ORDER_CLOSE) && connection->phase != PHASE_CLOSED)
			connection_close(connection, connection->order_why);
	}
	if (is_to_drain && !worker->draining)
		worker_drain(worker);
	return !is_to_end;
}
