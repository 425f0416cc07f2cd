// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers of one client. Requests that the storage has finished enter, in any
 * order; bytes leave, as many answers in one sendmsg() as the socket takes. A
 * READ is answered with a simple reply or with structured chunks, strictly as
 * negotiated. Its success is announced when its first piece is in memory; if a
 * later piece then fails and the form of the answer cannot say so, the
 * connection is dropped, as the specification asks.
 */
#include "server/connection.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/nbd-errno.h"
#include "common/nbd-proto.h"
#include "server/server.h"

enum {
	IOV_MAX_ENTRIES = 64,
	SEND_TURN_BYTES = 1 << 20, /* then other connections have their turn */
};

/* One header announces the whole payload of a READ. */
static bool is_one_answer(const struct request *request)
{
	return !request->connection->structured || (request->flags & NBD_CMD_FLAG_DF);
}

static uint32_t payload_bytes(const struct request *request)
{
	return request->type == NBD_CMD_READ && !request->error ? request->piece_bytes : 0;
}

static bool has_more_pieces(const struct request *request)
{
	return payload_bytes(request) < request->left_bytes && payload_bytes(request);
}

static void put_simple(struct request *request)
{
	struct wire_reply reply = {
		.error = nbd_error_from_errno(-request->error),
		.cookie = request->cookie,
	};

	request->header_bytes = (uint8_t)wire_put_simple_reply(request->header, &reply);
	request->announced_bytes = payload_bytes(request) ? request->left_bytes : 0;
}

static void put_chunk(struct request *request, uint16_t type, bool last, uint32_t length_bytes)
{
	struct wire_chunk chunk = {
		.flags = last ? NBD_REPLY_FLAG_DONE : 0,
		.type = type,
		.cookie = request->cookie,
		.length_bytes = length_bytes,
	};

	request->header_bytes = (uint8_t)wire_put_chunk(request->header, &chunk);
}

static void put_read_chunk(struct request *request)
{
	uint8_t *body = request->header + WIRE_CHUNK_BYTES;
	bool whole = is_one_answer(request) || !has_more_pieces(request);
	uint32_t bytes = whole ? request->left_bytes : request->piece_bytes;

	request->announced_bytes = request->error ? 0 : bytes;

	if (request->error) {
		put_chunk(request, NBD_REPLY_TYPE_ERROR, true, WIRE_CHUNK_ERROR_BYTES);
		request->header_bytes += (uint8_t)wire_put_chunk_error(
			body, nbd_error_from_errno(-request->error), 0);
	} else if (!bytes) {
		put_chunk(request, NBD_REPLY_TYPE_NONE, true, 0);
	} else {
		put_chunk(request, NBD_REPLY_TYPE_OFFSET_DATA, whole,
			  WIRE_CHUNK_DATA_BYTES + bytes);
		request->header_bytes += (uint8_t)wire_put_chunk_data(body, request->offset_bytes);
	}
}

void reply_queue(struct request *request)
{
	struct connection *connection = request->connection;
	bool is_queued = request->loading;

	connection_schedule(connection);
	request->loading = false;
	request->sent_bytes = 0;
	if (request->announced_bytes) {
		request->header_bytes = 0;
		connection->broken |= request->error != 0;
	} else if (request->type == NBD_CMD_READ && connection->structured) {
		put_read_chunk(request);
	} else {
		put_simple(request);
	}
	if (!is_queued)
		TAILQ_INSERT_TAIL(&connection->replies, request, link);
}

/* What is left to send of header and piece. */
static int gather(struct request *request, struct iovec *iov)
{
	uint32_t sent_bytes = request->sent_bytes, end_bytes = payload_bytes(request);
	int count = 0;

	if (sent_bytes < request->header_bytes) {
		iov[count++] = (struct iovec){request->header + sent_bytes,
					      request->header_bytes - sent_bytes};
		sent_bytes = request->header_bytes;
	}
	if (request->pipe)
		return count;
	for (uint32_t at = sent_bytes - request->header_bytes; at < end_bytes;) {
		uint32_t in_buffer = at % PAYLOAD_BYTES, bytes = PAYLOAD_BYTES - in_buffer;

		if (bytes > end_bytes - at)
			bytes = end_bytes - at;
		iov[count++] =
			(struct iovec){request->buffers[at / PAYLOAD_BYTES] + in_buffer, bytes};
		at += bytes;
	}
	return count;
}

static int gather_all(struct connection *connection, struct iovec *iov, size_t *ret_bytes,
		      int *ret_flags)
{
	struct request *request = TAILQ_FIRST(&connection->replies);
	size_t total = 0;
	int count = 0;

	for (; request; request = TAILQ_NEXT(request, link)) {
		int end = count;

		if (request->loading || count + PIECE_BUFFERS_MAX + 1 > IOV_MAX_ENTRIES ||
		    total >= SEND_TURN_BYTES)
			break;
		count += gather(request, iov + count);
		for (; end < count; end++)
			total += iov[end].iov_len;
		if (request->pipe)
			*ret_flags = MSG_MORE;
		if (has_more_pieces(request) || request->pipe)
			break;
	}
	*ret_bytes = total;
	return count;
}

/* What follows has to be loaded. */
static void payload_sent(struct request *request, uint32_t bytes)
{
	request->offset_bytes += bytes;
	request->left_bytes -= bytes;
	request->announced_bytes -= bytes;
	request->loading = true;
}

/* The piece at the head of the queue was sent whole. */
static void piece_sent(struct connection *connection, struct request *request)
{
	if (has_more_pieces(request)) {
		payload_sent(request, request->piece_bytes);
		serve_load(request);
		return;
	}
	TAILQ_REMOVE(&connection->replies, request, link);
	request_free(request);
}

static void count_sent(struct connection *connection, size_t bytes)
{
	while (bytes) {
		struct request *request = TAILQ_FIRST(&connection->replies);
		size_t left = request->header_bytes + payload_bytes(request) - request->sent_bytes;

		if (bytes < left) {
			request->sent_bytes += (uint32_t)bytes;
			return;
		}
		bytes -= left;
		piece_sent(connection, request);
	}
}

/* The payload of the first answer, behind its header. */
static ssize_t send_from_pipe(struct connection *connection, struct request *request,
			      size_t *ret_total)
{
	*ret_total = request->header_bytes + request->piece_bytes - request->sent_bytes;
	return splice_send(request->pipe, connection->watch.fd, (uint32_t)*ret_total);
}

/* As many answers as fit, up to the payload of one that is in a pipe. */
static ssize_t send_gathered(struct connection *connection, size_t *ret_total)
{
	struct iovec iov[IOV_MAX_ENTRIES];
	struct msghdr message = {.msg_iov = iov};
	int flags = 0;
	ssize_t n;

	message.msg_iovlen = (size_t)gather_all(connection, iov, ret_total, &flags);
	if (!*ret_total)
		return 0;
	n = sendmsg(connection->watch.fd, &message, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static bool is_next_in_pipe(const struct request *request)
{
	return request && request->pipe && !request->loading &&
	       request->sent_bytes >= request->header_bytes;
}

int reply_send(struct connection *connection)
{
	while (!connection->congested && !connection->broken) {
		struct request *first = TAILQ_FIRST(&connection->replies);
		size_t total;
		ssize_t n = is_next_in_pipe(first) ? send_from_pipe(connection, first, &total)
						   : send_gathered(connection, &total);

		if (!total)
			return 0;
		if (n < 0 && n != -EAGAIN && n != -EINTR)
			return (int)n;
		connection->congested = n < (ssize_t)total || total >= SEND_TURN_BYTES;
		if (connection->congested)
			connection->congested_since_ms = server_now_ms();
		if (n > 0)
			count_sent(connection, (size_t)n);
	}
	return connection->broken ? -EIO : 0;
}

static void forget_payload(struct request *request)
{
	uint32_t sent_bytes = request->sent_bytes;

	if (request->loading || (!request->buffer_count && !request->pipe))
		return;
	if (sent_bytes && sent_bytes < request->header_bytes)
		return; /* the rest of this header cannot be made again */
	if (sent_bytes >= request->header_bytes) {
		payload_sent(request, sent_bytes - request->header_bytes);
	} else {
		request->announced_bytes = 0; /* with the header that will be made again */
		request->loading = true;
	}
	request_give_buffers(request);
}

void reply_reclaim(struct connection *connection)
{
	struct request *request = TAILQ_FIRST(&connection->replies);

	for (; request; request = TAILQ_NEXT(request, link))
		forget_payload(request);
}
