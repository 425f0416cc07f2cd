// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Holes: in the answers to READ and to BLOCK_STATUS, over a socket, on files that have
 * them. lseek() is wrapped so that a file system can be without.
 */
#include "server/testbed.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/nbd-proto.h"

enum { MIB = 1 << 20, HOLE = NBD_STATE_HOLE | NBD_STATE_ZERO };

static atomic_int no_seek;
static atomic_uint seeks;

off_t __real_lseek(int fd, off_t offset, int whence);
off_t __wrap_lseek(int fd, off_t offset, int whence);

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
	bool for_data = whence == SEEK_DATA || whence == SEEK_HOLE;

	if (for_data)
		atomic_fetch_add(&seeks, 1);
	if (for_data && atomic_load(&no_seek)) {
		errno = atomic_load(&no_seek);
		return -1;
	}
	return __real_lseek(fd, offset, whence);
}

static void put_data(const struct testbed *bed, off_t offset, size_t length)
{
	uint8_t *data = malloc(length);

	assert_non_null(data);
	fill_pattern(data, length, (uint32_t)offset + 1);
	assert_int_equal(pwrite(bed->file_fd, data, length, offset), length);
	free(data);
}

static void expect_data(const uint8_t *found, off_t offset, size_t length)
{
	uint8_t *data = malloc(length);

	assert_non_null(data);
	fill_pattern(data, length, (uint32_t)offset + 1);
	assert_memory_equal(found, data, length);
	free(data);
}

static struct wire_chunk receive_chunk(int fd, uint64_t cookie)
{
	uint8_t buf[WIRE_CHUNK_BYTES];
	struct wire_chunk chunk;

	client_receive(fd, buf, sizeof(buf));
	assert_int_equal(wire_get_chunk(buf, &chunk), 0);
	assert_int_equal(chunk.cookie, cookie);
	return chunk;
}

/* A READ answered in chunks: its data, and in how many holes it came. */
static unsigned int read_chunks(int fd, uint8_t *data, uint64_t offset, uint32_t length)
{
	unsigned int holes = 0;
	uint32_t filled_bytes = 0;
	struct wire_chunk chunk;

	client_request(fd, NBD_CMD_READ, 0, offset, length);
	do {
		uint64_t at;
		uint32_t bytes;

		chunk = receive_chunk(fd, NBD_CMD_READ);
		client_receive(fd, &at, sizeof(at));
		at = be64toh(at) - offset;
		assert_int_equal(at, filled_bytes);
		bytes = chunk.length_bytes - WIRE_CHUNK_DATA_BYTES;
		if (chunk.type == NBD_REPLY_TYPE_OFFSET_HOLE) {
			assert_int_equal(chunk.length_bytes, WIRE_CHUNK_HOLE_BYTES);
			client_receive(fd, &bytes, sizeof(bytes));
			bytes = be32toh(bytes);
			memset(data + at, 0, bytes);
			holes++;
		} else {
			assert_int_equal(chunk.type, NBD_REPLY_TYPE_OFFSET_DATA);
			client_receive(fd, data + at, bytes);
		}
		assert_true(bytes > 0 && bytes <= length - filled_bytes);
		filled_bytes += bytes;
	} while (!(chunk.flags & NBD_REPLY_FLAG_DONE));
	assert_int_equal(filled_bytes, length);
	return holes;
}

/* BLOCK_STATUS: how many extents, or the error with the high bit. */
static uint32_t ask_status(int fd, uint32_t id, uint16_t flags, uint64_t offset, uint32_t length,
			   struct extent extents[EXTENTS_MAX])
{
	struct wire_chunk chunk;
	uint32_t count, found;

	client_request(fd, NBD_CMD_BLOCK_STATUS, flags, offset, length);
	chunk = receive_chunk(fd, NBD_CMD_BLOCK_STATUS);
	assert_int_equal(chunk.flags, NBD_REPLY_FLAG_DONE);
	client_receive(fd, &found, sizeof(found));
	if (chunk.type == NBD_REPLY_TYPE_ERROR) {
		client_receive(fd, &count, sizeof(uint16_t));
		return UINT32_C(1) << 31 | be32toh(found);
	}
	assert_int_equal(chunk.type, NBD_REPLY_TYPE_BLOCK_STATUS);
	assert_int_equal(be32toh(found), id);
	count = (chunk.length_bytes - WIRE_CONTEXT_ID_BYTES) / WIRE_EXTENT_BYTES;
	assert_true(count >= 1 && count <= EXTENTS_MAX);
	client_receive(fd, extents, count * WIRE_EXTENT_BYTES);
	for (uint32_t i = 0; i < count; i++)
		extents[i] = (struct extent){be32toh(extents[i].length_bytes),
					     be32toh(extents[i].state)};
	return count;
}

static void expect_extent(struct extent extent, uint32_t length_bytes, uint32_t state)
{
	assert_int_equal(extent.length_bytes, length_bytes);
	assert_int_equal(extent.state, state);
}

static void a_read_does_not_send_holes(void **state)
{
	struct testbed bed = {0};
	uint8_t *found = malloc(16 * MIB), *zeroes = calloc(1, 16 * MIB);
	int fd;

	(void)state;
	testbed_start(&bed, 16 * MIB, 1);
	fd = bed.clients[0];
	client_go(fd, true);
	put_data(&bed, 2 * MIB, MIB + 4096);
	put_data(&bed, 12 * MIB, 4096);

	/* Longer than any buffer, at odd ends, and with data on both sides. */
	assert_int_equal(read_chunks(fd, found, 0, 2 * MIB), 1);
	assert_memory_equal(found, zeroes, 2 * MIB);
	assert_int_equal(read_chunks(fd, found, 3, 16 * MIB - 5), 3);
	assert_memory_equal(found, zeroes, 2 * MIB - 3);
	expect_data(found + 2 * MIB - 3, 2 * MIB, MIB + 4096);
	assert_memory_equal(found + 3 * MIB + 4096 - 3, zeroes, 9 * MIB - 4096);
	expect_data(found + 12 * MIB - 3, 12 * MIB, 4096);
	assert_memory_equal(found + 12 * MIB + 4096 - 3, zeroes, 4 * MIB - 4096 - 2);

	/* A short one is data; so is all of it for a client that wants one piece. */
	assert_int_equal(read_chunks(fd, found, 0, HOLE_MIN_BYTES - 1), 0);
	client_request(fd, NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, MIB);
	assert_int_equal(receive_chunk(fd, NBD_CMD_READ).length_bytes, MIB + 8);
	client_receive(fd, found, MIB + 8);
	assert_memory_equal(found, zeroes, MIB + 8);

	/* What was data a moment ago. */
	assert_int_equal(client_ask(fd, NBD_CMD_TRIM, 0, 2 * MIB, 2 * MIB), 0);
	assert_int_equal(read_chunks(fd, found, 0, 4 * MIB), 1);
	assert_memory_equal(found, zeroes, 4 * MIB);
	assert_int_equal(client_write(fd, 0, zeroes, MIB, 4096), 0);
	testbed_stop(&bed);
	free(found);
	free(zeroes);
}

static void data_is_not_looked_for_twice(void **state)
{
	struct testbed bed = {0};
	uint8_t *found = malloc(MIB);
	unsigned int before;
	int fd;

	(void)state;
	testbed_start(&bed, 16 * MIB, 1);
	fd = bed.clients[0];
	client_go(fd, true);
	put_data(&bed, 0, 16 * MIB);
	assert_int_equal(read_chunks(fd, found, 0, MIB), 0);
	before = atomic_load(&seeks);
	for (uint64_t offset = MIB; offset < 16 * MIB; offset += MIB)
		assert_int_equal(read_chunks(fd, found, offset, MIB), 0);
	assert_int_equal(atomic_load(&seeks), before);
	testbed_stop(&bed);
	free(found);
}

static void block_status_tells_of_data_and_holes(void **state)
{
	struct testbed bed = {0};
	struct extent extents[EXTENTS_MAX];
	uint32_t id;
	int fd;

	(void)state;
	testbed_start(&bed, UINT64_C(3) << 30, 1);
	fd = bed.clients[0];
	id = client_go_with_allocation(fd);
	assert_int_equal(ask_status(fd, id, 0, 0, 3U << 30, extents), 1);
	expect_extent(extents[0], 3U << 30, HOLE);
	put_data(&bed, 2 * MIB, MIB);
	put_data(&bed, 5 * MIB, 4096);
	assert_int_equal(ask_status(fd, id, 0, 0, 3U << 30, extents), 5);
	expect_extent(extents[0], 2 * MIB, HOLE);
	expect_extent(extents[1], MIB, 0);
	expect_extent(extents[2], 2 * MIB, HOLE);
	expect_extent(extents[3], 4096, 0);
	expect_extent(extents[4], (3U << 30) - 5 * MIB - 4096, HOLE);
	assert_int_equal(ask_status(fd, id, 0, 2 * MIB + 7, MIB, extents), 2);
	expect_extent(extents[0], MIB - 7, 0);
	expect_extent(extents[1], 7, HOLE);
	assert_int_equal(ask_status(fd, id, NBD_CMD_FLAG_REQ_ONE, 2 * MIB, 2 * MIB, extents), 1);
	expect_extent(extents[0], MIB, 0);
	assert_int_equal(ask_status(fd, id, 0, (UINT64_C(3) << 30) - 1, 1, extents), 1);
	expect_extent(extents[0], 1, HOLE);
	testbed_stop(&bed);
}

static void block_status_refuses_what_makes_no_sense(void **state)
{
	const uint32_t invalid = UINT32_C(1) << 31 | NBD_EINVAL;
	struct testbed bed = {0};
	struct extent extents[EXTENTS_MAX];
	uint32_t id;
	int fd;

	(void)state;
	testbed_start(&bed, MIB + 1, 1);
	fd = bed.clients[0];
	id = client_go_with_allocation(fd);
	assert_int_equal(ask_status(fd, id, 0, 0, 0, extents), invalid);
	assert_int_equal(ask_status(fd, id, 0, 0, MIB + 2, extents), invalid);
	assert_int_equal(ask_status(fd, id, 0, MIB + 1, 1, extents), invalid);
	assert_int_equal(ask_status(fd, id, 0, UINT64_MAX, 1, extents), invalid);
	assert_int_equal(ask_status(fd, id, 0, 1, UINT32_MAX, extents), invalid);
	assert_int_equal(ask_status(fd, id, NBD_CMD_FLAG_DF, 0, 1, extents), invalid);
	assert_int_equal(ask_status(fd, id, 0, 0, MIB + 1, extents), 1);
	expect_extent(extents[0], MIB + 1, HOLE);

	/* The file has become shorter. */
	assert_int_equal(ftruncate(bed.file_fd, 4096), 0);
	assert_int_equal(ask_status(fd, id, 0, 8192, 1, extents), UINT32_C(1) << 31 | NBD_EIO);
	testbed_stop(&bed);
}

/* More extents than an answer takes: the client asks again where it ended. */
static void block_status_ends_at_its_limit(void **state)
{
	enum { STEP = 128 << 10, COUNT = 100 };
	struct testbed bed = {0};
	struct extent extents[EXTENTS_MAX];
	uint64_t offset = 0, data_bytes = 0, size_bytes = STEP * COUNT;
	unsigned int asked = 0;
	uint32_t id;
	int fd;

	(void)state;
	testbed_start(&bed, size_bytes, 1);
	fd = bed.clients[0];
	for (unsigned int i = 0; i < COUNT; i++)
		put_data(&bed, i * STEP, STEP / 2);
	id = client_go_with_allocation(fd);
	while (offset < size_bytes) {
		uint32_t count =
			ask_status(fd, id, 0, offset, (uint32_t)(size_bytes - offset), extents);

		for (uint32_t i = 0; i < count; i++) {
			offset += extents[i].length_bytes;
			data_bytes += extents[i].state ? 0 : extents[i].length_bytes;
		}
		asked++;
	}
	assert_int_equal(offset, size_bytes);
	assert_int_equal(data_bytes, size_bytes / 2);
	assert_int_equal(asked, 2);
	testbed_stop(&bed);
}

static void without_seek_all_is_data(void **state)
{
	struct testbed bed = {0};
	struct extent extents[EXTENTS_MAX];
	uint8_t *found = malloc(4 * MIB);
	uint32_t id;
	int fd;

	(void)state;
	testbed_start(&bed, 4 * MIB, 1);
	fd = bed.clients[0];
	id = client_go_with_allocation(fd);
	atomic_store(&no_seek, EINVAL);
	assert_int_equal(ask_status(fd, id, 0, 0, 4 * MIB, extents), 1);
	expect_extent(extents[0], 4 * MIB, 0);
	assert_int_equal(read_chunks(fd, found, 0, 4 * MIB), 0);
	atomic_store(&no_seek, EIO);
	assert_int_equal(ask_status(fd, id, 0, 0, 4 * MIB, extents), UINT32_C(1) << 31 | NBD_EIO);
	atomic_store(&no_seek, 0);
	testbed_stop(&bed);
	free(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_does_not_send_holes),
		cmocka_unit_test(data_is_not_looked_for_twice),
		cmocka_unit_test(block_status_tells_of_data_and_holes),
		cmocka_unit_test(block_status_refuses_what_makes_no_sense),
		cmocka_unit_test(block_status_ends_at_its_limit),
		cmocka_unit_test(without_seek_all_is_data),
	};

	return testbed_run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
