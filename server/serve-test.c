// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every command and every error of the transmission phase, over a socket, on a
 * file. The storage calls are wrapped so that they can fail or wait.
 */
#include "server/testbed.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/nbd-proto.h"

enum { MIB = 1 << 20 };

static atomic_int fail_sync, fail_write, fail_punch, sync_calls;
static atomic_bool hold_sync;
static sem_t sync_entered, sync_released;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
int __real_fallocate(int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);

static int fail_once(atomic_int *error)
{
	errno = atomic_exchange(error, 0);
	return errno;
}

int __wrap_fdatasync(int fd)
{
	atomic_fetch_add(&sync_calls, 1);
	if (atomic_load(&hold_sync)) {
		sem_post(&sync_entered);
		sem_wait(&sync_released);
	}
	return fail_once(&fail_sync) ? -1 : __real_fdatasync(fd);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return fail_once(&fail_write) ? -1 : __real_pwritev(fd, iov, count, offset);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (atomic_load(&fail_punch)) {
		errno = atomic_load(&fail_punch);
		return -1;
	}
	return __real_fallocate(fd, mode, offset, length);
}

static uint8_t *pattern_of(size_t length, uint32_t seed)
{
	uint8_t *data = malloc(length);

	assert_non_null(data);
	fill_pattern(data, length, seed);
	return data;
}

static void expect_file(const struct testbed *bed, const uint8_t *data, off_t offset, size_t length)
{
	uint8_t *found = malloc(length);

	assert_int_equal(pread(bed->file_fd, found, length, offset), length);
	assert_memory_equal(found, data, length);
	free(found);
}

static void expect_chunk(int fd, uint16_t flags, uint16_t type, uint32_t length)
{
	uint8_t buf[WIRE_CHUNK_BYTES];
	struct wire_chunk chunk;

	client_receive(fd, buf, sizeof(buf));
	assert_int_equal(wire_get_chunk(buf, &chunk), 0);
	assert_int_equal(chunk.flags, flags);
	assert_int_equal(chunk.type, type);
	assert_int_equal(chunk.cookie, NBD_CMD_READ);
	assert_int_equal(chunk.length_bytes, length);
}

static void expect_data_chunk(int fd, uint16_t flags, uint64_t offset, void *data, uint32_t length)
{
	uint8_t wanted[WIRE_CHUNK_DATA_BYTES], found[WIRE_CHUNK_DATA_BYTES];

	expect_chunk(fd, flags, NBD_REPLY_TYPE_OFFSET_DATA, WIRE_CHUNK_DATA_BYTES + length);
	client_receive(fd, found, sizeof(found));
	wire_put_chunk_data(wanted, offset);
	assert_memory_equal(found, wanted, sizeof(wanted));
	client_receive(fd, data, length);
}

static void expect_error_chunk(int fd, uint32_t error)
{
	uint8_t wanted[WIRE_CHUNK_ERROR_BYTES], found[WIRE_CHUNK_ERROR_BYTES];

	expect_chunk(fd, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR, WIRE_CHUNK_ERROR_BYTES);
	client_receive(fd, found, sizeof(found));
	wire_put_chunk_error(wanted, error, 0);
	assert_memory_equal(found, wanted, sizeof(wanted));
}

static void what_is_written_is_read(void **state)
{
	static const uint32_t lengths[] = {1,	    511,      4096,    4099,	65536,
					   262143,  262144,   262145,  1048576, 1048577,
					   3145729, 16777216, 67108864};
	struct testbed bed = {0};
	uint8_t *data = pattern_of(65 * MIB, 1), *found = malloc(64 * MIB);
	int fd;

	(void)state;
	testbed_start(&bed, 65 * MIB, 1);
	fd = bed.clients[0];
	assert_int_equal(client_go(fd, false),
			 NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
				 NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |
				 NBD_FLAG_SEND_FAST_ZERO | NBD_FLAG_SEND_CACHE |
				 NBD_FLAG_CAN_MULTI_CONN);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t length = lengths[i];
		uint64_t offset = (i * 4099) % (MIB + 1);

		assert_int_equal(client_write(fd, 0, data + i, offset, length), 0);
		assert_int_equal(client_read(fd, found, offset, length), 0);
		assert_memory_equal(found, data + i, length);
		expect_file(&bed, data + i, (off_t)offset, length);
	}
	client_request(fd, NBD_CMD_DISC, 0, 0, 0);
	assert_true(client_sees_end(fd));
	testbed_stop(&bed);
	free(data);
	free(found);
}

static void errors_are_those_of_the_specification(void **state)
{
	enum { SIZE = 1000003 };
	static const struct {
		uint16_t type, flags;
		uint64_t offset;
		uint32_t length, error;
	} rows[] = {
		{NBD_CMD_READ, 0, SIZE, 1, NBD_EINVAL},
		{NBD_CMD_READ, 0, SIZE - 1, 2, NBD_EINVAL},
		{NBD_CMD_READ, 0, UINT64_MAX, 2, NBD_EINVAL},
		{NBD_CMD_READ, 0, 0, UINT32_MAX, NBD_EINVAL},
		{NBD_CMD_READ, 0, UINT64_MAX - UINT32_MAX + 1, UINT32_MAX, NBD_EINVAL},
		{NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, 1, NBD_EINVAL}, /* not negotiated */
		{NBD_CMD_READ, NBD_CMD_FLAG_NO_HOLE, 0, 1, NBD_EINVAL},
		{NBD_CMD_READ, 0x8000, 0, 1, NBD_EINVAL},
		{NBD_CMD_TRIM, 0, SIZE - 1, 2, NBD_EINVAL},
		{NBD_CMD_TRIM, NBD_CMD_FLAG_NO_HOLE, 0, 1, NBD_EINVAL},
		{NBD_CMD_WRITE_ZEROES, 0, SIZE - 1, 2, NBD_ENOSPC},
		{NBD_CMD_WRITE_ZEROES, 0, UINT64_MAX, UINT32_MAX, NBD_ENOSPC},
		{NBD_CMD_TRIM, NBD_CMD_FLAG_FAST_ZERO, 0, 1, NBD_EINVAL},
		{NBD_CMD_READ, NBD_CMD_FLAG_FAST_ZERO, 0, 1, NBD_EINVAL},
		{NBD_CMD_FLUSH, 0, 1, 0, NBD_EINVAL},
		{NBD_CMD_FLUSH, 0, 0, 1, NBD_EINVAL},
		{NBD_CMD_FLUSH, NBD_CMD_FLAG_DF, 0, 0, NBD_EINVAL},
		{NBD_CMD_CACHE, 0, SIZE - 1, 2, NBD_EINVAL},
		{NBD_CMD_CACHE, NBD_CMD_FLAG_REQ_ONE, 0, 1, NBD_EINVAL},
		{NBD_CMD_BLOCK_STATUS, 0, 0, 1, NBD_EINVAL},
		{NBD_CMD_RESIZE, 0, 0, 1, NBD_EINVAL},
		{99, 0, 0, 0, NBD_EINVAL},
		{UINT16_MAX, UINT16_MAX, UINT64_MAX, UINT32_MAX, NBD_EINVAL},
		/* And what is right beside it. */
		{NBD_CMD_READ, 0, SIZE, 0, 0},
		{NBD_CMD_TRIM, NBD_CMD_FLAG_FUA, SIZE - 1, 1, 0},
		{NBD_CMD_TRIM, 0, SIZE, 0, 0},
		{NBD_CMD_CACHE, NBD_CMD_FLAG_FUA, 5, SIZE - 5, 0},
		{NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FUA, 5, 900000, 0},
		{NBD_CMD_FLUSH, NBD_CMD_FLAG_FUA, 0, 0, 0},
	};
	struct testbed bed = {0};
	uint8_t data[4096];
	int fd;

	(void)state;
	testbed_start(&bed, SIZE, 1);
	fd = bed.clients[0];
	client_go(fd, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			client_ask(fd, rows[i].type, rows[i].flags, rows[i].offset, rows[i].length),
			rows[i].error);
	/* The payload of a refused WRITE is taken, so that the next header is found. */
	assert_int_equal(client_write(fd, 0, data, SIZE - 4095, 4096), NBD_ENOSPC);
	assert_int_equal(client_write(fd, NBD_CMD_FLAG_DF, data, 0, 4096), NBD_EINVAL);
	assert_int_equal(client_write(fd, 0, data, UINT64_MAX, 4096), NBD_ENOSPC);
	assert_int_equal(client_write(fd, 0, data, 0, 0), 0);
	assert_int_equal(client_read(fd, data, SIZE - 4096, 4096), 0);
	testbed_stop(&bed);
}

static void readonly_exports_refuse_changes(void **state)
{
	struct testbed bed = {.readonly = true};
	uint8_t data[512] = {0};
	int fd;

	(void)state;
	testbed_start(&bed, MIB, 1);
	fd = bed.clients[0];
	assert_int_equal(client_go(fd, false), NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY |
						       NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_CACHE |
						       NBD_FLAG_CAN_MULTI_CONN);
	assert_int_equal(client_write(fd, 0, data, 0, 512), NBD_EPERM);
	assert_int_equal(client_write(fd, 0, data, MIB, 512), NBD_EPERM);
	assert_int_equal(client_ask(fd, NBD_CMD_TRIM, 0, 0, 512), NBD_EPERM);
	assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, 0, 0, 512), NBD_EPERM);
	assert_int_equal(client_ask(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
	assert_int_equal(client_read(fd, data, 0, 512), 0);
	testbed_stop(&bed);
}

/* Copied, a chunk is as large as the buffers; from a pipe it ends at the end of a page. */
static void expect_chunks(bool can_splice)
{
	struct testbed bed = {0};
	uint8_t *data = pattern_of(3 * MIB, 2), *found = malloc(3 * MIB);
	uint32_t first = can_splice ? MIB - 5 : MIB;
	int fd;

	testbed_start(&bed, 4 * MIB, 1);
	assert_true(bed.export->can_splice);
	bed.export->can_splice = can_splice;
	fd = bed.clients[0];
	assert_true(client_go(fd, true) & NBD_FLAG_SEND_DF);
	assert_int_equal(pwrite(bed.file_fd, data, 3 * MIB, 5), 3 * MIB);

	client_request(fd, NBD_CMD_READ, 0, 5, 1000);
	expect_data_chunk(fd, NBD_REPLY_FLAG_DONE, 5, found, 1000);
	assert_memory_equal(found, data, 1000);

	client_request(fd, NBD_CMD_READ, 0, 5, 2 * MIB + 1);
	expect_data_chunk(fd, 0, 5, found, first);
	expect_data_chunk(fd, 0, 5 + first, found + first, MIB);
	expect_data_chunk(fd, NBD_REPLY_FLAG_DONE, 5 + first + MIB, found + first + MIB,
			  MIB + 1 - first);
	assert_memory_equal(found, data, 2 * MIB + 1);

	client_request(fd, NBD_CMD_READ, NBD_CMD_FLAG_DF, 5, 3 * MIB);
	expect_data_chunk(fd, NBD_REPLY_FLAG_DONE, 5, found, 3 * MIB);
	assert_memory_equal(found, data, 3 * MIB);

	client_request(fd, NBD_CMD_READ, 0, 0, 0);
	expect_chunk(fd, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, 0);
	client_request(fd, NBD_CMD_READ, 0, 4 * MIB, 1);
	expect_error_chunk(fd, NBD_EINVAL);
	assert_int_equal(client_ask(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
	assert_int_equal(client_write(fd, 0, data, 4 * MIB, 1), NBD_ENOSPC);
	testbed_stop(&bed);
	free(data);
	free(found);
}

static void structured_reads_come_in_chunks(void **state)
{
	(void)state;
	expect_chunks(false);
	expect_chunks(true);
}

static void a_file_that_shrinks_is_an_error(void **state)
{
	struct testbed bed = {0};
	uint8_t *found = malloc(MIB);
	int simple, structured;

	(void)state;
	testbed_start(&bed, 4 * MIB, 2);
	fill_pattern(found, MIB, 6);
	assert_int_equal(pwrite(bed.file_fd, found, MIB, 0), MIB);
	assert_int_equal(pwrite(bed.file_fd, found, MIB, MIB), MIB);
	simple = bed.clients[0];
	structured = bed.clients[1];
	client_go(simple, false);
	client_go(structured, true);
	assert_int_equal(ftruncate(bed.file_fd, MIB + MIB / 2), 0);

	/* Nothing was announced yet: an error, and life goes on. */
	assert_int_equal(client_read(simple, found, 2 * MIB, 512), NBD_EIO);
	client_request(structured, NBD_CMD_READ, 0, 2 * MIB, 512);
	expect_error_chunk(structured, NBD_EIO);

	/* In the middle: chunks can say so. */
	client_request(structured, NBD_CMD_READ, 0, 0, 2 * MIB);
	expect_data_chunk(structured, 0, 0, found, MIB);
	expect_error_chunk(structured, NBD_EIO);
	assert_int_equal(client_ask(structured, NBD_CMD_FLUSH, 0, 0, 0), 0);

	/* A simple reply, or one that must not be fragmented, cannot. */
	client_request(structured, NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, 2 * MIB);
	expect_chunk(structured, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_OFFSET_DATA, 8 + 2 * MIB);
	assert_true(client_sees_end(structured));
	assert_int_equal(client_read(simple, found, 0, MIB), 0);
	client_request(simple, NBD_CMD_READ, 0, 0, 2 * MIB);
	client_expect(simple, NBD_CMD_READ, 0);
	client_receive(simple, found, MIB);
	assert_true(client_sees_end(simple));
	testbed_stop(&bed);
	free(found);
}

static void zeroes_reach_the_whole_length(void **state)
{
	enum { LENGTH = 130 * MIB };
	struct testbed bed = {0};
	uint8_t *data = pattern_of(LENGTH, 3), *found = malloc(LENGTH);
	int fd;

	(void)state;
	testbed_start(&bed, LENGTH, 1);
	fd = bed.clients[0];
	client_go(fd, false);
	for (int round = 0; round < 4; round++) {
		uint16_t flags = round & 1 ? NBD_CMD_FLAG_NO_HOLE : 0;
		struct stat st;

		assert_int_equal(pwrite(bed.file_fd, data, LENGTH, 0), LENGTH);
		atomic_store(&fail_punch, round >= 2 ? EOPNOTSUPP : 0);
		assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, flags, 3, LENGTH - 6), 0);
		atomic_store(&fail_punch, 0);
		memset(found, 1, LENGTH);
		assert_int_equal(pread(bed.file_fd, found, LENGTH, 0), LENGTH);
		assert_memory_equal(found, data, 3);
		assert_memory_equal(found + LENGTH - 3, data + LENGTH - 3, 3);
		for (int i = 3; i < LENGTH - 3; i++)
			if (found[i])
				fail_msg("round %d: byte %d is %d", round, i, found[i]);
		assert_int_equal(fstat(bed.file_fd, &st), 0);
		assert_int_equal(st.st_size, LENGTH);
		assert_int_equal(st.st_blocks * 512 < MIB, round == 0);
	}
	testbed_stop(&bed);
	free(data);
	free(found);
}

/* Refused when zeroes would have to be written, and then nothing has changed. */
static void fast_zero_is_fast_or_refused(void **state)
{
	struct testbed bed = {0};
	uint8_t *data = pattern_of(MIB, 5), *found = malloc(MIB);
	int fd;

	(void)state;
	testbed_start(&bed, MIB, 1);
	fd = bed.clients[0];
	assert_true(client_go(fd, false) & NBD_FLAG_SEND_FAST_ZERO);
	assert_int_equal(pwrite(bed.file_fd, data, MIB, 0), MIB);
	atomic_store(&fail_punch, EOPNOTSUPP);
	assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FAST_ZERO, 0, MIB),
			 NBD_ENOTSUP);
	atomic_store(&fail_punch, 0);
	assert_int_equal(pread(bed.file_fd, found, MIB, 0), MIB);
	assert_memory_equal(found, data, MIB);
	testbed_stop(&bed);

	bed = (struct testbed){0};
	testbed_start(&bed, MIB, 1);
	fd = bed.clients[0];
	client_go(fd, false);
	assert_int_equal(pwrite(bed.file_fd, data, MIB, 0), MIB);
	assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FAST_ZERO, 0, MIB), 0);
	assert_int_equal(pread(bed.file_fd, found, MIB, 0), MIB);
	memset(data, 0, MIB);
	assert_memory_equal(found, data, MIB);
	testbed_stop(&bed);
	free(data);
	free(found);
}

static void four_gigabytes_are_trimmed(void **state)
{
	struct testbed bed = {0};
	uint8_t *data = pattern_of(MIB, 4);
	struct stat st;
	int fd;

	(void)state;
	testbed_start(&bed, UINT64_C(5) << 30, 1);
	fd = bed.clients[0];
	client_go(fd, false);
	for (uint64_t offset = 0; offset < UINT64_C(5) << 30; offset += UINT64_C(1) << 30)
		assert_int_equal(client_write(fd, 0, data, offset, MIB), 0);
	assert_int_equal(client_ask(fd, NBD_CMD_TRIM, 0, 0, UINT32_MAX), 0);
	assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, 0, UINT64_C(4) << 30, 1 << 30), 0);
	assert_int_equal(fstat(bed.file_fd, &st), 0);
	assert_true(st.st_blocks * 512 < MIB);
	testbed_stop(&bed);
	free(data);
}

static void storage_errors_reach_the_client(void **state)
{
	struct testbed bed = {0};
	uint8_t *data = pattern_of(5 * MIB, 5);
	int fd;

	(void)state;
	testbed_start(&bed, 8 * MIB, 1);
	fd = bed.clients[0];
	client_go(fd, false);
	atomic_store(&fail_write, ENOSPC);
	assert_int_equal(client_write(fd, 0, data, 0, 4096), NBD_ENOSPC);
	atomic_store(&fail_write, EDQUOT);
	assert_int_equal(client_write(fd, 0, data, 0, 5 * MIB), NBD_ENOSPC);
	atomic_store(&fail_write, EIO);
	assert_int_equal(client_write(fd, NBD_CMD_FLAG_FUA, data, 0, 4096), NBD_EIO);
	assert_int_equal(client_write(fd, 0, data, 0, 5 * MIB), 0);
	atomic_store(&fail_punch, ENOSPC);
	assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, 0, 0, 4096), NBD_ENOSPC);
	atomic_store(&fail_punch, EINVAL);
	assert_int_equal(client_ask(fd, NBD_CMD_TRIM, 0, 0, 4096), 0);
	assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, 0, 0, 4096), 0);
	atomic_store(&fail_punch, 0);
	expect_file(&bed, data + 4096, 4096, 5 * MIB - 4096);
	testbed_stop(&bed);
	free(data);
}

static void fua_is_durable_before_its_answer(void **state)
{
	struct testbed bed = {0};
	uint8_t data[512] = {1};
	int fd, before;

	(void)state;
	testbed_start(&bed, MIB, 1);
	fd = bed.clients[0];
	client_go(fd, false);
	before = atomic_load(&sync_calls);
	assert_int_equal(client_write(fd, 0, data, 0, 512), 0);
	assert_int_equal(atomic_load(&sync_calls), before);
	assert_int_equal(client_write(fd, NBD_CMD_FLAG_FUA, data, 0, 512), 0);
	assert_int_equal(atomic_load(&sync_calls), before + 1);
	assert_int_equal(client_ask(fd, NBD_CMD_TRIM, NBD_CMD_FLAG_FUA, 0, 512), 0);
	assert_int_equal(client_ask(fd, NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FUA, 0, 512), 0);
	assert_int_equal(client_ask(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
	assert_int_equal(atomic_load(&sync_calls), before + 4);
	client_request(fd, NBD_CMD_READ, NBD_CMD_FLAG_FUA, 0, 512);
	client_expect(fd, NBD_CMD_READ, 0);
	client_receive(fd, data, 512);
	testbed_stop(&bed);
}

static void a_lost_write_stays_lost(void **state)
{
	struct testbed bed = {0};
	uint8_t data[512] = {1};

	(void)state;
	testbed_start(&bed, MIB, 2);
	client_go(bed.clients[0], false);
	client_go(bed.clients[1], false);
	atomic_store(&fail_sync, EIO);
	assert_int_equal(client_ask(bed.clients[0], NBD_CMD_FLUSH, 0, 0, 0), NBD_EIO);
	assert_int_equal(client_ask(bed.clients[0], NBD_CMD_FLUSH, 0, 0, 0), NBD_EIO);
	assert_int_equal(client_ask(bed.clients[1], NBD_CMD_FLUSH, 0, 0, 0), NBD_EIO);
	assert_int_equal(client_write(bed.clients[1], NBD_CMD_FLAG_FUA, data, 0, 512), NBD_EIO);
	assert_int_equal(client_write(bed.clients[1], 0, data, 0, 512), 0);
	testbed_stop(&bed);
}

/* Eight clients flush while one fdatasync() runs: they share the next; reads go on. */
static void flushes_share_and_do_not_stall(void **state)
{
	struct testbed bed = {0};
	uint8_t data[4096];
	int before = atomic_load(&sync_calls);

	(void)state;
	testbed_start(&bed, MIB, 10);
	for (int i = 0; i < 10; i++)
		client_go(bed.clients[i], false);
	atomic_store(&hold_sync, true);
	client_request(bed.clients[0], NBD_CMD_FLUSH, 0, 0, 0);
	sem_wait(&sync_entered);
	for (int i = 1; i < 9; i++)
		client_request(bed.clients[i], NBD_CMD_FLUSH, 0, 0, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(client_read(bed.clients[9], data, 0, sizeof(data)), 0);
	/* A refused command is answered after what its connection sent before. */
	for (int i = 1; i < 9; i++)
		assert_int_equal(client_ask(bed.clients[i], NBD_CMD_RESIZE, 0, 0, 0), NBD_EINVAL);
	atomic_store(&hold_sync, false);
	sem_post(&sync_released);
	for (int i = 0; i < 9; i++)
		client_expect(bed.clients[i], NBD_CMD_FLUSH, 0);
	assert_int_equal(atomic_load(&sync_calls), before + 2);
	testbed_stop(&bed);
}

static void clients_see_each_others_writes(void **state)
{
	struct testbed bed = {0};
	uint8_t data[4096], found[4096];

	(void)state;
	testbed_start(&bed, MIB, 2);
	client_go(bed.clients[0], false);
	client_go(bed.clients[1], true);
	for (uint32_t i = 0; i < 50; i++) {
		fill_pattern(data, sizeof(data), i);
		assert_int_equal(client_write(bed.clients[i & 1], 0, data, i * 512, 4096), 0);
		assert_int_equal(client_ask(bed.clients[i & 1], NBD_CMD_FLUSH, 0, 0, 0), 0);
		client_request(bed.clients[1], NBD_CMD_READ, 0, i * 512, 4096);
		expect_data_chunk(bed.clients[1], NBD_REPLY_FLAG_DONE, i * 512, found, 4096);
		assert_memory_equal(found, data, 4096);
		assert_int_equal(client_read(bed.clients[0], found, i * 512, 4096), 0);
		assert_memory_equal(found, data, 4096);
	}
	testbed_stop(&bed);
}

static void nonsense_ends_one_connection(void **state)
{
	struct testbed bed = {0};
	uint8_t noise[WIRE_REQUEST_BYTES], data[512];

	(void)state;
	testbed_start(&bed, MIB, 2);
	client_go(bed.clients[0], false);
	client_go(bed.clients[1], false);
	memset(noise, 0xff, sizeof(noise));
	client_send(bed.clients[0], noise, sizeof(noise));
	assert_true(client_sees_end(bed.clients[0]));
	assert_int_equal(client_read(bed.clients[1], data, 0, 512), 0);
	testbed_stop(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(errors_are_those_of_the_specification),
		cmocka_unit_test(readonly_exports_refuse_changes),
		cmocka_unit_test(structured_reads_come_in_chunks),
		cmocka_unit_test(a_file_that_shrinks_is_an_error),
		cmocka_unit_test(zeroes_reach_the_whole_length),
		cmocka_unit_test(fast_zero_is_fast_or_refused),
		cmocka_unit_test(four_gigabytes_are_trimmed),
		cmocka_unit_test(storage_errors_reach_the_client),
		cmocka_unit_test(fua_is_durable_before_its_answer),
		cmocka_unit_test(a_lost_write_stays_lost),
		cmocka_unit_test(flushes_share_and_do_not_stall),
		cmocka_unit_test(clients_see_each_others_writes),
		cmocka_unit_test(nonsense_ends_one_connection),
	};

	sem_init(&sync_entered, 0, 0);
	sem_init(&sync_released, 0, 0);
	return testbed_run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
