/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codec: host structures on this side, bytes of the NBD protocol on the
 * other. Only wire.c knows the byte order.
 *
 * wire_put_*() writes a message to buf, which has room for it, and returns the
 * bytes written. wire_get_*() reads one and returns 0, or
 *   -EPROTO    the magic number or a field is not what the specification allows
 *   -EMSGSIZE  a length does not fit the data, or passes the limit for it
 * and leaves *ret untouched on failure. Strings stay in the caller's buffer and
 * carry a length, not a terminator.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_GREETING_BYTES = 18,
	WIRE_CLIENT_FLAGS_BYTES = 4,
	WIRE_OPTION_BYTES = 16,
	WIRE_OPTION_REPLY_BYTES = 20,
	WIRE_EXPORT_NAME_BYTES = 10,
	WIRE_OLDSTYLE_BYTES = 152,
	WIRE_INFO_EXPORT_BYTES = 12,
	WIRE_INFO_BLOCK_SIZE_BYTES = 14,
	WIRE_REQUEST_BYTES = 28,
	WIRE_SIMPLE_REPLY_BYTES = 16,
	WIRE_CHUNK_BYTES = 20,
	WIRE_CHUNK_DATA_BYTES = 8,
	WIRE_CHUNK_ERROR_BYTES = 6,
	WIRE_CHUNK_HOLE_BYTES = 12,
	WIRE_CONTEXT_ID_BYTES = 4,
	WIRE_EXTENT_BYTES = 8,

	/* Largest NBD_OPT_INFO or NBD_OPT_GO: a name of NBD_MAX_STRING and 16 information requests.
	 */
	WIRE_GO_MAX_BYTES = 4 + 4096 + 2 + 2 * 16,
	WIRE_GO_MAX_INFOS = 16,
};

struct wire_string {
	const char *bytes;
	uint32_t length;
};

struct wire_option {
	uint32_t option; /* enum nbd_option, or a number that we do not know */
	uint32_t length; /* bytes of data that follow */
};

struct wire_option_reply {
	uint32_t option;
	uint32_t type; /* enum nbd_reply */
	uint32_t length;
};

struct wire_go {
	struct wire_string name;
	uint16_t info_count;
	uint16_t infos[WIRE_GO_MAX_INFOS]; /* requests past this number are dropped: they are hints
					    */
};

struct wire_meta {
	struct wire_string name; /* of the export */
	uint32_t query_count;
	const uint8_t *queries; /* for wire_next_query() */
};

struct wire_export {
	uint64_t size_bytes;
	uint16_t flags; /* enum nbd_transmission_flag */
};

struct wire_block_size {
	uint32_t minimum_bytes;
	uint32_t preferred_bytes;
	uint32_t maximum_bytes; /* of a payload */
};

struct wire_request {
	uint16_t flags; /* enum nbd_command_flag */
	uint16_t type;	/* enum nbd_command, or a number that we do not know */
	uint64_t cookie;
	uint64_t offset_bytes;
	uint32_t length_bytes;
};

struct wire_reply {
	uint32_t error; /* enum nbd_error; 0 for success */
	uint64_t cookie;
};

struct wire_chunk {
	uint16_t flags;
	uint16_t type; /* enum nbd_chunk */
	uint64_t cookie;
	uint32_t length_bytes;
};

/* "Newstyle negotiation". The greeting of an oldstyle server is -EPROTONOSUPPORT. */
size_t wire_put_greeting(uint8_t *buf, uint16_t flags);
int wire_get_greeting(const uint8_t buf[WIRE_GREETING_BYTES], uint16_t *ret_flags);
size_t wire_put_client_flags(uint8_t *buf, uint32_t flags);
uint32_t wire_get_client_flags(const uint8_t buf[WIRE_CLIENT_FLAGS_BYTES]);

size_t wire_put_option(uint8_t *buf, const struct wire_option *option);
int wire_get_option(const uint8_t buf[WIRE_OPTION_BYTES], struct wire_option *ret);
size_t wire_put_option_reply(uint8_t *buf, const struct wire_option_reply *reply);
int wire_get_option_reply(const uint8_t buf[WIRE_OPTION_REPLY_BYTES],
			  struct wire_option_reply *ret);

/*
 * Data of NBD_OPT_INFO and NBD_OPT_GO. The name is at most NBD_MAX_STRING bytes
 * (-EMSGSIZE) and without a NUL (-EPROTO); the lengths must add up to length.
 */
size_t wire_put_go(uint8_t *buf, const struct wire_go *go);
int wire_get_go(const uint8_t *buf, size_t length, struct wire_go *ret);

/* -EMSGSIZE over NBD_MAX_STRING, -EPROTO with a NUL in it. */
int wire_check_string(const void *bytes, size_t length);

/*
 * Data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT, as of NBD_OPT_GO. Each of
 * query_count calls of wire_next_query() takes a query from *queries, which has been checked.
 */
int wire_get_meta(const uint8_t *buf, size_t length, struct wire_meta *ret);
struct wire_string wire_next_query(const uint8_t **queries);

/* Data of NBD_REP_META_CONTEXT. */
size_t wire_put_context(uint8_t *buf, uint32_t id, struct wire_string name);

/* Data of NBD_REP_SERVER: the name of an export, then text for a person. */
size_t wire_put_server(uint8_t *buf, struct wire_string name);
int wire_get_server(const uint8_t *buf, size_t length, struct wire_string *ret_name);

/* Answer to NBD_OPT_EXPORT_NAME, without the zeroes that may follow it. */
size_t wire_put_export_name(uint8_t *buf, const struct wire_export *export);
void wire_get_export_name(const uint8_t buf[WIRE_EXPORT_NAME_BYTES], struct wire_export *ret);

/* "Oldstyle negotiation": the whole of it. */
size_t wire_put_oldstyle(uint8_t *buf, const struct wire_export *export);

/* Data of NBD_REP_INFO begins with its type. */
int wire_get_info_type(const uint8_t *buf, size_t length, uint16_t *ret_type);
size_t wire_put_info_export(uint8_t *buf, const struct wire_export *export);
int wire_get_info_export(const uint8_t *buf, size_t length, struct wire_export *ret);
size_t wire_put_info_block_size(uint8_t *buf, const struct wire_block_size *size);

/* "Block size constraints": powers of two, minimum <= 64 KiB, minimum <= preferred <= maximum. */
int wire_get_info_block_size(const uint8_t *buf, size_t length, struct wire_block_size *ret);

/* NBD_INFO_NAME and NBD_INFO_DESCRIPTION: a type and a string. */
size_t wire_put_info_string(uint8_t *buf, uint16_t type, struct wire_string string);
int wire_get_info_string(const uint8_t *buf, size_t length, struct wire_string *ret);

/* "Transmission" */
size_t wire_put_request(uint8_t *buf, const struct wire_request *request);
int wire_get_request(const uint8_t buf[WIRE_REQUEST_BYTES], struct wire_request *ret);
size_t wire_put_simple_reply(uint8_t *buf, const struct wire_reply *reply);
int wire_get_simple_reply(const uint8_t buf[WIRE_SIMPLE_REPLY_BYTES], struct wire_reply *ret);
size_t wire_put_chunk(uint8_t *buf, const struct wire_chunk *chunk);
int wire_get_chunk(const uint8_t buf[WIRE_CHUNK_BYTES], struct wire_chunk *ret);
size_t wire_put_chunk_data(uint8_t *buf, uint64_t offset_bytes);
size_t wire_put_chunk_hole(uint8_t *buf, uint64_t offset_bytes, uint32_t size_bytes);
size_t wire_put_context_id(uint8_t *buf, uint32_t id);
size_t wire_put_extent(uint8_t *buf, uint32_t length_bytes, uint32_t state);
size_t wire_put_chunk_error(uint8_t *buf, uint32_t error, uint16_t message_length);

/*
 * Reads or writes all of length bytes on a blocking socket or file; -errno.
 * End of file before that is -ECONNRESET; a socket time-out (SO_RCVTIMEO,
 * SO_SNDTIMEO) is -ETIMEDOUT. Never raises SIGPIPE on a socket.
 */
int wire_read_full(int fd, void *buf, size_t length);
int wire_write_full(int fd, const void *buf, size_t length);

#endif
