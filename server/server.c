// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The running server: what the loop calls. Connections that have something to do
 * get their turn at the end of each batch; deadlines of handshakes, of lingering
 * sockets and of the drain after SIGTERM are checked when the loop wakes for them.
 */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/status.h"

uint64_t server_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_ring(struct watch *watch, unsigned int events)
{
	struct server *server = (struct server *)((char *)watch - offsetof(struct server, ring));

	(void)events;
	storage_complete(server->storage);
}

static int open_ring(struct server *server)
{
	if (server->io == IO_EPOLL)
		return 0;
	server->ring_error = storage_use_ring(server->storage);
	if (server->ring_error < 0)
		return server->io == IO_URING ? server->ring_error : 0;
	server->ring = (struct watch){storage_ring_fd(server->storage), LOOP_READ, on_ring};
	return loop_watch(server->loop, &server->ring);
}

int server_open(struct server *server)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	int r;

	signal(SIGPIPE, SIG_IGN);
	TAILQ_INIT(&server->connections);
	TAILQ_INIT(&server->handshakes);
	TAILQ_INIT(&server->claims);
	TAILQ_INIT(&server->lingering);
	TAILQ_INIT(&server->runnable);
	TAILQ_INIT(&server->dead);
	server->since_s = time(NULL);
	server->expire_ms = server_now_ms() + EXPIRE_INTERVAL_MS;
	r = loop_open(&server->loop, signals);
	if (r < 0)
		return r;
	r = payload_open(&server->payload);
	if (r < 0)
		loop_close(server->loop);
	else
		splice_open(&server->pipes);
	return r;
}

int server_start(struct server *server, unsigned int storage_threads)
{
	int r = storage_start(&server->storage, storage_threads, loop_wake, server->loop);

	if (r < 0)
		return r;
	r = open_ring(server);
	if (r < 0)
		storage_stop(server->storage);
	return r;
}

static void free_dead(struct server *server)
{
	struct connection *connection;

	while ((connection = TAILQ_FIRST(&server->dead))) {
		TAILQ_REMOVE(&server->dead, connection, all);
		free(connection);
	}
}

static void run_connections(struct server *server)
{
	struct connection *connection;

	for (;;) {
		payload_wake(&server->payload);
		connection = TAILQ_FIRST(&server->runnable);
		if (!connection)
			return;
		TAILQ_REMOVE(&server->runnable, connection, runnable);
		connection_run(connection);
	}
}

static void close_late(struct connection_list *list, uint64_t now_ms, const char *why)
{
	struct connection *connection;

	while ((connection = TAILQ_FIRST(list)) && connection->deadline_ms <= now_ms)
		connection_close(connection, why);
}

/* While clients wait for a payload buffer, those that block theirs give them up. */
static void reclaim_payload(struct server *server, uint64_t now_ms)
{
	struct connection *connection;

	if (TAILQ_EMPTY(&server->payload.waiting)) {
		server->reclaim_ms = 0;
		return;
	}
	if (server->reclaim_ms > now_ms)
		return;
	if (server->reclaim_ms) {
		connection = TAILQ_FIRST(&server->connections);
		for (; connection; connection = TAILQ_NEXT(connection, all))
			connection_reclaim(connection, now_ms);
	}
	server->reclaim_ms = now_ms + RECLAIM_INTERVAL_MS;
}

/*
 * A client that stopped in the middle of a WRITE does not hold up the end, nor one that
 * takes its answers too slowly for what it had sent to be read.
 */
static void end_late(struct server *server, uint64_t now_ms)
{
	struct connection *connection, *next;

	if (server->drain_deadline_ms - now_ms > DRAIN_TIMEOUT_MS - DRAIN_PAYLOAD_MS)
		return;
	for (connection = TAILQ_FIRST(&server->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, all);
		if (connection->phase == PHASE_TRANSMISSION && connection->receiving &&
		    !connection->receiving->running &&
		    connection->receiving->type == NBD_CMD_WRITE &&
		    now_ms - connection->receiving_since_ms >= DRAIN_PAYLOAD_MS)
			connection_close(connection, "stopped in the middle of NBD_CMD_WRITE");
		else if (!connection->ending)
			connection_end(connection);
	}
}

static void check_drain(struct server *server, uint64_t now_ms)
{
	if (!server->draining)
		return;
	if (server->drain_deadline_ms > now_ms) {
		end_late(server, now_ms);
		return;
	}
	loop_end(server->loop);
}

static void expire_machines(struct server *server, uint64_t now_ms)
{
	for (size_t i = 0; i < server->exports.count; i++)
		per_client_expire(server->exports.list[i], server->storage);
	server->expire_ms = now_ms + EXPIRE_INTERVAL_MS;
}

static void sweep_exports(struct server *server)
{
	if (!server->export_left)
		return;
	server->export_left = false;
	for (size_t i = 0; i < server->exports.count; i++)
		per_client_sweep(server->exports.list[i], server->storage);
	load_sweep(server);
}

static void check_deadlines(struct server *server)
{
	uint64_t now_ms = server_now_ms();

	close_late(&server->handshakes, now_ms, "handshake took longer than 10 s");
	close_late(&server->claims, now_ms, "its export was not ready in 60 s");
	close_late(&server->lingering, now_ms, NULL);
	reclaim_payload(server, now_ms);
	if (server->claim_ms && server->claim_ms <= now_ms)
		claim_resume(server);
	if (server->expire_ms <= now_ms)
		expire_machines(server, now_ms);
	if (server->status_ms && server->status_ms <= now_ms)
		status_check(server, now_ms);
	if (server->accept_again_ms && server->accept_again_ms <= now_ms)
		listen_resume(server);
	check_drain(server, now_ms);
}

static void on_batch(void *arg)
{
	struct server *server = arg;

	run_connections(server);
	check_deadlines(server);
	run_connections(server);
	server->kick_ms = storage_kick(server->storage) ? 0 : server_now_ms() + KICK_AGAIN_MS;
	free_dead(server);
	sweep_exports(server);
	if ((server->draining || server->one_client) && TAILQ_EMPTY(&server->connections))
		loop_end(server->loop);
}

static void earlier(uint64_t *deadline_ms, uint64_t other_ms)
{
	if (other_ms && (!*deadline_ms || other_ms < *deadline_ms))
		*deadline_ms = other_ms;
}

static int timeout_ms(void *arg)
{
	struct server *server = arg;
	struct connection *handshake = TAILQ_FIRST(&server->handshakes);
	struct connection *claiming = TAILQ_FIRST(&server->claims);
	struct connection *lingering = TAILQ_FIRST(&server->lingering);
	uint64_t next_ms = server->accept_again_ms, now_ms;

	earlier(&next_ms, server->kick_ms);
	earlier(&next_ms, server->reclaim_ms);
	earlier(&next_ms, server->claim_ms);
	earlier(&next_ms, server->expire_ms);
	earlier(&next_ms, server->status_ms);
	if (handshake)
		earlier(&next_ms, handshake->deadline_ms);
	if (claiming)
		earlier(&next_ms, claiming->deadline_ms);
	if (lingering)
		earlier(&next_ms, lingering->deadline_ms);
	if (server->draining) /* with a look at the clients in the middle of a WRITE */
		earlier(&next_ms, server_now_ms() + 1000);
	if (!next_ms)
		return -1;
	now_ms = server_now_ms();
	return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static void on_woken(void *arg)
{
	struct server *server = arg;

	storage_complete(server->storage);
}

static void drain(struct server *server)
{
	struct connection *connection, *next;

	if (server->draining)
		return;
	server->draining = true;
	server->drain_deadline_ms = server_now_ms() + DRAIN_TIMEOUT_MS;
	listen_stop(server);
	for (connection = TAILQ_FIRST(&server->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, all);
		connection_drain(connection);
	}
}

static void on_signal(void *arg, int signo)
{
	struct server *server = arg;

	if (signo == SIGHUP) {
		load_again(server);
		return;
	}
	log_line("%s: ending when %u connections have their answers", strsignal(signo),
		 server->connection_count);
	drain(server);
}

int server_run(struct server *server)
{
	static const struct loop_hooks hooks = {on_woken, on_signal, on_batch, timeout_ms};
	int r = loop_run(server->loop, &hooks, server);

	return !r && !TAILQ_EMPTY(&server->connections) ? -ETIMEDOUT : r;
}

void server_close(struct server *server)
{
	storage_stop(server->storage);
	status_close(server);
	splice_close(&server->pipes);
	payload_close(&server->payload);
	loop_close(server->loop);
	load_close(server);
}
