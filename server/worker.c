// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One loop and its connections. Those that have something to do get their turn at the end
 * of each batch; deadlines of lingering sockets, of payload that is kept from others and of
 * the drain after SIGTERM are checked when the loop wakes for them. The loop of the first
 * worker is run by server.c, that of another one here, on its own thread.
 */
#include "server/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/server.h"

bool worker_is_first(const struct worker *worker)
{
	return worker == worker->server->workers;
}

/* Of what is there for all: at least what one connection may have. */
static unsigned int share_of(unsigned int total, unsigned int least, const struct worker *worker)
{
	unsigned int share = total / worker->server->worker_count;

	return share > least ? share : least;
}

int worker_open(struct worker *worker, struct server *server, const int *signals)
{
	int r;

	worker->server = server;
	TAILQ_INIT(&worker->connections);
	TAILQ_INIT(&worker->lingering);
	TAILQ_INIT(&worker->runnable);
	TAILQ_INIT(&worker->dead);
	TAILQ_INIT(&worker->ordered);
	r = loop_open(&worker->loop, signals);
	if (r < 0)
		return r;
	r = payload_open(&worker->payload,
			 share_of(PAYLOAD_BUFFERS, CONNECTION_BUFFERS_MAX, worker));
	if (r < 0)
		loop_close(worker->loop);
	else
		splice_open(&worker->pipes, share_of(SPLICE_PIPES, 1, worker));
	return r;
}

static void on_ring(struct watch *watch, unsigned int events)
{
	struct worker *worker = (struct worker *)((char *)watch - offsetof(struct worker, ring));

	(void)events;
	storage_complete(worker->storage);
}

int worker_open_storage(struct worker *worker, struct storage_pool *pool, int *ret_ring_error)
{
	enum io io = worker->server->io;
	int r = storage_open(&worker->storage, pool, loop_wake, worker->loop);

	if (r < 0 || io == IO_EPOLL)
		return r;
	r = storage_use_ring(worker->storage);
	if (r < 0) {
		*ret_ring_error = r;
		return io == IO_URING ? r : 0;
	}
	worker->ring = (struct watch){storage_ring_fd(worker->storage), LOOP_READ, on_ring};
	return loop_watch(worker->loop, &worker->ring);
}

void worker_close(struct worker *worker)
{
	if (worker->storage)
		storage_close(worker->storage);
	splice_close(&worker->pipes);
	payload_close(&worker->payload);
	loop_close(worker->loop);
}

/* The first worker frees them, or has them freed here. */
static void give_back_dead(struct worker *worker)
{
	struct connection *connection;

	while ((connection = TAILQ_FIRST(&worker->dead))) {
		TAILQ_REMOVE(&worker->dead, connection, of_worker);
		if (worker_is_first(worker))
			free(connection);
		else
			mail_note(connection, NOTE_FINISHED);
	}
}

void worker_run_connections(struct worker *worker)
{
	struct connection *connection;

	for (;;) {
		payload_wake(&worker->payload);
		connection = TAILQ_FIRST(&worker->runnable);
		if (!connection)
			return;
		TAILQ_REMOVE(&worker->runnable, connection, runnable);
		connection_run(connection);
	}
}

void worker_run_batch(struct worker *worker)
{
	worker_run_connections(worker);
	worker->kick_ms = storage_kick(worker->storage) ? 0 : server_now_ms() + KICK_AGAIN_MS;
	give_back_dead(worker);
}

void worker_close_late(struct connection_list *list, uint64_t now_ms, const char *why)
{
	struct connection *connection;

	while ((connection = TAILQ_FIRST(list)) && connection->deadline_ms <= now_ms)
		connection_close(connection, why);
}

/* While clients wait for a payload buffer, those that block theirs give them up. */
static void reclaim_payload(struct worker *worker, uint64_t now_ms)
{
	struct connection *connection;

	if (TAILQ_EMPTY(&worker->payload.waiting)) {
		worker->reclaim_ms = 0;
		return;
	}
	if (worker->reclaim_ms > now_ms)
		return;
	if (worker->reclaim_ms) {
		connection = TAILQ_FIRST(&worker->connections);
		for (; connection; connection = TAILQ_NEXT(connection, of_worker))
			connection_reclaim(connection, now_ms);
	}
	worker->reclaim_ms = now_ms + RECLAIM_INTERVAL_MS;
}

/*
 * A client that stopped in the middle of a WRITE does not hold up the end, nor one that
 * takes its answers too slowly for what it had sent to be read.
 */
static void end_late(struct worker *worker, uint64_t now_ms)
{
	struct connection *connection, *next;

	if (worker->drain_deadline_ms - now_ms > DRAIN_TIMEOUT_MS - DRAIN_PAYLOAD_MS)
		return;
	for (connection = TAILQ_FIRST(&worker->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, of_worker);
		if (connection->phase == PHASE_TRANSMISSION && connection->receiving &&
		    !connection->receiving->running &&
		    connection->receiving->type == NBD_CMD_WRITE &&
		    now_ms - connection->receiving_since_ms >= DRAIN_PAYLOAD_MS)
			connection_close(connection, "stopped in the middle of NBD_CMD_WRITE");
		else if (!connection->ending)
			connection_end(connection);
	}
}

void worker_check_deadlines(struct worker *worker, uint64_t now_ms)
{
	worker_close_late(&worker->lingering, now_ms, NULL);
	reclaim_payload(worker, now_ms);
	if (worker->draining && worker->drain_deadline_ms > now_ms)
		end_late(worker, now_ms);
}

uint64_t worker_next_ms(const struct worker *worker)
{
	const struct connection *lingering = TAILQ_FIRST(&worker->lingering);
	uint64_t next_ms = worker->kick_ms;

	server_earlier(&next_ms, worker->reclaim_ms);
	if (lingering)
		server_earlier(&next_ms, lingering->deadline_ms);
	if (worker->draining) /* with a look at the clients in the middle of a WRITE */
		server_earlier(&next_ms, server_now_ms() + 1000);
	return next_ms;
}

void worker_drain(struct worker *worker)
{
	struct connection *connection, *next;

	worker->draining = true;
	worker->drain_deadline_ms = server_now_ms() + DRAIN_TIMEOUT_MS;
	for (connection = TAILQ_FIRST(&worker->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, of_worker);
		connection_drain(connection);
	}
}

static void on_woken(void *arg)
{
	struct worker *worker = arg;

	storage_complete(worker->storage);
}

/* What had come before the question was seen by the wait after it. */
static void settle(struct worker *worker)
{
	if (worker->settle == SETTLE_ASKED) {
		worker->settle = SETTLING;
		loop_wake(worker->loop);
	} else if (worker->settle == SETTLING) {
		worker->settle = SETTLED;
		mail_note_settled(worker);
	}
}

static void on_batch(void *arg)
{
	struct worker *worker = arg;
	bool goes_on = mail_take_orders(worker);

	worker_run_connections(worker);
	worker_check_deadlines(worker, server_now_ms());
	worker_run_batch(worker);
	settle(worker);
	if (!goes_on)
		loop_end(worker->loop);
}

static int timeout_ms(void *arg)
{
	return server_timeout_ms(worker_next_ms(arg));
}

static void *serve(void *arg)
{
	static const struct loop_hooks hooks = {on_woken, NULL, on_batch, timeout_ms};
	struct worker *worker = arg;
	int r = loop_run(worker->loop, &hooks, worker);

	if (r < 0)
		die(1, "a worker has ended: %s", strerror(-r));
	return NULL;
}

int worker_start(struct worker *worker)
{
	sigset_t all, saved;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	r = pthread_create(&worker->thread, NULL, serve, worker);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return -r;
}

void worker_stop(struct worker *worker)
{
	mail_end(worker);
	pthread_join(worker->thread, NULL);
}
