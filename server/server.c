// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The running server: its workers, and what the loop of the first one calls beside what
 * that does for its connections: deadlines of handshakes, machines' files, signals.
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
#include "server/worker.h"

uint64_t server_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Beside the first, which is this thread. */
static int start_workers(struct server *server)
{
	int r = 0;

	while (!r && server->started < server->worker_count) {
		r = worker_start(&server->workers[server->started]);
		server->started += !r;
	}
	return r;
}

static void stop_workers(struct server *server)
{
	while (server->started > 1)
		worker_stop(&server->workers[--server->started]);
}

static void close_workers(struct server *server, unsigned int count)
{
	while (count)
		worker_close(&server->workers[--count]);
}

int server_open(struct server *server)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0}, none[] = {0};
	int r = 0;

	signal(SIGPIPE, SIG_IGN);
	server->worker_count = server->worker_count ?: 1;
	pthread_mutex_init(&server->mail_lock, NULL);
	TAILQ_INIT(&server->noted);
	TAILQ_INIT(&server->connections);
	TAILQ_INIT(&server->handshakes);
	TAILQ_INIT(&server->claims);
	server->since_s = time(NULL);
	server->expire_ms = server_now_ms() + EXPIRE_INTERVAL_MS;
	for (unsigned int i = 0; i < server->worker_count; i++) {
		r = worker_open(&server->workers[i], server, i ? none : signals);
		if (r < 0) {
			close_workers(server, i);
			return r;
		}
	}
	server->loop = server->workers[0].loop;
	return 0;
}

int server_start(struct server *server, unsigned int storage_threads)
{
	int r = storage_start(&server->storage_pool, storage_threads);

	if (r < 0)
		return r;
	for (unsigned int i = 0; !r && i < server->worker_count; i++)
		r = worker_open_storage(&server->workers[i], server->storage_pool,
					&server->ring_error);
	server->storage = server->workers[0].storage;
	server->started = 1;
	if (!r)
		r = start_workers(server);
	if (r < 0) {
		stop_workers(server);
		storage_stop(server->storage_pool);
	}
	return r;
}

static void check_drain(struct server *server, uint64_t now_ms)
{
	if (server->draining && server->workers[0].drain_deadline_ms <= now_ms)
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

	worker_close_late(&server->handshakes, now_ms, "handshake took longer than 10 s");
	worker_close_late(&server->claims, now_ms, "its export was not ready in 60 s");
	worker_check_deadlines(&server->workers[0], now_ms);
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

	mail_take_notes(server);
	worker_run_connections(&server->workers[0]);
	check_deadlines(server);
	worker_run_batch(&server->workers[0]);
	sweep_exports(server);
	if ((server->draining || server->one_client) && TAILQ_EMPTY(&server->connections))
		loop_end(server->loop);
}

void server_earlier(uint64_t *deadline_ms, uint64_t other_ms)
{
	if (other_ms && (!*deadline_ms || other_ms < *deadline_ms))
		*deadline_ms = other_ms;
}

int server_timeout_ms(uint64_t next_ms)
{
	uint64_t now_ms;

	if (!next_ms)
		return -1;
	now_ms = server_now_ms();
	return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static int timeout_ms(void *arg)
{
	struct server *server = arg;
	struct connection *handshake = TAILQ_FIRST(&server->handshakes);
	struct connection *claiming = TAILQ_FIRST(&server->claims);
	uint64_t next_ms = worker_next_ms(&server->workers[0]);

	server_earlier(&next_ms, server->accept_again_ms);
	server_earlier(&next_ms, server->claim_ms);
	server_earlier(&next_ms, server->expire_ms);
	server_earlier(&next_ms, server->status_ms);
	if (handshake)
		server_earlier(&next_ms, handshake->deadline_ms);
	if (claiming)
		server_earlier(&next_ms, claiming->deadline_ms);
	return server_timeout_ms(next_ms);
}

static void on_woken(void *arg)
{
	struct server *server = arg;

	storage_complete(server->storage);
}

static void drain(struct server *server)
{
	if (server->draining)
		return;
	server->draining = true;
	listen_stop(server);
	mail_drain(server);
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
	stop_workers(server);
	storage_stop(server->storage_pool);
	status_close(server);
	close_workers(server, server->worker_count);
	pthread_mutex_destroy(&server->mail_lock);
	load_close(server);
}
