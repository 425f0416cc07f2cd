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
	if (request->type == NBD_CMD_BLOCK_STATUS && !request->error)
		return request->job.extent_count * WIRE_EXTENT_BYTES;
	if (request->hole_bytes)
		return 0;
	return request->type == NBD_CMD_READ && !request->error ? request->piece_bytes : 0;
}

/* What the answer to a READ tells of the export. */
static uint32_t told_bytes(const struct request *request)
{
	return request->hole_bytes ?: payload_bytes(request);
}

static bool has_more_pieces(const struct request *request)
{
	return request->type == NBD_CMD_READ && told_bytes(request) &&
	       told_bytes(request) < request->left_bytes;
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

static uint8_t *chunk_body(struct request *request)
{
	return request->header + WIRE_CHUNK_BYTES;
}

static void put_error_chunk(struct request *request)
{
	request->announced_bytes = 0;
	put_chunk(request, NBD_REPLY_TYPE_ERROR, true, WIRE_CHUNK_ERROR_BYTES);
	request->header_bytes += (uint8_t)wire_put_chunk_error(
		chunk_body(request), nbd_error_from_errno(-request->error), 0);
}

static void put_status_chunk(struct request *request)
{
	for (unsigned int i = 0; i < request->job.extent_count; i++) {
		struct extent extent = request->extents[i];

		wire_put_extent((uint8_t *)&request->extents[i], extent.length_bytes, extent.state);
	}
	put_chunk(request, NBD_REPLY_TYPE_BLOCK_STATUS, true,
		  WIRE_CONTEXT_ID_BYTES + payload_bytes(request));
	request->header_bytes +=
		(uint8_t)wire_put_context_id(chunk_body(request), CONTEXT_ID_ALLOCATION);
}

static void put_read_chunk(struct request *request)
{
	uint8_t *body = chunk_body(request);
	bool whole = is_one_answer(request) || !has_more_pieces(request);
	uint32_t bytes = whole ? request->left_bytes : told_bytes(request);

	request->announced_bytes = bytes;
	if (request->hole_bytes) {
		put_chunk(request, NBD_REPLY_TYPE_OFFSET_HOLE, whole, WIRE_CHUNK_HOLE_BYTES);
		request->header_bytes +=
			(uint8_t)wire_put_chunk_hole(body, request->offset_bytes, bytes);
	} else if (!bytes) {
		put_chunk(request, NBD_REPLY_TYPE_NONE, true, 0);
	} else {
		put_chunk(request, NBD_REPLY_TYPE_OFFSET_DATA, whole,
			  WIRE_CHUNK_DATA_BYTES + bytes);
		request->header_bytes += (uint8_t)wire_put_chunk_data(body, request->offset_bytes);
	}
}

static void put_answer(struct request *request)
{
	bool is_structured = request->connection->structured;

	if (request->type == NBD_CMD_READ && is_structured)
		request->error ? put_error_chunk(request) : put_read_chunk(request);
	else if (request->type == NBD_CMD_BLOCK_STATUS && is_structured)
		request->error ? put_error_chunk(request) : put_status_chunk(request);
	else
		put_simple(request);
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
	} else {
		put_answer(request);
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
	if (request->extents && end_bytes) {
		iov[count++] = (struct iovec){(uint8_t *)request->extents + sent_bytes -
						      request->header_bytes,
					      end_bytes - (sent_bytes - request->header_bytes)};
		return count;
	}
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
		if (request->pipe && !request->hole_bytes)
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
		payload_sent(request, told_bytes(request));
		serve_load(request);
		return;
	}
	TAILQ_REMOVE(&connection->replies, request, link);
	traffic_answered(request);
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
