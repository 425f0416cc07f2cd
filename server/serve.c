// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of one client ("Transmission phase" of the specification): bytes
 * enter, are checked against the export and the flags that it was told, and
 * become storage jobs; reply.c answers. A request larger than its buffers is
 * done piece by piece. What is wrong is answered with the error that the
 * specification names, after its payload was read, and the connection goes on.
 */
#include "server/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/nbd-errno.h"
#include "common/nbd-proto.h"
#include "server/server.h"

static uint32_t least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

void request_give_buffers(struct request *request)
{
	struct connection *connection = request->connection;
	unsigned int count = request->buffer_count;

	if (request->pipe) {
		splice_give(&connection->worker->pipes, request->pipe);
		request->pipe = NULL;
		connection->pipe_count--;
	}
	if (!count)
		return;
	connection->buffer_count -= count;
	request->buffer_count = 0;
	payload_give(&connection->worker->payload, request->buffers, count);
}

/* Nobody else writes. */
static void count_request(struct connection *connection, int more)
{
	unsigned int count = atomic_load_explicit(&connection->request_count, memory_order_relaxed);

	atomic_store_explicit(&connection->request_count, count + (unsigned int)more,
			      memory_order_relaxed);
}

void request_free(struct request *request)
{
	struct connection *connection = request->connection;

	request_give_buffers(request);
	count_request(connection, -1);
	free(request->extents);
	free(request);
	connection_schedule(connection);
}

static bool take_pipe(struct request *request)
{
	struct connection *connection = request->connection;

	if (request->type != NBD_CMD_READ || request->left_bytes < SPLICE_MIN_BYTES ||
	    !connection->export->can_splice || connection->pipe_count == CONNECTION_PIPES_MAX)
		return false;
	request->pipe = splice_take(&connection->worker->pipes);
	if (!request->pipe)
		return false;
	connection->pipe_count++;
	return true;
}

/* How much of the request fits into what it has. */
static uint32_t piece_room(const struct request *request)
{
	if (request->pipe)
		return splice_room(&request->connection->worker->pipes, request->pipe,
				   request->offset_bytes);
	return request->buffer_count * (uint32_t)PAYLOAD_BYTES;
}

/*
 * True when request has a pipe or at least one buffer; otherwise the connection waits for
 * one. The answer at the head of the queue may exceed the share of a connection:
 * all that would free a buffer stands behind it.
 */
static bool take_buffers(struct request *request)
{
	struct connection *connection = request->connection;
	struct payload_pool *pool = &connection->worker->payload;
	unsigned int wanted = (request->left_bytes - 1) / PAYLOAD_BYTES + 1;
	unsigned int share = CONNECTION_BUFFERS_MAX > connection->buffer_count
				     ? CONNECTION_BUFFERS_MAX - connection->buffer_count
				     : 0;

	if (take_pipe(request))
		return true;
	if (wanted > PIECE_BUFFERS_MAX)
		wanted = PIECE_BUFFERS_MAX;
	if (!request->loading && wanted > share)
		wanted = share;
	request->buffer_count = (uint8_t)payload_take(pool, request->buffers, wanted);
	connection->buffer_count += request->buffer_count;
	request->piece_bytes = least(request->left_bytes, piece_room(request));
	request->received_bytes = 0;
	if (request->buffer_count)
		return true;
	connection->blocked = true;
	if (wanted && !connection->is_waiting) {
		TAILQ_INSERT_TAIL(&pool->waiting, connection, waiting);
		connection->is_waiting = true;
	}
	return false;
}

/* The part of the piece from done_bytes on, as the buffers hold it. */
static int piece_iov(const struct request *request, uint32_t done_bytes, struct iovec *iov)
{
	int count = 0;

	for (uint32_t at = done_bytes; at < request->piece_bytes;) {
		uint32_t in_buffer = at % PAYLOAD_BYTES;
		uint32_t bytes = least(PAYLOAD_BYTES - in_buffer, request->piece_bytes - at);

		iov[count++] =
			(struct iovec){request->buffers[at / PAYLOAD_BYTES] + in_buffer, bytes};
		at += bytes;
	}
	return count;
}

static void log_failure(struct request *request)
{
	struct export *export = request->connection->export;
	time_t now_s = time(NULL);
	unsigned long not_logged;

	if (atomic_exchange(&export->error_logged_s, now_s) == now_s) {
		atomic_fetch_add(&export->errors_not_logged, 1);
		return;
	}
	not_logged = atomic_exchange(&export->errors_not_logged, 0);
	log_line("export \"%s\": %s: %s at %llu, %u bytes: %s", export->set.name, export->set.path,
		 nbd_command_name(request->type), (unsigned long long)request->offset_bytes,
		 request->piece_bytes, strerror(-request->job.result));
	if (not_logged)
		log_line("export \"%s\": and %lu errors that were not logged", export->set.name,
			 not_logged);
}

static void piece_done(struct storage_job *job);

/* Does what need not wait for a disk here, and saves the way to a storage thread and back. */
static bool done_at_once(struct storage_job *job)
{
	if (!job->export->is_plain)
		return false;
	if (job->op <= STORAGE_WRITE && job->export->in_memory) {
		job->result = storage_run(job);
		return true;
	}
	job->result = 0;
	return job->op == STORAGE_READ && job->length_bytes <= CACHED_READ_MAX_BYTES &&
	       export_read_cached(job->export, job->iov, job->iov_count, job->offset_bytes,
				  job->length_bytes) == 0;
}

/*
 * How long a hole the answer to request can tell of. A short one, or one that another
 * way than io_uring and the cache would have to be found for, is read as zeroes.
 */
static uint64_t hole_room(const struct request *request, enum storage_op op)
{
	const struct connection *connection = request->connection;

	if (op > STORAGE_SPLICE || !connection->structured || request->flags & NBD_CMD_FLAG_DF ||
	    request->piece_bytes < HOLE_MIN_BYTES || request->announced_bytes)
		return 0;
	return op == STORAGE_SPLICE || !connection->export->is_plain ? request->left_bytes : 0;
}

static void submit(struct request *request, enum storage_op op)
{
	struct connection *connection = request->connection;

	request->hole_bytes = 0;
	request->job.op = op;
	request->job.hole_bytes = hole_room(request, op);
	request->job.done = piece_done;
	request->job.export = connection->export;
	request->job.offset_bytes = request->offset_bytes;
	request->job.length_bytes = request->piece_bytes;
	request->job.no_hole = request->flags & NBD_CMD_FLAG_NO_HOLE;
	request->job.fast = request->flags & NBD_CMD_FLAG_FAST_ZERO;
	if (op == STORAGE_SPLICE)
		request->job.pipe_fd = request->pipe->in_fd;
	else if (op <= STORAGE_WRITE)
		request->job.iov_count = piece_iov(request, 0, request->job.iov);
	request->running = true;
	connection->running_count++;
	if (done_at_once(&request->job))
		piece_done(&request->job);
	else
		storage_submit(connection->worker->storage, &request->job);
}

/* Of a command that has a range and no payload. */
static void begin_range_piece(struct request *request)
{
	enum storage_op op = request->type == NBD_CMD_TRIM    ? STORAGE_TRIM
			     : request->type == NBD_CMD_CACHE ? STORAGE_CACHE
							      : STORAGE_ZERO;

	request->piece_bytes = least(request->left_bytes, RANGE_PIECE_BYTES);
	submit(request, op);
}

static void begin_status(struct request *request)
{
	request->extents = malloc(EXTENTS_MAX * sizeof(*request->extents));
	if (!request->extents) {
		request->error = -ENOMEM;
		reply_queue(request);
		return;
	}
	request->job.extents = request->extents;
	request->job.extents_max = request->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : EXTENTS_MAX;
	request->piece_bytes = request->left_bytes;
	submit(request, STORAGE_STATUS);
}

/* All pieces are done: makes them durable if the client asked for it, then answers. */
static void finish_change(struct request *request)
{
	if (!request->error && (request->flags & NBD_CMD_FLAG_FUA)) {
		request->flags &= (uint16_t)~NBD_CMD_FLAG_FUA;
		request->piece_bytes = 0;
		submit(request, STORAGE_FLUSH);
		return;
	}
	reply_queue(request);
}

static void write_piece_done(struct request *request)
{
	struct connection *connection = request->connection;

	request_give_buffers(request);
	if (connection->receiving == request)
		connection_schedule(connection); /* more payload, or what is left of a failed one */
	else
		finish_change(request);
}

static void range_piece_done(struct request *request)
{
	if (!request->error && request->left_bytes)
		begin_range_piece(request);
	else
		finish_change(request);
}

/* The client left while the storage had this request. */
static void abandon(struct request *request)
{
	struct connection *connection = request->connection;

	request_free(request);
	connection_release(connection);
}

static void piece_done(struct storage_job *job)
{
	struct request *request = (struct request *)job;
	struct connection *connection = request->connection;

	request->running = false;
	connection->running_count--;
	if (job->result < 0) {
		if (job->result != -EOPNOTSUPP) /* the answer to FAST_ZERO is no failure */
			log_failure(request);
		request->error = job->result;
	}
	if (job->op == STORAGE_SPLICE) {
		request->pipe->have_bytes = (uint32_t)job->length_bytes;
		request->piece_bytes = (uint32_t)job->length_bytes;
	}
	if (connection->phase == PHASE_CLOSED) {
		abandon(request);
		return;
	}
	if (job->op <= STORAGE_SPLICE)
		request->hole_bytes = (uint32_t)job->hole_bytes;
	if (job->op <= STORAGE_SPLICE || job->op == STORAGE_FLUSH || job->op == STORAGE_STATUS) {
		if (request->error)
			request_give_buffers(request);
		reply_queue(request);
		return;
	}
	request->offset_bytes += request->piece_bytes;
	request->left_bytes -= request->piece_bytes;
	if (job->op == STORAGE_WRITE)
		write_piece_done(request);
	else
		range_piece_done(request);
}

void serve_load(struct request *request)
{
	uint32_t bytes = request->announced_bytes ?: request->left_bytes;

	request->piece_bytes = least(bytes, piece_room(request));
	submit(request, request->pipe ? STORAGE_SPLICE : STORAGE_READ);
}

static void begin_read(struct request *request)
{
	struct connection *connection = request->connection;

	if (!request->left_bytes) {
		reply_queue(request);
	} else if (take_buffers(request)) {
		connection->receiving = NULL;
		serve_load(request);
	} else {
		connection->receiving = request;
	}
}

static void begin(struct request *request)
{
	struct connection *connection = request->connection;

	if (request->type == NBD_CMD_WRITE && request->left_bytes)
		connection->receiving = request;
	else if (request->error)
		reply_queue(request);
	else if (request->type == NBD_CMD_READ)
		begin_read(request);
	else if (request->type == NBD_CMD_FLUSH)
		submit(request, STORAGE_FLUSH);
	else if (request->type == NBD_CMD_BLOCK_STATUS)
		begin_status(request);
	else if (request->left_bytes)
		begin_range_piece(request);
	else
		finish_change(request);
}

/* connection->header is complete. -errno: the stream makes no sense. */
static int take_header(struct connection *connection)
{
	struct wire_request asked;
	struct request *request;

	connection->header_have = 0;
	if (wire_get_request(connection->header, &asked) < 0)
		return -EPROTO;
	if (asked.type == NBD_CMD_DISC) {
		connection->ending = true;
		connection->said_disc = true;
		return 0;
	}
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	request->connection = connection;
	request->cookie = asked.cookie;
	request->type = asked.type;
	request->flags = asked.flags;
	request->offset_bytes = asked.offset_bytes;
	request->length_bytes = asked.length_bytes;
	request->left_bytes = asked.length_bytes;
	request->begun_us = traffic_now_us();
	request->error = command_check(connection, &asked);
	count_request(connection, 1);
	begin(request);
	return 0;
}

/* All bytes of the piece are here. */
static void store_piece(struct request *request)
{
	if (request->piece_bytes == request->left_bytes)
		request->connection->receiving = NULL;
	submit(request, STORAGE_WRITE);
}

static size_t discard_payload(struct request *request, size_t length)
{
	uint32_t taken = least(length, request->left_bytes);

	request->left_bytes -= taken;
	if (!request->left_bytes) {
		request->connection->receiving = NULL;
		reply_queue(request);
	}
	return taken;
}

/* True when payload of request can be taken now. */
static bool have_room(struct request *request)
{
	if (!request->running && request->buffer_count)
		return true;
	if (!request->running && take_buffers(request)) {
		request->connection->receiving_since_ms = server_now_ms();
		return true;
	}
	request->connection->blocked = true;
	return false;
}

static size_t take_payload(struct request *request, const uint8_t *data, size_t length)
{
	struct iovec iov[PIECE_BUFFERS_MAX];
	size_t taken = 0;
	int count;

	if (request->type == NBD_CMD_WRITE && request->error && !request->running)
		return discard_payload(request, length);
	if (request->type == NBD_CMD_READ || !have_room(request))
		return 0;
	count = piece_iov(request, request->received_bytes, iov);
	for (int i = 0; i < count && taken < length; i++) {
		size_t bytes = least(iov[i].iov_len, length - taken);

		memcpy(iov[i].iov_base, data + taken, bytes);
		taken += bytes;
	}
	serve_received(request->connection, taken);
	return taken;
}

static size_t collect_header(struct connection *connection, const uint8_t *data, size_t length)
{
	size_t taken = least(length, sizeof(connection->header) - connection->header_have);

	memcpy(connection->header + connection->header_have, data, taken);
	connection->header_have += (uint8_t)taken;
	return taken;
}

ssize_t serve_feed(struct connection *connection, const uint8_t *data, size_t length)
{
	size_t taken = 0;

	while (taken < length && !connection->blocked) {
		if (connection->receiving) {
			taken += take_payload(connection->receiving, data + taken, length - taken);
			continue;
		}
		if (connection->ending)
			return (ssize_t)length;
		if (connection->request_count >= CONNECTION_REQUESTS_MAX) {
			connection->blocked = true;
			break;
		}
		taken += collect_header(connection, data + taken, length - taken);
		if (connection->header_have == sizeof(connection->header)) {
			int r = take_header(connection);

			if (r < 0)
				return r;
		}
	}
	return (ssize_t)taken;
}

/* connection->header is complete, of a request that is not done. */
static void skim_header(struct connection *connection)
{
	struct wire_request asked;

	connection->header_have = 0;
	if (wire_get_request(connection->header, &asked) < 0)
		connection->skips_all = true;
	else if (asked.type == NBD_CMD_DISC)
		connection->said_disc = true;
	else if (asked.type == NBD_CMD_WRITE)
		connection->skip_bytes = asked.length_bytes;
}

void serve_skim(struct connection *connection, const uint8_t *data, size_t length)
{
	size_t taken = 0;

	while (taken < length && !connection->skips_all && !connection->said_disc) {
		uint32_t skipped = least(length - taken, connection->skip_bytes);

		connection->skip_bytes -= skipped;
		taken += skipped;
		taken += collect_header(connection, data + taken, length - taken);
		if (connection->header_have == sizeof(connection->header))
			skim_header(connection);
	}
}

void serve_resume(struct connection *connection)
{
	struct request *answer = TAILQ_FIRST(&connection->replies);
	struct request *request = connection->receiving;

	if (answer && answer->loading && !answer->running && !connection->congested &&
	    take_buffers(answer))
		serve_load(answer);
	if (request && request->type == NBD_CMD_READ)
		begin_read(request);
}

void serve_reclaim(struct connection *connection)
{
	struct request *request = connection->receiving;

	if (!request || request->running || !request->buffer_count)
		return;
	request->piece_bytes = request->received_bytes;
	if (request->piece_bytes)
		store_piece(request);
	else
		request_give_buffers(request);
}

int serve_room(struct connection *connection, struct iovec iov[PIECE_BUFFERS_MAX])
{
	struct request *request = connection->receiving;

	if (!request || request->error || !have_room(request))
		return 0;
	return piece_iov(request, request->received_bytes, iov);
}

void serve_received(struct connection *connection, size_t bytes)
{
	struct request *request = connection->receiving;

	request->received_bytes += (uint32_t)bytes;
	if (request->received_bytes == request->piece_bytes)
		store_piece(request);
}
