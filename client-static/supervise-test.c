/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loop that keeps a device, between a server of this test, on loopback, and
 * a kernel of this test, at the other end of a packet socket pair. The loop runs
 * in the test's thread; a director in another one waits for what should happen,
 * makes the next thing happen, and at the end lets the device be detached.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>

#include "client-static/supervise.h"
#include "common/log.h"
#include "common/wire.h"

enum {
	DEADLINE_S = 60,
	FAMILY = 0x1d,
	INDEX = 3,
	SIZE_BYTES = 1 << 20,
	FLAGS = 0x5,
	/* Of the specification; its header and the driver's define the same names. */
	GO = 7,
	REPLY_ACK = 1,
	REPLY_INFO = 3,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;

/* All below is guarded by lock. */
static struct {
	int listener, connection; /* connection: the last one accepted, -1: none */
	int accepted;
	uint64_t size_bytes;
	uint16_t flags;
} server;

static struct {
	int error;	/* answered to each message */
	int errors;	/* that many times, -1: always */
	int asked;	/* messages without a socket */
	int given;	/* messages with one */
	char wrong[64]; /* "" while all messages are right */
} kernel;

static struct supervision s;
static char said[16384];
static int kernel_fd, events_fd;

static void hear_line(const char *line)
{
	pthread_mutex_lock(&lock);
	strncat(said, line, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* Waits until is_so(argument), with the lock held while it is asked; ends the test program else. */
static void await(bool (*is_so)(const void *argument), const void *argument, const char *what)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += DEADLINE_S;
	pthread_mutex_lock(&lock);
	while (!is_so(argument)) {
		if (pthread_cond_timedwait(&changed, &lock, &deadline) == ETIMEDOUT) {
			fprintf(stderr, "did not happen in %d s: %s; said:\n%s", DEADLINE_S, what,
				said);
			exit(1);
		}
	}
	pthread_mutex_unlock(&lock);
}

static bool is_said(const void *text)
{
	return strstr(said, text);
}

static void await_line(const char *text)
{
	await(is_said, text, text);
}

static bool is_given(const void *count)
{
	return kernel.given >= *(const int *)count;
}

static void await_given(int count)
{
	await(is_given, &count, "a socket is given to the kernel");
}

/* An answer to NBD_OPT_GO with what the export is now. */
static void serve_go(int fd)
{
	uint8_t buf[64], *at = buf;
	struct wire_option_reply info = {.option = GO, .type = REPLY_INFO, .length = 12};
	struct wire_option_reply ack = {.option = GO, .type = REPLY_ACK};
	struct wire_export export;

	pthread_mutex_lock(&lock);
	export = (struct wire_export){.size_bytes = server.size_bytes, .flags = server.flags};
	pthread_mutex_unlock(&lock);
	at += wire_put_option_reply(at, &info);
	at += wire_put_info_export(at, &export);
	at += wire_put_option_reply(at, &ack);
	wire_write_full(fd, buf, (size_t)(at - buf));
}

static void serve_handshake(int fd)
{
	uint8_t buf[WIRE_GO_MAX_BYTES + WIRE_OPTION_BYTES];
	struct wire_option option;

	if (wire_write_full(fd, buf, wire_put_greeting(buf, 3)) ||
	    wire_read_full(fd, buf, WIRE_CLIENT_FLAGS_BYTES) ||
	    wire_read_full(fd, buf, WIRE_OPTION_BYTES) || wire_get_option(buf, &option) ||
	    wire_read_full(fd, buf, option.length))
		return;
	serve_go(fd);
}

static void *run_server(void *listener)
{
	int fd;

	while ((fd = accept(*(int *)listener, NULL, NULL)) >= 0) {
		serve_handshake(fd);
		pthread_mutex_lock(&lock);
		if (server.connection >= 0)
			close(server.connection);
		server.connection = fd;
		server.accepted++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

/* The server process of the device dies: its connection ends. */
static void hang_up(void)
{
	pthread_mutex_lock(&lock);
	close(server.connection);
	server.connection = -1;
	pthread_mutex_unlock(&lock);
}

static bool has_attribute(const uint8_t *at, size_t length, uint16_t type)
{
	while (length >= NLA_HDRLEN) {
		struct nlattr header;

		memcpy(&header, at, sizeof(header));
		if ((header.nla_type & NLA_TYPE_MASK) == type)
			return true;
		if ((size_t)NLA_ALIGN(header.nla_len) >= length || header.nla_len < NLA_HDRLEN)
			break;
		at += NLA_ALIGN(header.nla_len);
		length -= NLA_ALIGN(header.nla_len);
	}
	return false;
}

static void answer(int result)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} ack = {
		.header = {.nlmsg_len = sizeof(ack), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 1},
		.error = {.error = result},
	};

	send(kernel_fd, &ack, sizeof(ack), 0);
}

static void take_message(const uint8_t *bytes, size_t length)
{
	const uint8_t *attributes = bytes + 20;
	int error = 0;

	pthread_mutex_lock(&lock);
	if (length < 20 || bytes[16] != NBD_CMD_RECONFIGURE)
		strcpy(kernel.wrong, "not NBD_CMD_RECONFIGURE");
	else if (has_attribute(attributes, length - 20, NBD_ATTR_SIZE_BYTES) ||
		 has_attribute(attributes, length - 20, NBD_ATTR_BLOCK_SIZE_BYTES))
		strcpy(kernel.wrong, "a size in RECONFIGURE");
	if (kernel.errors) {
		kernel.errors -= kernel.errors > 0;
		error = kernel.error;
	}
	if (has_attribute(attributes, length - 20, NBD_ATTR_SOCKETS))
		kernel.given += !error;
	else
		kernel.asked++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	answer(error);
}

static void *run_kernel(void *fd)
{
	uint8_t buf[2048];
	ssize_t length;

	while ((length = recv(*(int *)fd, buf, sizeof(buf), 0)) > 0)
		take_message(buf, (size_t)length);
	return NULL;
}

/* From now on the kernel says that the device is gone. */
static void detach(void)
{
	pthread_mutex_lock(&lock);
	kernel.error = -EINVAL;
	kernel.errors = -1;
	pthread_mutex_unlock(&lock);
}

static int listen_on_loopback(struct address *ret)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ret->length = sizeof(name);
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) || listen(fd, 8) ||
	    getsockname(fd, (struct sockaddr *)&name, &ret->length))
		return -1;
	memcpy(&ret->storage, &name, sizeof(name));
	snprintf(ret->text, sizeof(ret->text), "127.0.0.1:%u", ntohs(name.sin_port));
	return fd;
}

static pthread_t server_thread, kernel_thread;

static int set_up(void **state)
{
	int netlink[2], events[2];

	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&kernel, 0, sizeof(kernel));
	*said = '\0';
	server.connection = -1;
	server.accepted = 0;
	server.size_bytes = SIZE_BYTES;
	server.flags = FLAGS;
	server.listener = listen_on_loopback(&s.addresses.items[0]);
	if (server.listener < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, netlink) ||
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, events))
		return -1;
	s.addresses.count = 1;
	s.job.device_index = INDEX;
	strcpy(s.job.target.export_name, "disk");
	strcpy(s.identifier, "id");
	s.export = (struct export_info){
		.size_bytes = SIZE_BYTES, .flags = FLAGS, .minimum_block_bytes = 1};
	s.block_size_bytes = 512;
	s.link_count = 1;
	s.netlink = (struct netlink){.fd = netlink[0], .family = FAMILY};
	s.events = (struct netlink){.fd = events[0], .family = FAMILY};
	kernel_fd = netlink[1];
	events_fd = events[1];
	log_to(hear_line);
	return pthread_create(&server_thread, NULL, run_server, &server.listener) ||
	       pthread_create(&kernel_thread, NULL, run_kernel, &kernel_fd);
}

static int tear_down(void **state)
{
	(void)state;
	log_to(NULL);
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server_thread, NULL);
	close(server.listener);
	if (server.connection >= 0)
		close(server.connection);
	close(s.netlink.fd);
	pthread_join(kernel_thread, NULL);
	close(kernel_fd);
	close(s.events.fd);
	close(events_fd);
	return 0;
}

static bool is_accepted(const void *count)
{
	return server.accepted >= *(const int *)count;
}

/* The link that the device was attached with. */
static void attach_first_link(void)
{
	struct export_info export;
	struct failure why;
	int one = 1;

	if (session_connect(&s.job, &s.addresses.items[0], 0, &s.fds[0], &export, &why))
		fail_msg("%s", why.text);
	await(is_accepted, &one, "the first connection");
}

/* Runs the loop against the director, until the device is detached. */
static void run(void *(*director)(void *))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, director, NULL), 0);
	assert_int_equal(supervise_run(&s), 0);
	pthread_join(thread, NULL);
	assert_string_equal(kernel.wrong, "");
	assert_int_equal(s.state, SUPERVISE_DETACHED);
}

static void *restart_twice(void *unused)
{
	(void)unused;
	hang_up();
	await_line("connected again (1) to 127.0.0.1:");
	await_given(1);
	hang_up();
	await_line("connected again (2) to 127.0.0.1:");
	detach();
	hang_up();
	return NULL;
}

static void a_lost_link_is_made_again(void **state)
{
	(void)state;
	attach_first_link();
	run(restart_twice);
	assert_int_equal(s.reconnects, 2);
	assert_non_null(strstr(said, "/dev/nb3: lost the connection to 127.0.0.1:"));
	/* Gone is found out before a server is asked. */
	assert_int_equal(server.accepted, 3);
}

static void *grow_and_shrink(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	server.size_bytes = SIZE_BYTES + 512;
	pthread_mutex_unlock(&lock);
	hang_up();
	await_line("export \"disk\": REFUSED, it is not what the device was attached to: "
		   "its size in bytes was 1048576, is 1049088");
	pthread_mutex_lock(&lock);
	server.size_bytes = SIZE_BYTES;
	server.flags = FLAGS | 2;
	pthread_mutex_unlock(&lock);
	await_line("its transmission flags were 0x5, are 0x7");
	if (kernel.given)
		strcpy(kernel.wrong, "another export was given to the kernel");
	pthread_mutex_lock(&lock);
	server.flags = FLAGS;
	pthread_mutex_unlock(&lock);
	await_line("connected again (1)");
	detach();
	hang_up();
	return NULL;
}

static void another_export_is_refused_until_it_is_the_right_one(void **state)
{
	(void)state;
	attach_first_link();
	run(grow_and_shrink);
	assert_non_null(strstr(s.last_error, "its transmission flags were"));
}

static void *go_away(void *unused)
{
	(void)unused;
	detach();
	hang_up();
	return NULL;
}

static void a_detached_device_is_left_alone(void **state)
{
	(void)state;
	attach_first_link();
	run(go_away);
	assert_int_equal(server.accepted, 1);
	assert_int_equal(kernel.given, 0);
	assert_int_equal(kernel.asked, 1);
	assert_string_equal(said, "");
}

static void *await_taken_over(void *unused)
{
	(void)unused;
	await_line("took over with a connection to 127.0.0.1:");
	hang_up();
	await_line("connected again (1)");
	detach();
	hang_up();
	return NULL;
}

/* A supervisor that is started again has no socket: the kernel gets a spare one. */
static void a_device_without_a_socket_gets_one(void **state)
{
	(void)state;
	s.fds[0] = -1;
	run(await_taken_over);
}

static void tell_link_dead(uint32_t index)
{
	struct {
		struct nlmsghdr header;
		struct genlmsghdr generic;
		struct nlattr attribute;
		uint32_t index;
	} message = {
		.header = {.nlmsg_len = sizeof(message), .nlmsg_type = FAMILY},
		.generic = {.cmd = NBD_CMD_LINK_DEAD},
		.attribute = {.nla_len = 8, .nla_type = NBD_ATTR_INDEX},
		.index = index,
	};

	send(events_fd, &message, sizeof(message), 0);
}

static void *tell_of_the_old_link(void *unused)
{
	(void)unused;
	tell_link_dead(INDEX);
	await_given(1);
	detach();
	hang_up();
	return NULL;
}

/* The driver drops a socket that comes before it has noticed the end of the old one. */
static void link_dead_of_a_link_that_stands_gives_it_again(void **state)
{
	(void)state;
	attach_first_link();
	run(tell_of_the_old_link);
	assert_int_equal(server.accepted, 1);
}

static void *lose_answers(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	kernel.error = -ENOBUFS;
	kernel.errors = 2;
	pthread_mutex_unlock(&lock);
	hang_up();
	await_line("connected again (1)");
	await_given(3);
	detach();
	hang_up();
	return NULL;
}

static void a_socket_is_given_again_and_again(void **state)
{
	(void)state;
	attach_first_link();
	run(lose_answers);
	assert_int_equal(server.accepted, 2);
}

static void *await_second_address(void *unused)
{
	(void)unused;
	hang_up();
	await_line("connect: Connection refused");
	await_line("connected again (1)");
	detach();
	hang_up();
	return NULL;
}

static void the_next_address_is_tried(void **state)
{
	struct address gone;

	(void)state;
	attach_first_link();
	close(listen_on_loopback(&gone));
	s.addresses.items[1] = s.addresses.items[0];
	s.addresses.items[0] = gone;
	s.addresses.count = 2;
	run(await_second_address);
	assert_int_equal(s.address, 1);
}

static void *bounce(void *unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++) {
		char line[32];

		hang_up();
		snprintf(line, sizeof(line), "connected again (%d)", i + 1);
		await_line(line);
	}
	detach();
	hang_up();
	return NULL;
}

static void a_link_that_falls_at_once_is_made_ever_slower(void **state)
{
	struct timespec from, to;

	(void)state;
	attach_first_link();
	clock_gettime(CLOCK_MONOTONIC, &from);
	run(bounce);
	clock_gettime(CLOCK_MONOTONIC, &to);
	/* 200 + 400 + 800 + 1600 ms, less what rounding to seconds may take */
	assert_in_range(to.tv_sec - from.tv_sec, 2, DEADLINE_S);
}

static void only_the_same_export_takes_the_place(void **state)
{
	static const struct export_info attached = {.size_bytes = SIZE_BYTES,
						    .flags = FLAGS,
						    .minimum_block_bytes = 512,
						    .maximum_block_bytes = 1 << 20,
						    .generation = "g1"};
	static const struct {
		struct export_info found;
		const char *said; /* NULL: it is the same */
	} cases[] = {
		{{SIZE_BYTES, FLAGS, 512, 1 << 20, "g1"}, NULL},
		{{SIZE_BYTES, FLAGS, 1, 0, "g1"}, NULL},
		{{SIZE_BYTES, FLAGS, 4096, 2 << 20, "g1"}, NULL},
		{{SIZE_BYTES - 1, FLAGS, 512, 1 << 20, "g1"},
		 "size in bytes was 1048576, is 1048575"},
		{{SIZE_BYTES, 0, 512, 1 << 20, "g1"}, "flags were 0x5, are 0x0"},
		{{SIZE_BYTES, FLAGS, 8192, 1 << 20, "g1"}, "wants blocks of 8192 bytes"},
		{{SIZE_BYTES, FLAGS, 512, 1 << 19, "g1"}, "was 1048576, is 524288"},
		{{SIZE_BYTES, FLAGS, 512, 1 << 20, "g2"}, "generation was \"g1\", is \"g2\""},
		{{SIZE_BYTES, FLAGS, 512, 1 << 20, ""}, "generation was \"g1\", is \"\""},
	};
	struct failure why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int err = session_same_export(&attached, 4096, &cases[i].found, &why);

		assert_int_equal(err, cases[i].said ? -ESTALE : 0);
		if (err && !strstr(why.text, cases[i].said))
			fail_msg("\"%s\" does not say \"%s\"", why.text, cases[i].said);
	}
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_same_export_takes_the_place),
		STAGED(a_lost_link_is_made_again),
		STAGED(another_export_is_refused_until_it_is_the_right_one),
		STAGED(a_detached_device_is_left_alone),
		STAGED(a_device_without_a_socket_gets_one),
		STAGED(link_dead_of_a_link_that_stands_gives_it_again),
		STAGED(a_socket_is_given_again_and_again),
		STAGED(the_next_address_is_tried),
		STAGED(a_link_that_falls_at_once_is_made_ever_slower),
	};
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &monotonic);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
