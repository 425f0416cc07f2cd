/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codec: bytes as the specification has them, round trips, and what a
 * hostile or slow peer sends.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/nbd-errno.h"
#include "common/nbd-proto.h"
#include "common/wire.h"

/* A copy that ends where the allocation ends, so that ASan sees a read past it. */
static uint8_t *exact_copy(const void *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	return copy;
}

static void greeting_is_the_bytes_of_the_specification(void **state)
{
	(void)state;
	uint8_t buf[WIRE_GREETING_BYTES];
	uint16_t flags = 0;

	assert_int_equal(wire_put_greeting(buf, 3), sizeof(buf));
	assert_memory_equal(buf, "NBDMAGICIHAVEOPT\0\3", sizeof(buf));
	assert_int_equal(wire_get_greeting(buf, &flags), 0);
	assert_int_equal(flags, 3);
}

static void greeting_of_others_is_told_apart(void **state)
{
	(void)state;
	uint16_t flags = 7;
	const uint8_t *oldstyle = (const uint8_t *)"NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53\0\0";

	assert_int_equal(wire_get_greeting(oldstyle, &flags), -EPROTONOSUPPORT);
	assert_int_equal(wire_get_greeting((const uint8_t *)"SSH-2.0-OpenSSH_9.2", &flags),
			 -EPROTO);
	assert_int_equal(wire_get_greeting((const uint8_t *)"NBDMAGICxxxxxxxxxx", &flags), -EPROTO);
	assert_int_equal(flags, 7);
}

static void request_is_the_bytes_of_the_specification(void **state)
{
	(void)state;
	static const uint8_t expected[WIRE_REQUEST_BYTES] = {
		0x25, 0x60, 0x95, 0x13, 0, 1, 0, 6, 1, 2, 3, 4, 5,  6,
		7,    8,    0,	  0,	0, 1, 0, 0, 2, 0, 0, 0, 16, 0,
	};
	const struct wire_request request = {
		.flags = NBD_CMD_FLAG_FUA,
		.type = NBD_CMD_WRITE_ZEROES,
		.cookie = 0x0102030405060708,
		.offset_bytes = 0x100000200,
		.length_bytes = 4096,
	};
	struct wire_request back;
	uint8_t buf[WIRE_REQUEST_BYTES];

	assert_int_equal(wire_put_request(buf, &request), sizeof(buf));
	assert_memory_equal(buf, expected, sizeof(buf));
	assert_int_equal(wire_get_request(buf, &back), 0);
	assert_int_equal(back.flags, request.flags);
	assert_int_equal(back.type, request.type);
	assert_int_equal(back.cookie, request.cookie);
	assert_int_equal(back.offset_bytes, request.offset_bytes);
	assert_int_equal(back.length_bytes, request.length_bytes);
	buf[3] ^= 1;
	assert_int_equal(wire_get_request(buf, &back), -EPROTO);
}

static void replies_survive_a_round_trip(void **state)
{
	(void)state;
	const struct wire_reply reply = {.error = NBD_ENOSPC, .cookie = UINT64_MAX - 1};
	const struct wire_chunk chunk = {
		.flags = NBD_REPLY_FLAG_DONE,
		.type = NBD_REPLY_TYPE_ERROR_OFFSET,
		.cookie = 42,
		.length_bytes = 65536,
	};
	const struct wire_option_reply option = {
		.option = NBD_OPT_GO,
		.type = NBD_REP_ERR_UNKNOWN,
		.length = 12,
	};
	struct wire_reply reply_back;
	struct wire_chunk chunk_back;
	struct wire_option_reply option_back;
	uint8_t buf[32];

	assert_int_equal(wire_put_simple_reply(buf, &reply), WIRE_SIMPLE_REPLY_BYTES);
	assert_int_equal(wire_get_simple_reply(buf, &reply_back), 0);
	assert_int_equal(reply_back.error, reply.error);
	assert_true(reply_back.cookie == reply.cookie);
	assert_int_equal(wire_put_chunk(buf, &chunk), WIRE_CHUNK_BYTES);
	assert_int_equal(wire_get_simple_reply(buf, &reply_back), -EPROTO);
	assert_int_equal(wire_get_chunk(buf, &chunk_back), 0);
	assert_int_equal(chunk_back.flags, chunk.flags);
	assert_int_equal(chunk_back.type, chunk.type);
	assert_int_equal(chunk_back.cookie, chunk.cookie);
	assert_int_equal(chunk_back.length_bytes, chunk.length_bytes);
	assert_int_equal(wire_put_option_reply(buf, &option), WIRE_OPTION_REPLY_BYTES);
	assert_int_equal(wire_get_option_reply(buf, &option_back), 0);
	assert_int_equal(option_back.option, option.option);
	assert_int_equal(option_back.type, option.type);
	assert_int_equal(option_back.length, option.length);
	buf[0] ^= 1;
	assert_int_equal(wire_get_option_reply(buf, &option_back), -EPROTO);
}

static void go_survives_a_round_trip(void **state)
{
	(void)state;
	const struct wire_go go = {
		.name = {.bytes = "swap/52:54:00:12:34:56", .length = 22},
		.info_count = 2,
		.infos = {NBD_INFO_BLOCK_SIZE, NBD_INFO_DESCRIPTION},
	};
	struct wire_go back;
	uint8_t buf[WIRE_GO_MAX_BYTES];
	size_t length = wire_put_go(buf, &go);

	assert_int_equal(length, 4 + 22 + 2 + 4);
	assert_int_equal(wire_get_go(buf, length, &back), 0);
	assert_int_equal(back.name.length, 22);
	assert_memory_equal(back.name.bytes, go.name.bytes, 22);
	assert_int_equal(back.info_count, 2);
	assert_int_equal(back.infos[1], NBD_INFO_DESCRIPTION);
}

static void hostile_go_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
		int error;
	} cases[] = {
		{"", 0, -EMSGSIZE},
		{"\0\0\0", 3, -EMSGSIZE},
		{"\0\0\0\0", 4, -EMSGSIZE},   /* no count of infos */
		{"\0\0\0\0\0", 5, -EMSGSIZE}, /* half of it */
		{"\0\0\0\0\0\0", 6, 0},	      /* the default export */
		{"\0\0\0\1a\0\0", 7, 0},
		{"\0\0\0\2a!\0", 7, -EMSGSIZE}, /* name runs into the count */
		{"\xff\xff\xff\xff"
		 "a\0\0",
		 7, -EMSGSIZE}, /* CVE-2022-26495 */
		{"\xff\xff\xff\xfc"
		 "a\0\0",
		 7, -EMSGSIZE},
		{"\0\0\0\3a\0b\0\0", 9, -EPROTO}, /* NUL in the name */
		{"\0\0\0\1a\0\1", 7, -EMSGSIZE},  /* one info promised, none sent */
		{"\0\0\0\1a\xff\xff", 7, -EMSGSIZE},
		{"\0\0\0\1a\0\0!", 8, -EMSGSIZE}, /* a byte too many */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t *data = exact_copy(cases[i].bytes, cases[i].length);
		struct wire_go go;

		assert_int_equal(wire_get_go(data, cases[i].length, &go), cases[i].error);
		free(data);
	}
}

static void long_names_and_many_infos_are_bounded(void **state)
{
	(void)state;
	size_t length = 4 + NBD_MAX_STRING + 1 + 2;
	uint8_t *data = malloc(length);
	struct wire_go go;

	assert_non_null(data);
	memset(data, 'n', length);
	memcpy(data, "\0\0\x10\1", 4);
	memcpy(data + length - 2, "\0\0", 2);
	assert_int_equal(wire_get_go(data, length, &go), -EMSGSIZE);
	memcpy(data, "\0\0\x10\0", 4);
	memcpy(data + length - 3, "\0\0", 2);
	assert_int_equal(wire_get_go(data, length - 1, &go), 0);
	assert_int_equal(go.name.length, NBD_MAX_STRING);
	free(data);

	uint8_t many[4 + 2 + 2 * 1000] = {[4] = 1000 >> 8, [5] = 1000 & 255};
	assert_int_equal(wire_get_go(many, sizeof(many), &go), 0);
	assert_int_equal(go.info_count, WIRE_GO_MAX_INFOS);
}

static void infos_are_checked(void **state)
{
	(void)state;
	const struct wire_export export = {.size_bytes = UINT64_C(1) << 40, .flags = 0x10d};
	struct wire_export export_back;
	struct wire_string text;
	uint16_t type;
	uint8_t buf[64];

	assert_int_equal(wire_put_info_export(buf, &export), WIRE_INFO_EXPORT_BYTES);
	assert_int_equal(wire_get_info_type(buf, 1, &type), -EMSGSIZE);
	assert_int_equal(wire_get_info_type(buf, 12, &type), 0);
	assert_int_equal(type, NBD_INFO_EXPORT);
	assert_int_equal(wire_get_info_export(buf, 11, &export_back), -EMSGSIZE);
	assert_int_equal(wire_get_info_export(buf, 13, &export_back), -EMSGSIZE);
	assert_int_equal(wire_get_info_export(buf, 12, &export_back), 0);
	assert_true(export_back.size_bytes == export.size_bytes);
	assert_int_equal(export_back.flags, export.flags);

	size_t length =
		wire_put_info_string(buf, NBD_INFO_DESCRIPTION, (struct wire_string){"root", 4});
	assert_int_equal(length, 6);
	assert_int_equal(wire_get_info_string(buf, length, &text), 0);
	assert_int_equal(text.length, 4);
	assert_int_equal(wire_get_info_string(buf, 1, &text), -EMSGSIZE);
	buf[3] = 0;
	assert_int_equal(wire_get_info_string(buf, length, &text), -EPROTO);
}

static void nonsense_block_sizes_are_refused(void **state)
{
	(void)state;
	static const struct {
		struct wire_block_size size;
		int error;
	} cases[] = {
		{{1, 4096, 32 << 20}, 0},	  {{65536, 65536, UINT32_MAX}, 0},
		{{0, 4096, 32 << 20}, -EPROTO},	  {{512, 0, 32 << 20}, -EPROTO},
		{{513, 4096, 32 << 20}, -EPROTO}, {{131072, 131072, 32 << 20}, -EPROTO},
		{{4096, 512, 32 << 20}, -EPROTO}, {{4096, 4096, 512}, -EPROTO},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct wire_block_size back;
		uint8_t buf[WIRE_INFO_BLOCK_SIZE_BYTES];

		wire_put_info_block_size(buf, &cases[i].size);
		assert_int_equal(wire_get_info_block_size(buf, sizeof(buf), &back), cases[i].error);
		assert_int_equal(wire_get_info_block_size(buf, sizeof(buf) - 1, &back), -EMSGSIZE);
	}
}

struct writer {
	int fd;
	const char *bytes;
	size_t length;
};

static void *write_byte_by_byte(void *arg)
{
	const struct writer *writer = arg;

	for (size_t i = 0; i < writer->length; i++)
		if (write(writer->fd, writer->bytes + i, 1) != 1)
			break;
	close(writer->fd);
	return NULL;
}

static void short_reads_are_put_together(void **state)
{
	(void)state;
	int pair[2];
	char got[8] = "";
	pthread_t thread;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct writer writer = {.fd = pair[1], .bytes = "NBDMAGICtail", .length = 12};
	assert_int_equal(pthread_create(&thread, NULL, write_byte_by_byte, &writer), 0);
	assert_int_equal(wire_read_full(pair[0], got, 8), 0);
	assert_memory_equal(got, "NBDMAGIC", 8);
	assert_int_equal(wire_read_full(pair[0], got, 8), -ECONNRESET);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(wire_write_full(pair[0], got, 8), -EPIPE);
	close(pair[0]);
}

static void a_silent_peer_is_a_timeout(void **state)
{
	(void)state;
	const struct timeval limit = {.tv_usec = 20000};
	int pair[2];
	char got[4];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(wire_read_full(pair[0], got, 4), -ETIMEDOUT);
	close(pair[0]);
	close(pair[1]);
}

static void metadata_queries_are_checked(void **state)
{
	static const struct {
		const char *data;
		size_t length;
		int error;
	} rows[] = {
		{"\0\0\0\1x\0\0\0\0", 9, 0},
		{"\0\0\0\1x\0\0\0\2\0\0\0\1a\0\0\0\2bc", 20, 0},
		{"", 0, -EMSGSIZE},
		{"\0\0\0\1x\0\0\0", 8, -EMSGSIZE},
		{"\0\0\0\1x\0\0\0\0y", 10, -EMSGSIZE},
		{"\0\0\0\1x\0\0\0\1", 9, -EMSGSIZE},
		{"\0\0\0\1x\0\0\0\1\0\0\0\2a", 14, -EMSGSIZE},
		{"\0\0\0\1x\377\377\377\377\0\0\0\1a", 14, -EMSGSIZE},
		{"\0\0\0\1x\0\0\0\1\377\377\377\377a", 14, -EMSGSIZE},
		{"\0\0\0\1x\0\0\0\1\0\0\0\1\0", 14, -EPROTO},
		{"\377\377\377\377x\0\0\0\0", 9, -EMSGSIZE},
	};
	struct wire_meta meta;
	struct wire_string query;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* As long as it is, so that a read behind its end is seen. */
		uint8_t *data = malloc(rows[i].length ?: 1);

		memcpy(data, rows[i].data, rows[i].length);
		assert_int_equal(wire_get_meta(data, rows[i].length, &meta), rows[i].error);
		if (i == 1) {
			assert_int_equal(meta.query_count, 2);
			query = wire_next_query(&meta.queries);
			assert_int_equal(query.length, 1);
			assert_memory_equal(query.bytes, "a", 1);
			query = wire_next_query(&meta.queries);
			assert_memory_equal(query.bytes, "bc", 2);
		}
		free(data);
	}
}

static void errors_map_both_ways(void **state)
{
	(void)state;
#define CHECK_BOTH(name, value, system_error)                          \
	assert_int_equal(nbd_error_from_errno(system_error), (value)); \
	assert_int_equal(nbd_error_to_errno(value), (system_error));   \
	assert_string_equal(nbd_error_name(value), #name);

	NBD_ERRORS(CHECK_BOTH)
	assert_int_equal(nbd_error_from_errno(0), 0);
	assert_int_equal(nbd_error_from_errno(EROFS), NBD_EPERM);
	assert_int_equal(nbd_error_from_errno(EDQUOT), NBD_ENOSPC);
	assert_int_equal(nbd_error_from_errno(EBADF), NBD_EIO);
	assert_int_equal(nbd_error_to_errno(0), 0);
	assert_int_equal(nbd_error_to_errno(77), EINVAL);
	assert_string_equal(nbd_error_name(77), "unknown");
	assert_string_equal(nbd_option_name(NBD_OPT_GO), "NBD_OPT_GO");
	assert_string_equal(nbd_reply_name(NBD_REP_ERR_POLICY), "NBD_REP_ERR_POLICY");
	assert_string_equal(nbd_command_name(NBD_CMD_TRIM), "NBD_CMD_TRIM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greeting_is_the_bytes_of_the_specification),
		cmocka_unit_test(greeting_of_others_is_told_apart),
		cmocka_unit_test(request_is_the_bytes_of_the_specification),
		cmocka_unit_test(replies_survive_a_round_trip),
		cmocka_unit_test(go_survives_a_round_trip),
		cmocka_unit_test(hostile_go_is_refused),
		cmocka_unit_test(long_names_and_many_infos_are_bounded),
		cmocka_unit_test(infos_are_checked),
		cmocka_unit_test(nonsense_block_sizes_are_refused),
		cmocka_unit_test(short_reads_are_put_together),
		cmocka_unit_test(a_silent_peer_is_a_timeout),
		cmocka_unit_test(metadata_queries_are_checked),
		cmocka_unit_test(errors_map_both_ways),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
