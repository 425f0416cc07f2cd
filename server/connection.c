// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The socket of one client, from accept to close: bytes go to the stage that the
 * connection is in (negotiate, serve) and answers to the socket. An idle
 * connection owns this structure and nothing else; bytes that cannot be taken
 * now wait in a stash no larger than one read, and the socket is left alone, so
 * that TCP tells the client to wait.
 */
#include "server/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "server/server.h"

static void on_ready(struct watch *watch, unsigned int events)
{
	struct connection *connection = (struct connection *)watch;

	if (events & LOOP_WRITE)
		connection->congested = false;
	if (events & LOOP_READ)
		connection->readable = true;
	if (events & LOOP_HANGUP) {
		/* The end, or an error, is found by reading; if we do not read now, there
		 * is nobody left to send to either. */
		if (!(watch->wanted & LOOP_READ)) {
			connection_close(connection, connection->phase == PHASE_LINGER
							     ? NULL
							     : "client is gone");
			return;
		}
		connection->readable = true;
	}
	connection_schedule(connection);
}

void connection_schedule(struct connection *connection)
{
	if (connection->is_runnable || connection->phase == PHASE_CLOSED)
		return;
	connection->is_runnable = true;
	TAILQ_INSERT_TAIL(&connection->worker->runnable, connection, runnable);
}

static void begin_handshake(struct connection *connection, const char *oldstyle_name)
{
	struct negotiation *n = connection->negotiation;
	const struct export_table *exports = &connection->server->exports;

	if (!oldstyle_name)
		negotiate_start(n, exports, connection->peer);
	else if (negotiate_start_oldstyle(n, exports, connection->peer, oldstyle_name) < 0) {
		connection_close(connection, n->why);
		return;
	}
	connection_schedule(connection);
}

int connection_open(struct server *server, int fd, const char *peer, const char *oldstyle_name)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int r = -ENOMEM;

	if (!connection)
		goto err_close;
	/* Not every call here can ask for it by a flag: splice() cannot. */
	if (ioctl(fd, FIONBIO, &(int){1}) < 0) {
		r = -errno;
		goto err_free;
	}
	connection->negotiation = malloc(sizeof(*connection->negotiation));
	if (!connection->negotiation)
		goto err_free;
	connection->watch = (struct watch){fd, LOOP_READ, on_ready};
	r = loop_watch(server->loop, &connection->watch);
	if (r < 0)
		goto err_negotiation;
	connection->server = server;
	connection->worker = &server->workers[0];
	TAILQ_INIT(&connection->replies);
	snprintf(connection->peer, sizeof(connection->peer), "%s", peer);
	connection->deadline_ms = server_now_ms() + HANDSHAKE_TIMEOUT_MS;
	TAILQ_INSERT_TAIL(&server->connections, connection, all);
	TAILQ_INSERT_TAIL(&connection->worker->connections, connection, of_worker);
	TAILQ_INSERT_TAIL(&server->handshakes, connection, timed);
	server->connection_count++;
	server->handshake_count++;
	begin_handshake(connection, oldstyle_name);
	return 0;
err_negotiation:
	free(connection->negotiation);
err_free:
	free(connection);
err_close:
	close(fd);
	return r;
}

void connection_adopt(struct connection *connection)
{
	struct worker *worker = connection->worker;
	int r;

	TAILQ_INSERT_TAIL(&worker->connections, connection, of_worker);
	connection->watch.wanted = LOOP_READ;
	r = loop_watch(worker->loop, &connection->watch);
	if (r < 0)
		connection_close(connection, strerror(-r));
	else if (worker->draining)
		connection_drain(connection);
	else
		connection_schedule(connection);
}

/* Out of the list that its phase put it in. */
static void leave_phase(struct connection *connection)
{
	struct server *server = connection->server;

	if (connection->phase == PHASE_HANDSHAKE) {
		TAILQ_REMOVE(connection->is_claiming ? &server->claims : &server->handshakes,
			     connection, timed);
		server->handshake_count--;
		server->export_left |= server->retired != NULL; /* it may have named one */
		free(connection->negotiation);
		connection->negotiation = NULL;
	} else if (connection->phase == PHASE_LINGER) {
		TAILQ_REMOVE(&connection->worker->lingering, connection, timed);
	}
}

static void forget_requests(struct connection *connection)
{
	struct request *request;

	while ((request = TAILQ_FIRST(&connection->replies))) {
		TAILQ_REMOVE(&connection->replies, request, link);
		if (!request->running)
			request_free(request);
	}
	if (connection->receiving && !connection->receiving->running)
		request_free(connection->receiving);
	connection->receiving = NULL;
}

void connection_release(struct connection *connection)
{
	struct worker *worker = connection->worker;

	if (connection->running_count)
		return;
	TAILQ_REMOVE(&worker->connections, connection, of_worker);
	TAILQ_INSERT_TAIL(&worker->dead, connection, of_worker);
	if (!worker_is_first(worker))
		return;
	claim_finish(connection);
	TAILQ_REMOVE(&connection->server->connections, connection, all);
}

static void log_event(const struct connection *connection, const char *why)
{
	const struct negotiation *n = connection->negotiation;

	if (!why)
		return;
	if (connection->export && connection->export->any_identity)
		log_line("%s: export \"%s\" for %s: %s", connection->peer,
			 connection->export->set.name, connection->identity, why);
	else if (connection->export)
		log_line("%s: export \"%s\": %s", connection->peer, connection->export->set.name,
			 why);
	else if (n && n->name[0])
		log_line("%s: export \"%s\": %s", connection->peer, n->name, why);
	else
		log_line("%s: %s", connection->peer, why);
}

/* The one line of a connection's end, with what it was for. */
static void log_end(const struct connection *connection, const char *why)
{
	const struct traffic *traffic = &connection->traffic;
	char text[TEXT_MAX];

	if (!why || connection->phase != PHASE_TRANSMISSION) {
		log_event(connection, why);
		return;
	}
	snprintf(text, sizeof(text),
		 "%s (after %lld s: %llu reads of %llu bytes, %llu writes of %llu bytes, "
		 "%llu others, %llu errors)",
		 why, (long long)(time(NULL) - connection->attached_s),
		 (unsigned long long)traffic->reads, (unsigned long long)traffic->read_bytes,
		 (unsigned long long)traffic->writes, (unsigned long long)traffic->written_bytes,
		 (unsigned long long)(traffic->flushes + traffic->others),
		 (unsigned long long)traffic->errors);
	log_event(connection, text);
}

/* The first worker gives the descriptor up. */
static void leave_first(struct connection *connection)
{
	close(connection->watch.fd);
	connection->server->connection_count--;
	if (connection->is_placed)
		connection->worker->client_count--;
	claim_leave(connection, connection->said_disc);
}

void connection_close(struct connection *connection, const char *why)
{
	struct worker *worker = connection->worker;

	log_end(connection, why);
	leave_phase(connection);
	connection->phase = PHASE_CLOSED;
	if (connection->is_runnable)
		TAILQ_REMOVE(&worker->runnable, connection, runnable);
	if (connection->is_waiting)
		TAILQ_REMOVE(&worker->payload.waiting, connection, waiting);
	loop_forget(worker->loop, &connection->watch);
	if (worker_is_first(worker))
		leave_first(connection);
	else
		mail_note(connection, NOTE_LEFT);
	forget_requests(connection);
	free(connection->stash);
	connection_release(connection);
}

static void begin_transmission(struct connection *connection)
{
	connection->structured = connection->negotiation->structured;
	connection->has_allocation = connection->negotiation->has_allocation;
	leave_phase(connection);
	connection->phase = PHASE_TRANSMISSION;
	connection->server->counts.attached++;
	log_event(connection, "attached");
}

/* What is to be said was said: waits for the client to close first, so that it reads all. */
static void begin_linger(struct connection *connection, const char *why)
{
	log_end(connection, why);
	leave_phase(connection);
	connection->phase = PHASE_LINGER;
	connection->ending = false; /* what still comes is read, so that close() does not reset */
	connection->deadline_ms = server_now_ms() + LINGER_TIMEOUT_MS;
	TAILQ_INSERT_TAIL(&connection->worker->lingering, connection, timed);
	shutdown(connection->watch.fd, SHUT_WR);
}

static int send_negotiated(struct connection *connection)
{
	struct negotiation *n = connection->negotiation;

	while (n->out_have && !connection->congested) {
		ssize_t sent = send(connection->watch.fd, n->out + n->out_sent,
				    n->out_have - n->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		connection->congested = sent < 0;
		n->out_sent += sent > 0 ? (size_t)sent : 0;
		if (n->out_sent == n->out_have)
			negotiate_sent(n);
	}
	return 0;
}

static int send_handshake(struct connection *connection)
{
	struct negotiation *n = connection->negotiation;
	int r = send_negotiated(connection);

	if (!r && !n->out_have && n->state == NEGOTIATE_CLAIM) {
		r = claim_answer(connection);
		if (r > 0)
			r = send_negotiated(connection);
	}
	if (r < 0 || n->out_have)
		return r;
	if (n->state == NEGOTIATE_READY)
		begin_transmission(connection);
	else if (n->state == NEGOTIATE_ABORTED)
		begin_linger(connection, "left with NBD_OPT_ABORT");
	return 0;
}

static int send_output(struct connection *connection)
{
	if (connection->phase == PHASE_HANDSHAKE)
		return send_handshake(connection);
	return connection->phase == PHASE_TRANSMISSION ? reply_send(connection) : 0;
}

/* Gives bytes to the stage that the connection is in; returns how many it took. */
static ssize_t feed(struct connection *connection, const uint8_t *data, size_t length)
{
	switch (connection->phase) {
	case PHASE_HANDSHAKE:
		return negotiate_feed(connection->negotiation, data, length);
	case PHASE_TRANSMISSION:
		return serve_feed(connection, data, length);
	default:
		if (connection->export)
			serve_skim(connection, data, length);
		return (ssize_t)length;
	}
}

static int keep(struct connection *connection, const uint8_t *data, size_t length)
{
	if (!length)
		return 0;
	connection->stash = malloc(length);
	if (!connection->stash)
		return -ENOMEM;
	memcpy(connection->stash, data, length);
	connection->stash_bytes = (uint32_t)length;
	connection->stash_taken = 0;
	return 0;
}

/* 1 when some of the stash was taken, 0 when it still has to wait. */
static int feed_stash(struct connection *connection)
{
	ssize_t n = feed(connection, connection->stash + connection->stash_taken,
			 connection->stash_bytes - connection->stash_taken);

	if (n < 0)
		return (int)n;
	connection->stash_taken += (uint32_t)n;
	if (connection->stash_taken == connection->stash_bytes) {
		free(connection->stash);
		connection->stash = NULL;
	}
	return n > 0;
}

static int end_of_input(struct connection *connection)
{
	if (connection->phase != PHASE_TRANSMISSION || connection->receiving ||
	    connection->header_have)
		return -ECONNRESET;
	connection->ending = true;
	return 0;
}

/* One read: payload goes straight to its buffers, the rest through the receive buffer. */
static int receive(struct connection *connection)
{
	struct worker *worker = connection->worker;
	struct iovec iov[PIECE_BUFFERS_MAX + 1];
	struct msghdr message = {.msg_iov = iov};
	size_t room = 0, over = 0;
	ssize_t n;
	int count = 0;

	connection->readable = false;
	if (connection->phase == PHASE_TRANSMISSION)
		count = serve_room(connection, iov);
	if (connection->blocked)
		return 0;
	for (int i = 0; i < count; i++)
		room += iov[i].iov_len;
	iov[count] = (struct iovec){worker->receive_buffer, sizeof(worker->receive_buffer)};
	message.msg_iovlen = (size_t)count + 1;
	n = recvmsg(connection->watch.fd, &message, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return end_of_input(connection);
	if ((size_t)n > room)
		over = (size_t)n - room;
	/* A read that filled all of its room was not the last one. */
	connection->turn_bytes += (uint32_t)n;
	connection->unread_bytes -= (size_t)n < connection->unread_bytes ? (uint32_t)n
									 : connection->unread_bytes;
	connection->readable = (size_t)n == room + sizeof(worker->receive_buffer) &&
			       connection->turn_bytes < RECEIVE_TURN_BYTES;
	if (room)
		serve_received(connection, (size_t)n - over);
	n = feed(connection, worker->receive_buffer, over);
	if (n < 0)
		return (int)n;
	return keep(connection, worker->receive_buffer + n, over - (size_t)n) ?: 1;
}

/* 1 when something was taken, 0 when there is nothing to take, -errno. */
static int take_input(struct connection *connection)
{
	connection->blocked = false;
	if (connection->phase == PHASE_TRANSMISSION)
		serve_resume(connection);
	if (connection->blocked)
		return 0;
	if (connection->stash)
		return feed_stash(connection);
	if (!connection->readable || (connection->ending && !connection->receiving))
		return 0;
	if (connection->phase == PHASE_HANDSHAKE && connection->negotiation->out_have)
		return 0;
	return receive(connection);
}

static unsigned int wanted_events(const struct connection *connection)
{
	bool handshake = connection->phase == PHASE_HANDSHAKE;
	bool taking = !connection->blocked && !connection->stash &&
		      (!connection->ending || connection->receiving) &&
		      !(handshake && connection->negotiation->out_have);

	return (taking ? LOOP_READ : 0) | (connection->congested ? LOOP_WRITE : 0);
}

static const char *why_ended(const struct connection *connection, int error)
{
	if (connection->negotiation && connection->negotiation->why)
		return connection->negotiation->why;
	if (connection->phase == PHASE_LINGER)
		return NULL;
	if (connection->broken)
		return "dropped: a read failed in the middle of its answer";
	if (error == -EPROTO)
		return "dropped: not an NBD request";
	if (connection->phase == PHASE_HANDSHAKE && error == -ECONNRESET)
		return "left during the handshake";
	if (error == -ECONNRESET)
		return "client is gone";
	return strerror(-error);
}

/* All that was asked is answered. */
static void end_transmission(struct connection *connection)
{
	if (connection->worker->draining && !connection->said_disc)
		begin_linger(connection, "closed: the server ends");
	else
		connection_close(connection, connection->said_disc ? "disconnected"
								   : "closed without NBD_CMD_DISC");
}

/* All that the client had sent when the server was told to end was taken. */
static bool has_drained(const struct connection *connection)
{
	return connection->worker->draining && !connection->unread_bytes && !connection->stash;
}

/* It was let in a moment ago, and no worker was chosen for it. */
static bool is_to_be_placed(const struct connection *connection)
{
	return connection->phase == PHASE_TRANSMISSION && !connection->is_placed;
}

void connection_run(struct connection *connection)
{
	int r;

	connection->turn_bytes = 0;
	do {
		r = send_output(connection);
		if (!r && is_to_be_placed(connection) && mail_hand_over(connection))
			return;
		if (!r)
			r = take_input(connection);
	} while (r > 0);
	connection->ending |= connection->phase == PHASE_TRANSMISSION && has_drained(connection);
	connection->is_runnable = false; /* what the last answers free may unblock us again */
	if (!r)
		r = send_output(connection);
	if (r < 0) {
		connection_close(connection, why_ended(connection, r));
		return;
	}
	if (is_to_be_placed(connection))
		connection_schedule(connection);
	if (connection->phase == PHASE_TRANSMISSION && connection->ending &&
	    !connection->request_count) {
		end_transmission(connection);
		return;
	}
	loop_change(connection->worker->loop, &connection->watch, wanted_events(connection));
}

void connection_reclaim(struct connection *connection, uint64_t now_ms)
{
	if (connection->phase != PHASE_TRANSMISSION)
		return;
	if (connection->congested && now_ms - connection->congested_since_ms >= STALL_MS)
		reply_reclaim(connection);
	if (connection->receiving && now_ms - connection->receiving_since_ms >= STALL_MS)
		serve_reclaim(connection);
}

void connection_drain(struct connection *connection)
{
	int unread_bytes;

	if (connection->phase == PHASE_HANDSHAKE) {
		connection_close(connection, "closed: the server ends");
		return;
	}
	if (connection->phase != PHASE_TRANSMISSION)
		return;
	if (ioctl(connection->watch.fd, FIONREAD, &unread_bytes) == 0)
		connection->unread_bytes = (uint32_t)unread_bytes;
	connection_schedule(connection);
}

void connection_end(struct connection *connection)
{
	if (connection->phase != PHASE_TRANSMISSION)
		return;
	connection->ending = true;
	connection_schedule(connection);
}
