/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encoding and decoding of every message, and the only place that touches byte
 * order. What a peer sends enters here as bytes and leaves as host structures
 * whose lengths have been checked.
 */
#include "common/wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/nbd-proto.h"

_Static_assert(WIRE_GREETING_BYTES == sizeof(struct nbd_wire_greeting), "greeting");
_Static_assert(WIRE_OPTION_BYTES == sizeof(struct nbd_wire_option), "option");
_Static_assert(WIRE_OPTION_REPLY_BYTES == sizeof(struct nbd_wire_option_reply), "option reply");
_Static_assert(WIRE_EXPORT_NAME_BYTES == sizeof(struct nbd_wire_export_name), "export name");
_Static_assert(WIRE_OLDSTYLE_BYTES == sizeof(struct nbd_wire_oldstyle), "oldstyle");
_Static_assert(WIRE_INFO_EXPORT_BYTES == sizeof(struct nbd_wire_info_export), "info export");
_Static_assert(WIRE_INFO_BLOCK_SIZE_BYTES == sizeof(struct nbd_wire_info_block_size), "info size");
_Static_assert(WIRE_REQUEST_BYTES == sizeof(struct nbd_wire_request), "request");
_Static_assert(WIRE_SIMPLE_REPLY_BYTES == sizeof(struct nbd_wire_simple_reply), "simple reply");
_Static_assert(WIRE_CHUNK_BYTES == sizeof(struct nbd_wire_chunk), "chunk");
_Static_assert(WIRE_CHUNK_DATA_BYTES == sizeof(struct nbd_wire_chunk_data), "chunk data");
_Static_assert(WIRE_CHUNK_HOLE_BYTES == sizeof(struct nbd_wire_chunk_hole), "chunk hole");
_Static_assert(WIRE_EXTENT_BYTES == sizeof(struct nbd_wire_extent), "extent");
_Static_assert(WIRE_CHUNK_ERROR_BYTES == sizeof(struct nbd_wire_chunk_error), "chunk error");

enum {
	BLOCK_SIZE_MINIMUM_MAX_BYTES = 64 * 1024, /* "Block size constraints" */
};

static size_t put(uint8_t *buf, const void *wire, size_t length)
{
	memcpy(buf, wire, length);
	return length;
}

static size_t put_be32(uint8_t *buf, uint32_t value)
{
	value = htobe32(value);
	return put(buf, &value, sizeof(value));
}

static size_t put_be16(uint8_t *buf, uint16_t value)
{
	value = htobe16(value);
	return put(buf, &value, sizeof(value));
}

static uint32_t get_be32(const uint8_t *buf)
{
	uint32_t value;

	memcpy(&value, buf, sizeof(value));
	return be32toh(value);
}

static uint16_t get_be16(const uint8_t *buf)
{
	uint16_t value;

	memcpy(&value, buf, sizeof(value));
	return be16toh(value);
}

size_t wire_put_greeting(uint8_t *buf, uint16_t flags)
{
	struct nbd_wire_greeting wire = {
		.magic = htobe64(NBD_MAGIC),
		.opt_magic = htobe64(NBD_OPTS_MAGIC),
		.flags = htobe16(flags),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_get_greeting(const uint8_t buf[WIRE_GREETING_BYTES], uint16_t *ret_flags)
{
	struct nbd_wire_greeting wire;

	memcpy(&wire, buf, sizeof(wire));
	if (be64toh(wire.magic) != NBD_MAGIC)
		return -EPROTO;
	if (be64toh(wire.opt_magic) == NBD_OLDSTYLE_MAGIC)
		return -EPROTONOSUPPORT;
	if (be64toh(wire.opt_magic) != NBD_OPTS_MAGIC)
		return -EPROTO;
	*ret_flags = be16toh(wire.flags);
	return 0;
}

size_t wire_put_client_flags(uint8_t *buf, uint32_t flags)
{
	return put_be32(buf, flags);
}

uint32_t wire_get_client_flags(const uint8_t buf[WIRE_CLIENT_FLAGS_BYTES])
{
	return get_be32(buf);
}

size_t wire_put_option(uint8_t *buf, const struct wire_option *option)
{
	struct nbd_wire_option wire = {
		.magic = htobe64(NBD_OPTS_MAGIC),
		.option = htobe32(option->option),
		.length = htobe32(option->length),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_get_option(const uint8_t buf[WIRE_OPTION_BYTES], struct wire_option *ret)
{
	struct nbd_wire_option wire;

	memcpy(&wire, buf, sizeof(wire));
	if (be64toh(wire.magic) != NBD_OPTS_MAGIC)
		return -EPROTO;
	*ret = (struct wire_option){
		.option = be32toh(wire.option),
		.length = be32toh(wire.length),
	};
	return 0;
}

size_t wire_put_option_reply(uint8_t *buf, const struct wire_option_reply *reply)
{
	struct nbd_wire_option_reply wire = {
		.magic = htobe64(NBD_REP_MAGIC),
		.option = htobe32(reply->option),
		.type = htobe32(reply->type),
		.length = htobe32(reply->length),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_get_option_reply(const uint8_t buf[WIRE_OPTION_REPLY_BYTES], struct wire_option_reply *ret)
{
	struct nbd_wire_option_reply wire;

	memcpy(&wire, buf, sizeof(wire));
	if (be64toh(wire.magic) != NBD_REP_MAGIC)
		return -EPROTO;
	*ret = (struct wire_option_reply){
		.option = be32toh(wire.option),
		.type = be32toh(wire.type),
		.length = be32toh(wire.length),
	};
	return 0;
}

int wire_check_string(const void *bytes, size_t length)
{
	if (length > NBD_MAX_STRING)
		return -EMSGSIZE;
	return memchr(bytes, '\0', length) ? -EPROTO : 0;
}

/* A string behind its 32-bit length, at the start of length bytes. */
static int get_counted_string(const uint8_t *buf, size_t length, struct wire_string *ret)
{
	uint32_t string_length;
	int err;

	if (length < sizeof(string_length))
		return -EMSGSIZE;
	string_length = get_be32(buf);
	if (string_length > length - sizeof(string_length))
		return -EMSGSIZE;
	err = wire_check_string(buf + sizeof(string_length), string_length);
	if (err)
		return err;
	*ret = (struct wire_string){
		.bytes = (const char *)buf + sizeof(string_length),
		.length = string_length,
	};
	return 0;
}

size_t wire_put_go(uint8_t *buf, const struct wire_go *go)
{
	size_t used = wire_put_server(buf, go->name);

	used += put_be16(buf + used, go->info_count);
	for (uint16_t i = 0; i < go->info_count; i++)
		used += put_be16(buf + used, go->infos[i]);
	return used;
}

int wire_get_go(const uint8_t *buf, size_t length, struct wire_go *ret)
{
	struct wire_go go = {0};
	const uint8_t *infos;
	size_t rest;
	uint16_t count;
	int err;

	err = get_counted_string(buf, length, &go.name);
	if (err)
		return err;
	infos = buf + sizeof(uint32_t) + go.name.length;
	rest = length - sizeof(uint32_t) - go.name.length;
	if (rest < sizeof(count))
		return -EMSGSIZE;
	count = get_be16(infos);
	if (rest != sizeof(count) + count * sizeof(uint16_t))
		return -EMSGSIZE;
	go.info_count = count < WIRE_GO_MAX_INFOS ? count : WIRE_GO_MAX_INFOS;
	for (uint16_t i = 0; i < go.info_count; i++)
		go.infos[i] = get_be16(infos + sizeof(count) + i * sizeof(uint16_t));
	*ret = go;
	return 0;
}

int wire_get_meta(const uint8_t *buf, size_t length, struct wire_meta *ret)
{
	struct wire_meta meta;
	struct wire_string query;
	size_t at;
	int err = get_counted_string(buf, length, &meta.name);

	if (err)
		return err;
	at = sizeof(uint32_t) + meta.name.length;
	if (length - at < sizeof(meta.query_count))
		return -EMSGSIZE;
	meta.query_count = get_be32(buf + at);
	at += sizeof(meta.query_count);
	meta.queries = buf + at;
	for (uint32_t i = 0; i < meta.query_count; i++) {
		err = get_counted_string(buf + at, length - at, &query);
		if (err)
			return err;
		at += sizeof(uint32_t) + query.length;
	}
	if (at != length)
		return -EMSGSIZE;
	*ret = meta;
	return 0;
}

struct wire_string wire_next_query(const uint8_t **queries)
{
	struct wire_string query = {
		.bytes = (const char *)*queries + sizeof(uint32_t),
		.length = get_be32(*queries),
	};

	*queries += sizeof(uint32_t) + query.length;
	return query;
}

size_t wire_put_context(uint8_t *buf, uint32_t id, struct wire_string name)
{
	size_t used = put_be32(buf, id);

	return used + put(buf + used, name.bytes, name.length);
}

size_t wire_put_server(uint8_t *buf, struct wire_string name)
{
	size_t used = put_be32(buf, name.length);

	return used + put(buf + used, name.bytes, name.length);
}

int wire_get_server(const uint8_t *buf, size_t length, struct wire_string *ret_name)
{
	return get_counted_string(buf, length, ret_name);
}

size_t wire_put_export_name(uint8_t *buf, const struct wire_export *export)
{
	struct nbd_wire_export_name wire = {
		.size = htobe64(export->size_bytes),
		.flags = htobe16(export->flags),
	};

	return put(buf, &wire, sizeof(wire));
}

size_t wire_put_oldstyle(uint8_t *buf, const struct wire_export *export)
{
	struct nbd_wire_oldstyle wire = {
		.magic = htobe64(NBD_MAGIC),
		.client_magic = htobe64(NBD_OLDSTYLE_MAGIC),
		.size = htobe64(export->size_bytes),
		.flags = htobe32(export->flags),
	};

	return put(buf, &wire, sizeof(wire));
}

void wire_get_export_name(const uint8_t buf[WIRE_EXPORT_NAME_BYTES], struct wire_export *ret)
{
	struct nbd_wire_export_name wire;

	memcpy(&wire, buf, sizeof(wire));
	*ret = (struct wire_export){
		.size_bytes = be64toh(wire.size),
		.flags = be16toh(wire.flags),
	};
}

int wire_get_info_type(const uint8_t *buf, size_t length, uint16_t *ret_type)
{
	if (length < sizeof(*ret_type))
		return -EMSGSIZE;
	*ret_type = get_be16(buf);
	return 0;
}

size_t wire_put_info_export(uint8_t *buf, const struct wire_export *export)
{
	struct nbd_wire_info_export wire = {
		.type = htobe16(NBD_INFO_EXPORT),
		.size = htobe64(export->size_bytes),
		.flags = htobe16(export->flags),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_get_info_export(const uint8_t *buf, size_t length, struct wire_export *ret)
{
	struct nbd_wire_info_export wire;

	if (length != sizeof(wire))
		return -EMSGSIZE;
	memcpy(&wire, buf, sizeof(wire));
	if (be16toh(wire.type) != NBD_INFO_EXPORT)
		return -EPROTO;
	*ret = (struct wire_export){
		.size_bytes = be64toh(wire.size),
		.flags = be16toh(wire.flags),
	};
	return 0;
}

size_t wire_put_info_block_size(uint8_t *buf, const struct wire_block_size *size)
{
	struct nbd_wire_info_block_size wire = {
		.type = htobe16(NBD_INFO_BLOCK_SIZE),
		.minimum = htobe32(size->minimum_bytes),
		.preferred = htobe32(size->preferred_bytes),
		.maximum = htobe32(size->maximum_bytes),
	};

	return put(buf, &wire, sizeof(wire));
}

static int is_power_of_two(uint32_t value)
{
	return value && !(value & (value - 1));
}

int wire_get_info_block_size(const uint8_t *buf, size_t length, struct wire_block_size *ret)
{
	struct nbd_wire_info_block_size wire;
	struct wire_block_size size;

	if (length != sizeof(wire))
		return -EMSGSIZE;
	memcpy(&wire, buf, sizeof(wire));
	size = (struct wire_block_size){
		.minimum_bytes = be32toh(wire.minimum),
		.preferred_bytes = be32toh(wire.preferred),
		.maximum_bytes = be32toh(wire.maximum),
	};
	if (be16toh(wire.type) != NBD_INFO_BLOCK_SIZE || !is_power_of_two(size.minimum_bytes) ||
	    !is_power_of_two(size.preferred_bytes) ||
	    size.minimum_bytes > BLOCK_SIZE_MINIMUM_MAX_BYTES ||
	    size.minimum_bytes > size.preferred_bytes || size.preferred_bytes > size.maximum_bytes)
		return -EPROTO;
	*ret = size;
	return 0;
}

size_t wire_put_info_string(uint8_t *buf, uint16_t type, struct wire_string string)
{
	size_t used = put_be16(buf, type);

	return used + put(buf + used, string.bytes, string.length);
}

int wire_get_info_string(const uint8_t *buf, size_t length, struct wire_string *ret)
{
	const size_t type_bytes = sizeof(uint16_t);
	int err;

	if (length < type_bytes)
		return -EMSGSIZE;
	err = wire_check_string(buf + type_bytes, length - type_bytes);
	if (err)
		return err;
	*ret = (struct wire_string){
		.bytes = (const char *)buf + type_bytes,
		.length = (uint32_t)(length - type_bytes),
	};
	return 0;
}

size_t wire_put_request(uint8_t *buf, const struct wire_request *request)
{
	struct nbd_wire_request wire = {
		.magic = htobe32(NBD_REQUEST_MAGIC),
		.flags = htobe16(request->flags),
		.type = htobe16(request->type),
		.cookie = htobe64(request->cookie),
		.offset = htobe64(request->offset_bytes),
		.length = htobe32(request->length_bytes),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_get_request(const uint8_t buf[WIRE_REQUEST_BYTES], struct wire_request *ret)
{
	struct nbd_wire_request wire;

	memcpy(&wire, buf, sizeof(wire));
	if (be32toh(wire.magic) != NBD_REQUEST_MAGIC)
		return -EPROTO;
	*ret = (struct wire_request){
		.flags = be16toh(wire.flags),
		.type = be16toh(wire.type),
		.cookie = be64toh(wire.cookie),
		.offset_bytes = be64toh(wire.offset),
		.length_bytes = be32toh(wire.length),
	};
	return 0;
}

size_t wire_put_simple_reply(uint8_t *buf, const struct wire_reply *reply)
{
	struct nbd_wire_simple_reply wire = {
		.magic = htobe32(NBD_SIMPLE_REPLY_MAGIC),
		.error = htobe32(reply->error),
		.cookie = htobe64(reply->cookie),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_get_simple_reply(const uint8_t buf[WIRE_SIMPLE_REPLY_BYTES], struct wire_reply *ret)
{
	struct nbd_wire_simple_reply wire;

	memcpy(&wire, buf, sizeof(wire));
	if (be32toh(wire.magic) != NBD_SIMPLE_REPLY_MAGIC)
		return -EPROTO;
	*ret = (struct wire_reply){
		.error = be32toh(wire.error),
		.cookie = be64toh(wire.cookie),
	};
	return 0;
}

size_t wire_put_chunk(uint8_t *buf, const struct wire_chunk *chunk)
{
	struct nbd_wire_chunk wire = {
		.magic = htobe32(NBD_STRUCTURED_REPLY_MAGIC),
		.flags = htobe16(chunk->flags),
		.type = htobe16(chunk->type),
		.cookie = htobe64(chunk->cookie),
		.length = htobe32(chunk->length_bytes),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_get_chunk(const uint8_t buf[WIRE_CHUNK_BYTES], struct wire_chunk *ret)
{
	struct nbd_wire_chunk wire;

	memcpy(&wire, buf, sizeof(wire));
	if (be32toh(wire.magic) != NBD_STRUCTURED_REPLY_MAGIC)
		return -EPROTO;
	*ret = (struct wire_chunk){
		.flags = be16toh(wire.flags),
		.type = be16toh(wire.type),
		.cookie = be64toh(wire.cookie),
		.length_bytes = be32toh(wire.length),
	};
	return 0;
}

size_t wire_put_chunk_data(uint8_t *buf, uint64_t offset_bytes)
{
	struct nbd_wire_chunk_data wire = {.offset = htobe64(offset_bytes)};

	return put(buf, &wire, sizeof(wire));
}

size_t wire_put_chunk_hole(uint8_t *buf, uint64_t offset_bytes, uint32_t size_bytes)
{
	struct nbd_wire_chunk_hole wire = {htobe64(offset_bytes), htobe32(size_bytes)};

	return put(buf, &wire, sizeof(wire));
}

size_t wire_put_context_id(uint8_t *buf, uint32_t id)
{
	return put_be32(buf, id);
}

size_t wire_put_extent(uint8_t *buf, uint32_t length_bytes, uint32_t state)
{
	struct nbd_wire_extent wire = {htobe32(length_bytes), htobe32(state)};

	return put(buf, &wire, sizeof(wire));
}

size_t wire_put_chunk_error(uint8_t *buf, uint32_t error, uint16_t message_length)
{
	struct nbd_wire_chunk_error wire = {
		.error = htobe32(error),
		.message_length = htobe16(message_length),
	};

	return put(buf, &wire, sizeof(wire));
}

int wire_read_full(int fd, void *buf, size_t length)
{
	char *at = buf;

	while (length > 0) {
		ssize_t n = read(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

int wire_write_full(int fd, const void *buf, size_t length)
{
	const char *at = buf;

	while (length > 0) {
		ssize_t n = send(fd, at, length, MSG_NOSIGNAL);

		if (n < 0 && errno == ENOTSOCK)
			n = write(fd, at, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}
