// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many clients and bad ones: nobody starves, memory stays what it is, and the
 * end is orderly. The clock and fdatasync() are wrapped, to let ten seconds pass
 * at once and to hold a request in the storage.
 */
#include "server/testbed.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/nbd-proto.h"

enum { MIB = 1 << 20 };

static atomic_int clock_offset_s;
static atomic_bool hold_sync;
static sem_t sync_entered, sync_released;

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = __real_clock_gettime(id, ret);

	ret->tv_sec += atomic_load(&clock_offset_s);
	return r;
}

int __wrap_fdatasync(int fd)
{
	if (atomic_load(&hold_sync)) {
		sem_post(&sync_entered);
		sem_wait(&sync_released);
	}
	return __real_fdatasync(fd);
}

static void request_with_cookie(int fd, uint16_t type, uint64_t cookie, uint64_t offset,
				uint32_t length)
{
	struct wire_request request = {0, type, cookie, offset, length};
	uint8_t buf[WIRE_REQUEST_BYTES];

	client_send(fd, buf, wire_put_request(buf, &request));
}

static void fill_file(const struct testbed *bed, size_t length)
{
	uint8_t *data = malloc(length);

	fill_pattern(data, length, 1);
	assert_int_equal(pwrite(bed->file_fd, data, length, 0), length);
	free(data);
}

static void expect_pattern(const struct testbed *bed, const uint8_t *data, off_t offset,
			   size_t length)
{
	uint8_t *file = malloc(length);

	assert_int_equal(pread(bed->file_fd, file, length, offset), length);
	assert_memory_equal(data, file, length);
	free(file);
}

/* More requests than the server takes at once, all sent before one answer is read. */
static void a_thousand_requests_in_flight(void **state)
{
	enum { COUNT = 1000 };
	struct testbed bed = {0};
	static uint8_t stream[COUNT][WIRE_REQUEST_BYTES];
	bool seen[COUNT] = {false};
	uint8_t data[4096];
	int fd;

	(void)state;
	testbed_start(&bed, 4 * MIB, 1);
	fill_file(&bed, 4 * MIB);
	fd = bed.clients[0];
	client_go(fd, false);
	for (uint64_t i = 0; i < COUNT; i++) {
		struct wire_request request = {0, NBD_CMD_READ, i, i * 4096, 4096};

		wire_put_request(stream[i], &request);
	}
	client_send(fd, stream, sizeof(stream));
	for (int i = 0; i < COUNT; i++) {
		uint8_t buf[WIRE_SIMPLE_REPLY_BYTES];
		struct wire_reply reply;

		client_receive(fd, buf, sizeof(buf));
		assert_int_equal(wire_get_simple_reply(buf, &reply), 0);
		assert_int_equal(reply.error, 0);
		assert_true(reply.cookie < COUNT && !seen[reply.cookie]);
		seen[reply.cookie] = true;
		client_receive(fd, data, sizeof(data));
		expect_pattern(&bed, data, (off_t)reply.cookie * 4096, sizeof(data));
	}
	testbed_stop(&bed);
}

static void byte_by_byte(void **state)
{
	struct testbed bed = {0};
	struct wire_request request = {0, NBD_CMD_WRITE, 7, 4096, 1000};
	uint8_t stream[2 * (WIRE_REQUEST_BYTES + 1000)], *at = stream;
	int fd;

	(void)state;
	testbed_start(&bed, MIB, 1);
	fd = bed.clients[0];
	client_go(fd, false);
	for (int i = 0; i < 2; i++) {
		at += wire_put_request(at, &request);
		fill_pattern(at, 1000, 3);
		at += 1000;
	}
	for (uint8_t *byte = stream; byte < at; byte++)
		client_send(fd, byte, 1);
	client_expect(fd, 7, 0);
	client_expect(fd, 7, 0);
	expect_pattern(&bed, stream + WIRE_REQUEST_BYTES, 4096, 1000);
	testbed_stop(&bed);
}

static void work_a_little(struct testbed *bed, int fd)
{
	uint8_t *data = malloc(MIB);

	for (uint32_t i = 0; i < 8; i++) {
		fill_pattern(data, MIB, i);
		assert_int_equal(client_write(fd, 0, data, i * MIB, MIB), 0);
		assert_int_equal(client_read(fd, data, i * MIB, MIB), 0);
		expect_pattern(bed, data, i * MIB, MIB);
	}
	free(data);
}

static void receive_structured(int fd, uint8_t *data, uint32_t length)
{
	for (uint32_t at = 0; at < length;) {
		uint8_t buf[WIRE_CHUNK_BYTES];
		struct wire_chunk chunk;

		client_receive(fd, buf, sizeof(buf));
		assert_int_equal(wire_get_chunk(buf, &chunk), 0);
		assert_int_equal(chunk.type, NBD_REPLY_TYPE_OFFSET_DATA);
		client_receive(fd, buf, WIRE_CHUNK_DATA_BYTES);
		client_receive(fd, data + at, chunk.length_bytes - WIRE_CHUNK_DATA_BYTES);
		at += chunk.length_bytes - WIRE_CHUNK_DATA_BYTES;
		assert_int_equal(chunk.flags & NBD_REPLY_FLAG_DONE, at == length);
	}
}

/*
 * 100 clients ask for 3 x 3 MiB and take nothing. Each can hold 32 buffers, so
 * that without reclaim five of them would have all, for ever.
 */
static void clients_that_do_not_read_starve_nobody(void **state)
{
	enum { LAZY = 100, LENGTH = 3 * MIB };
	struct testbed bed = {0};
	uint8_t *data = malloc(LENGTH);

	(void)state;
	testbed_start(&bed, 16 * MIB, LAZY + 1);
	fill_file(&bed, 16 * MIB);
	for (int i = 0; i < LAZY; i++) {
		client_go(bed.clients[i], i & 1);
		for (uint64_t j = 0; j < 3; j++)
			request_with_cookie(bed.clients[i], NBD_CMD_READ, j, 8 * MIB + j * MIB,
					    LENGTH);
	}
	client_go(bed.clients[LAZY], false);
	work_a_little(&bed, bed.clients[LAZY]);
	for (int i = 0; i < LAZY; i++) {
		for (int j = 0; j < 3; j++) {
			int fd = bed.clients[i];
			uint8_t header[WIRE_SIMPLE_REPLY_BYTES];
			struct wire_reply reply = {0};

			if (i & 1) {
				receive_structured(fd, data, LENGTH);
				continue;
			}
			client_receive(fd, header, sizeof(header));
			assert_int_equal(wire_get_simple_reply(header, &reply), 0);
			assert_int_equal(reply.error, 0);
			client_receive(fd, data, LENGTH);
			expect_pattern(&bed, data, 8 * MIB + (off_t)reply.cookie * MIB, LENGTH);
		}
	}
	testbed_stop(&bed);
	free(data);
}

static void clients_that_stop_writing_starve_nobody(void **state)
{
	enum { LAZY = 200, LENGTH = 2 * MIB };
	struct testbed bed = {0};
	uint8_t *data = malloc(LENGTH);

	(void)state;
	testbed_start(&bed, 16 * MIB, LAZY + 1);
	fill_pattern(data, LENGTH, 9);
	for (int i = 0; i < LAZY; i++) {
		client_go(bed.clients[i], false);
		client_request(bed.clients[i], NBD_CMD_WRITE, 0, 8 * MIB, LENGTH);
		client_send(bed.clients[i], data, (size_t)i * 7);
	}
	client_go(bed.clients[LAZY], false);
	work_a_little(&bed, bed.clients[LAZY]);
	for (int i = 0; i < LAZY; i++) {
		client_send(bed.clients[i], data + i * 7, LENGTH - (size_t)i * 7);
		client_expect(bed.clients[i], NBD_CMD_WRITE, 0);
	}
	expect_pattern(&bed, data, 8 * MIB, LENGTH);
	testbed_stop(&bed);
	free(data);
}

static void clients_that_vanish_leave_nothing(void **state)
{
	enum { COUNT = 200 };
	struct testbed bed = {0};
	uint8_t *data = calloc(1, MIB);

	(void)state;
	testbed_start(&bed, 16 * MIB, COUNT + 1);
	for (int i = 0; i < COUNT; i++) {
		client_go(bed.clients[i], i & 1);
		client_request(bed.clients[i], NBD_CMD_READ, 0, 0, 8 * MIB);
		client_request(bed.clients[i], NBD_CMD_FLUSH, 0, 0, 0);
		client_request(bed.clients[i], NBD_CMD_WRITE_ZEROES, 0, 0, 16 * MIB);
		client_request(bed.clients[i], NBD_CMD_WRITE, 0, 0, 4 * MIB);
		client_send(bed.clients[i], data, (size_t)i * 100);
		shutdown(bed.clients[i], SHUT_RDWR);
	}
	client_go(bed.clients[COUNT], false);
	work_a_little(&bed, bed.clients[COUNT]);
	testbed_stop(&bed); /* asserts that all buffers came back */
	free(data);
}

static void connect_over_tcp(struct testbed *bed, int *fds, int count)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	getsockname(bed->server.listeners[0].watch.fd, (struct sockaddr *)&address, &length);
	for (int i = 0; i < count; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fds[i] >= 0);
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		assert_int_equal(connect(fds[i], (struct sockaddr *)&address, length), 0);
	}
}

static void start_on_tcp(struct testbed *bed, unsigned int connections_max)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	bed->connections_max = connections_max;
	bed->on_tcp = true;
	testbed_start(bed, MIB, 0);
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static void hundreds_of_clients_are_served(void **state)
{
	enum { COUNT = 400 };
	struct testbed bed = {0};
	uint8_t data[4096], found[4096];
	int fds[COUNT];

	(void)state;
	start_on_tcp(&bed, 1000);
	connect_over_tcp(&bed, fds, COUNT);
	for (int i = 0; i < COUNT; i++)
		client_go(fds[i], i & 1);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < COUNT; i++)
			client_request(fds[i], NBD_CMD_WRITE, 0, (uint64_t)(i % 256) * 4096, 4096);
		for (int i = 0; i < COUNT; i++) {
			fill_pattern(data, sizeof(data), (uint32_t)i % 256);
			client_send(fds[i], data, sizeof(data));
		}
		for (int i = 0; i < COUNT; i++)
			client_expect(fds[i], NBD_CMD_WRITE, 0);
	}
	for (int i = 0; i < COUNT; i += 2) {
		fill_pattern(data, sizeof(data), (uint32_t)i % 256);
		assert_int_equal(client_read(fds[i], found, (uint64_t)(i % 256) * 4096, 4096), 0);
		assert_memory_equal(found, data, sizeof(data));
	}
	close_all(fds, COUNT);
	testbed_stop(&bed);
}

static void too_many_connections_are_refused(void **state)
{
	struct testbed bed = {0};
	uint8_t data[512];
	int fds[12];

	(void)state;
	start_on_tcp(&bed, 10);
	connect_over_tcp(&bed, fds, 12);
	for (int i = 0; i < 10; i++)
		client_go(fds[i], false);
	assert_true(client_sees_end(fds[10]));
	assert_true(client_sees_end(fds[11]));
	close_all(fds + 9, 3);
	while (recv(fds[8], data, 1, MSG_DONTWAIT) == 0)
		;
	/* A place is free as soon as the server has seen the end of one. */
	for (int tries = 0; tries < 1000; tries++) {
		uint8_t greeting[WIRE_GREETING_BYTES];

		connect_over_tcp(&bed, fds + 9, 1);
		if (wire_read_full(fds[9], greeting, sizeof(greeting)) == 0)
			break;
		close(fds[9]);
		assert_true(tries < 999);
	}
	close_all(fds, 10);
	testbed_stop(&bed);
}

static void the_oldest_handshake_gives_way(void **state)
{
	enum { COUNT = HANDSHAKES_MAX + 5 };
	struct testbed bed = {0};
	static int fds[COUNT];

	(void)state;
	start_on_tcp(&bed, 2 * COUNT);
	connect_over_tcp(&bed, fds, COUNT);
	client_go(fds[COUNT - 1], false);
	for (int i = 0; i < 5; i++)
		assert_true(client_sees_end(fds[i]));
	client_go(fds[5], false);
	close_all(fds, COUNT);
	testbed_stop(&bed);
}

static void a_handshake_has_ten_seconds(void **state)
{
	struct testbed bed = {0};
	uint8_t data[512];

	(void)state;
	testbed_start(&bed, MIB, 3);
	client_go(bed.clients[0], false);
	client_receive(bed.clients[1], data, WIRE_GREETING_BYTES);
	client_send(bed.clients[1], "\0\0", 2);
	atomic_store(&clock_offset_s, 9);
	assert_int_equal(client_read(bed.clients[0], data, 0, 512), 0);
	client_go(bed.clients[2], false);
	atomic_store(&clock_offset_s, 11);
	assert_int_equal(client_read(bed.clients[0], data, 0, 512), 0);
	assert_true(client_sees_end(bed.clients[1]));
	assert_int_equal(client_read(bed.clients[2], data, 0, 512), 0);
	testbed_stop(&bed);
	atomic_store(&clock_offset_s, 0);
}

/* The time that the server takes is not the client's. */
static void a_handshake_that_waits_for_the_storage_has_longer(void **state)
{
	struct testbed bed = {.exclusive = EXCLUSIVE_ON};
	char text[REPLY_TEXT_BYTES];
	int old, new, silent;

	(void)state;
	testbed_start(&bed, MIB, 3);
	old = bed.clients[0];
	new = bed.clients[1];
	silent = bed.clients[2];
	client_go(old, false);
	atomic_store(&hold_sync, true);
	client_request(old, NBD_CMD_FLUSH, 0, 0, 0);
	sem_wait(&sync_entered);
	client_ask_go(new, "");
	assert_true(client_sees_end(old)); /* fenced, and its flush still runs */
	atomic_store(&clock_offset_s, 11);
	client_send(silent, "\0\0", 2); /* makes the server look at its clock */
	assert_true(client_sees_end(silent));
	atomic_store(&hold_sync, false);
	sem_post(&sync_released);
	assert_int_equal(client_answer_go(new, text), NBD_REP_ACK);
	testbed_stop(&bed);
	atomic_store(&clock_offset_s, 0);
}

static void what_is_in_flight_is_answered_before_the_end(void **state)
{
	struct testbed bed = {0};
	uint8_t *data = malloc(4 * MIB);
	int waiting, writing, idle, young;

	(void)state;
	testbed_start(&bed, 8 * MIB, 4);
	waiting = bed.clients[0];
	writing = bed.clients[1];
	idle = bed.clients[2];
	young = bed.clients[3];
	client_go(waiting, false);
	client_go(writing, false);
	client_go(idle, true);
	fill_pattern(data, 4 * MIB, 4);
	atomic_store(&hold_sync, true);
	client_request(waiting, NBD_CMD_FLUSH, 0, 0, 0);
	sem_wait(&sync_entered);
	client_request(writing, NBD_CMD_WRITE, 0, 0, 4 * MIB);
	client_send(writing, data, MIB + 5);
	assert_int_equal(client_ask(idle, NBD_CMD_TRIM, 0, 5 * MIB, 512), 0);

	testbed_signal(&bed);
	assert_true(client_sees_end(idle));
	assert_true(client_sees_end(young));
	client_send(writing, data + MIB + 5, 3 * MIB - 5);
	client_expect(writing, NBD_CMD_WRITE, 0);
	assert_true(client_sees_end(writing));
	expect_pattern(&bed, data, 0, 4 * MIB);
	client_request(waiting, NBD_CMD_READ, 0, 0, 512); /* too late: not answered */
	atomic_store(&hold_sync, false);
	sem_post(&sync_released);
	client_expect(waiting, NBD_CMD_FLUSH, 0);
	assert_true(client_sees_end(waiting));
	for (int i = 0; i < 4; i++)
		shutdown(bed.clients[i], SHUT_RDWR);
	testbed_join(&bed);
	free(data);
}

/* The only storage thread is busy: who reads through io_uring, or in memory, need not care. */
static void reads_do_not_wait_for_a_storage_thread(void **state)
{
	struct testbed bed = {.storage_threads = 1};
	uint8_t *data = malloc(MIB);

	(void)state;
	testbed_start(&bed, 4 * MIB, 2);
	if (storage_ring_fd(bed.server.storage) < 0) {
		testbed_stop(&bed);
		free(data);
		skip();
	}
	bed.export->can_splice = false; /* into pipes the storage threads read */
	fill_file(&bed, 4 * MIB);
	client_go(bed.clients[0], false);
	client_go(bed.clients[1], false);
	atomic_store(&hold_sync, true);
	client_request(bed.clients[0], NBD_CMD_FLUSH, 0, 0, 0);
	sem_wait(&sync_entered);
	for (uint32_t length = 512; length <= MIB; length *= 2) {
		assert_int_equal(client_read(bed.clients[1], data, length, length), 0);
		expect_pattern(&bed, data, length, length);
	}
	atomic_store(&hold_sync, false);
	sem_post(&sync_released);
	client_expect(bed.clients[0], NBD_CMD_FLUSH, 0);
	testbed_stop(&bed);
	free(data);
}

static void an_idle_connection_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct connection) <= 768);
	assert_true(sizeof(struct negotiation) <= 12 << 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_requests_in_flight),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(clients_that_do_not_read_starve_nobody),
		cmocka_unit_test(clients_that_stop_writing_starve_nobody),
		cmocka_unit_test(clients_that_vanish_leave_nothing),
		cmocka_unit_test(hundreds_of_clients_are_served),
		cmocka_unit_test(too_many_connections_are_refused),
		cmocka_unit_test(the_oldest_handshake_gives_way),
		cmocka_unit_test(a_handshake_has_ten_seconds),
		cmocka_unit_test(a_handshake_that_waits_for_the_storage_has_longer),
		cmocka_unit_test(what_is_in_flight_is_answered_before_the_end),
		cmocka_unit_test(reads_do_not_wait_for_a_storage_thread),
		cmocka_unit_test(an_idle_connection_is_small),
	};

	sem_init(&sync_entered, 0, 0);
	sem_init(&sync_released, 0, 0);
	return testbed_run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
