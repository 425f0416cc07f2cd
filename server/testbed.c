// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/testbed.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/nbd-proto.h"
#include "server/storage-ring.h"

/*
 * The ways through the server: storage threads, io_uring, and neither. Those for a
 * disk are taken wherever the file lies, and whatever is cached.
 */
struct way {
	const char *name, *directory;
	bool in_memory;
	enum io io;
	unsigned int workers;
};

static const struct way ways[] = {
	{"storage threads", "/var/tmp", false, IO_EPOLL, 1},
	{"io_uring", "/var/tmp", false, IO_URING, 1},
	{"in memory", "/dev/shm", true, IO_AUTO, 1},
	{"storage threads, 3 workers", "/var/tmp", false, IO_EPOLL, 3},
	{"io_uring, 3 workers", "/var/tmp", false, IO_URING, 3},
	{"in memory, 3 workers", "/dev/shm", true, IO_AUTO, 3},
};

static const struct way *way = ways;

static void open_export(struct testbed *bed, uint64_t size_bytes)
{
	char path[64], why[TEXT_MAX] = "";
	struct export_settings set;

	snprintf(path, sizeof(path), "%s/testbed.XXXXXX", way->directory);
	bed->file_fd = mkstemp(path);
	assert_true(bed->file_fd >= 0);
	assert_int_equal(ftruncate(bed->file_fd, (off_t)size_bytes), 0);
	assert_int_equal(export_settings_init(&set, bed->name ?: "", path), 0);
	set.readonly = bed->readonly;
	set.exclusive = bed->exclusive;
	set.hold_s = bed->hold_s;
	if (export_open(&set, &bed->export, why, sizeof(why)) < 0)
		fail_msg("%s: %s", path, why);
	bed->export->in_memory = bed->export->in_memory && way->in_memory;
	bed->export->cannot_read_cached = way->io == IO_URING;
	assert_int_equal(export_table_add(&bed->server.exports, bed->export), 0);
	unlink(path);
}

int testbed_connect(const struct testbed *bed, const char *from)
{
	static const struct timeval timeout = {.tv_sec = 20};
	struct sockaddr_in server, client = {.sin_family = AF_INET};
	socklen_t length = sizeof(server);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, from, &client.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&client, sizeof(client)), 0);
	getsockname(bed->server.listeners[0].watch.fd, (struct sockaddr *)&server, &length);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	assert_int_equal(connect(fd, (struct sockaddr *)&server, length), 0);
	return fd;
}

static void connect_client(struct testbed *bed)
{
	static const struct timeval timeout = {.tv_sec = 20};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	assert_int_equal(connection_open(&bed->server, fds[1], "test", NULL), 0);
	bed->clients[bed->client_count++] = fds[0];
}

static void *serve(void *arg)
{
	struct testbed *bed = arg;

	return (void *)(intptr_t)server_run(&bed->server);
}

void testbed_start(struct testbed *bed, uint64_t size_bytes, unsigned int client_count)
{
	if (!bed->storage_threads)
		bed->storage_threads = STORAGE_THREADS_DEFAULT;
	bed->server.io = way->io;
	bed->server.worker_count = way->workers;
	assert_int_equal(server_open(&bed->server), 0);
	assert_int_equal(server_start(&bed->server, bed->storage_threads), 0);
	bed->server.connections_max = bed->connections_max ?: TESTBED_CLIENTS_MAX;
	if (bed->on_tcp)
		listen_open(&bed->server, &(struct listen_address){"127.0.0.1", 0}, NULL);
	bed->server.exports.allow_list = true;
	open_export(bed, size_bytes);
	while (bed->client_count < client_count)
		connect_client(bed);
	assert_int_equal(pthread_create(&bed->thread, NULL, serve, bed), 0);
}

void testbed_signal(struct testbed *bed)
{
	(void)bed;
	kill(getpid(), SIGTERM);
}

void testbed_join(struct testbed *bed)
{
	void *result;

	assert_int_equal(pthread_join(bed->thread, &result), 0);
	assert_null(result);
	for (unsigned int i = 0; i < bed->server.worker_count; i++) {
		const struct worker *worker = &bed->server.workers[i];

		assert_int_equal(worker->payload.free_count, worker->payload.count);
		assert_int_equal(worker->pipes.free_count, worker->pipes.count);
		assert_int_equal(worker->client_count, 0);
	}
	server_close(&bed->server);
	for (unsigned int i = 0; i < bed->client_count; i++)
		close(bed->clients[i]);
	close(bed->file_fd);
}

void testbed_stop(struct testbed *bed)
{
	for (unsigned int i = 0; i < bed->client_count; i++)
		shutdown(bed->clients[i], SHUT_RDWR);
	testbed_signal(bed);
	testbed_join(bed);
}

void client_send(int fd, const void *data, size_t length)
{
	assert_int_equal(wire_write_full(fd, data, length), 0);
}

void client_receive(int fd, void *data, size_t length)
{
	assert_int_equal(wire_read_full(fd, data, length), 0);
}

bool client_sees_end(int fd)
{
	uint8_t data[4096];
	ssize_t n;

	/* The kernel interrupts a thread that made an io_uring when it takes that down. */
	do
		n = recv(fd, data, sizeof(data), 0);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 || errno == ECONNRESET;
}

static void send_option(int fd, uint32_t option, const void *data, uint32_t length)
{
	struct wire_option header = {option, length};
	uint8_t buf[WIRE_OPTION_BYTES];

	client_send(fd, buf, wire_put_option(buf, &header));
	client_send(fd, data, length);
}

/* The data of a reply, whose type it returns. */
static uint32_t receive_reply(int fd, uint8_t data[REPLY_TEXT_BYTES], uint32_t *ret_length)
{
	uint8_t buf[WIRE_OPTION_REPLY_BYTES];
	struct wire_option_reply reply;

	client_receive(fd, buf, sizeof(buf));
	assert_int_equal(wire_get_option_reply(buf, &reply), 0);
	assert_true(reply.length <= REPLY_TEXT_BYTES);
	client_receive(fd, data, reply.length);
	*ret_length = reply.length;
	return reply.type;
}

static void greet(int fd)
{
	uint8_t data[WIRE_GREETING_BYTES];
	uint16_t flags;

	client_receive(fd, data, WIRE_GREETING_BYTES);
	assert_int_equal(wire_get_greeting(data, &flags), 0);
	client_send(fd, data, wire_put_client_flags(data, flags));
}

void client_ask_go(int fd, const char *name)
{
	struct wire_go go = {{name, (uint32_t)strlen(name)}, 0, {0}};
	uint8_t data[REPLY_TEXT_BYTES];

	greet(fd);
	send_option(fd, NBD_OPT_GO, data, (uint32_t)wire_put_go(data, &go));
}

uint32_t client_answer_go(int fd, char text[REPLY_TEXT_BYTES])
{
	uint32_t length, type = receive_reply(fd, (uint8_t *)text, &length);

	if (type == NBD_REP_INFO)
		type = receive_reply(fd, (uint8_t *)text, &length);
	text[length < REPLY_TEXT_BYTES ? length : REPLY_TEXT_BYTES - 1] = '\0';
	return type;
}

uint32_t client_try_go(int fd, const char *name, char text[REPLY_TEXT_BYTES])
{
	client_ask_go(fd, name);
	return client_answer_go(fd, text);
}

static void ask_structured(int fd)
{
	uint8_t data[REPLY_TEXT_BYTES];
	uint32_t length;

	greet(fd);
	send_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	assert_int_equal(receive_reply(fd, data, &length), NBD_REP_ACK);
}

uint16_t client_go(int fd, bool structured)
{
	struct wire_export export;
	struct wire_go go = {{"", 0}, 0, {0}};
	uint8_t data[REPLY_TEXT_BYTES];
	uint32_t length;

	if (structured)
		ask_structured(fd);
	else
		greet(fd);
	send_option(fd, NBD_OPT_GO, data, (uint32_t)wire_put_go(data, &go));
	assert_int_equal(receive_reply(fd, data, &length), NBD_REP_INFO);
	assert_int_equal(wire_get_info_export(data, length, &export), 0);
	assert_int_equal(receive_reply(fd, data, &length), NBD_REP_ACK);
	return export.flags;
}

uint32_t client_go_with_allocation(int fd)
{
	/* The name "", one query, and its name behind a length. */
	static const uint8_t query[] = "\0\0\0\0\0\0\0\1\0\0\0\17base:allocation";
	struct wire_go go = {{"", 0}, 0, {0}};
	uint8_t data[REPLY_TEXT_BYTES];
	uint32_t length, id;

	ask_structured(fd);
	send_option(fd, NBD_OPT_SET_META_CONTEXT, query, sizeof(query) - 1);
	assert_int_equal(receive_reply(fd, data, &length), NBD_REP_META_CONTEXT);
	memcpy(&id, data, sizeof(id));
	assert_int_equal(receive_reply(fd, data, &length), NBD_REP_ACK);
	send_option(fd, NBD_OPT_GO, data, (uint32_t)wire_put_go(data, &go));
	assert_int_equal(receive_reply(fd, data, &length), NBD_REP_INFO);
	assert_int_equal(receive_reply(fd, data, &length), NBD_REP_ACK);
	return be32toh(id);
}

void client_request(int fd, uint16_t type, uint16_t flags, uint64_t offset, uint32_t length)
{
	struct wire_request request = {flags, type, type, offset, length};
	uint8_t buf[WIRE_REQUEST_BYTES];

	client_send(fd, buf, wire_put_request(buf, &request));
}

static uint32_t receive_simple(int fd, uint64_t cookie)
{
	uint8_t buf[WIRE_SIMPLE_REPLY_BYTES];
	struct wire_reply reply;

	client_receive(fd, buf, sizeof(buf));
	assert_int_equal(wire_get_simple_reply(buf, &reply), 0);
	assert_int_equal(reply.cookie, cookie);
	return reply.error;
}

void client_expect(int fd, uint64_t cookie, uint32_t error)
{
	assert_int_equal(receive_simple(fd, cookie), error);
}

uint32_t client_ask(int fd, uint16_t type, uint16_t flags, uint64_t offset, uint32_t length)
{
	client_request(fd, type, flags, offset, length);
	return receive_simple(fd, type);
}

uint32_t client_write(int fd, uint16_t flags, const void *data, uint64_t offset, uint32_t length)
{
	client_request(fd, NBD_CMD_WRITE, flags, offset, length);
	client_send(fd, data, length);
	return receive_simple(fd, NBD_CMD_WRITE);
}

uint32_t client_read(int fd, void *data, uint64_t offset, uint32_t length)
{
	uint32_t error = client_ask(fd, NBD_CMD_READ, 0, offset, length);

	if (!error)
		client_receive(fd, data, length);
	return error;
}

static bool is_possible(void)
{
	struct storage_ring *ring;
	int r = 0;

	if (access(way->directory, W_OK) < 0)
		r = -errno;
	else if (way->io == IO_URING)
		r = ring_open(&ring);
	if (r < 0)
		print_message("%s: left out: %s\n", way->name, strerror(-r));
	else if (way->io == IO_URING)
		ring_close(ring);
	return r == 0;
}

static int run_on_ways(const struct CMUnitTest *tests, size_t count, bool with_threads)
{
	int failed = 0;

	/* After a test that failed its server still runs, on a stack that the next would use. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	for (way = ways; way < ways + sizeof(ways) / sizeof(ways[0]); way++) {
		if ((!with_threads || way->io == IO_EPOLL) && is_possible())
			failed += _cmocka_run_group_tests(way->name, tests, count, NULL, NULL);
	}
	return failed;
}

int testbed_run_tests(const struct CMUnitTest *tests, size_t count)
{
	return run_on_ways(tests, count, false);
}

int testbed_run_with_threads(const struct CMUnitTest *tests, size_t count)
{
	return run_on_ways(tests, count, true);
}

void fill_pattern(uint8_t *data, size_t length, uint32_t seed)
{
	for (size_t i = 0; i < length; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (uint8_t)(seed >> 24);
	}
}
