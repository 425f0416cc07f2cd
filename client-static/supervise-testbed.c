/* SPDX-License-Identifier: GPL-2.0-only */
/* The server and the kernel of supervise-test.c, each in its thread; see supervise-testbed.h. */
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

#include "client-static/supervise-testbed.h"
#include "common/log.h"
#include "common/wire.h"

enum {
	FAMILY = 0x1d,
	/* Of the specification; its header and the driver's define the same names. */
	GO = 7,
	REPLY_ACK = 1,
	REPLY_INFO = 3,
	/* Of our patches, docs/nbd-netlink.yaml. */
	DEVICE_CONNECTIONS = 3,
	CONNECTION_ITEM = 1,
	CONNECTION_STATE = 2,
	LINK_UP = 6,
};

pthread_mutex_t testbed_lock;
static pthread_cond_t changed;

struct testbed_server testbed_server;
struct testbed_kernel testbed_kernel;
struct supervision testbed_device;
char testbed_said[TESTBED_SAID_BYTES];
static int kernel_fd, events_fd;

static void hear_line(const char *line)
{
	pthread_mutex_lock(&testbed_lock);
	strncat(testbed_said, line, sizeof(testbed_said) - strlen(testbed_said) - 2);
	strcat(testbed_said, "\n");
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&testbed_lock);
}

/* Waits until is_so(argument), with the lock held while it is asked; ends the test program else. */
static void await(bool (*is_so)(const void *argument), const void *argument, const char *what)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += TESTBED_DEADLINE_S;
	pthread_mutex_lock(&testbed_lock);
	while (!is_so(argument)) {
		if (pthread_cond_timedwait(&changed, &testbed_lock, &deadline) == ETIMEDOUT) {
			fprintf(stderr, "did not happen in %d s: %s; said:\n%s", TESTBED_DEADLINE_S,
				what, testbed_said);
			exit(1);
		}
	}
	pthread_mutex_unlock(&testbed_lock);
}

static bool is_said(const void *text)
{
	return strstr(testbed_said, text);
}

void testbed_await_line(const char *text)
{
	await(is_said, text, text);
}

static bool is_given(const void *count)
{
	return testbed_kernel.given >= *(const int *)count;
}

void testbed_await_given(int count)
{
	await(is_given, &count, "a socket is given to the kernel");
}

static bool is_asked(const void *count)
{
	return testbed_kernel.asked >= *(const int *)count;
}

void testbed_await_asked(int count)
{
	await(is_asked, &count, "the kernel is asked for the device");
}

/* The loop changes its state and tells nobody, so that this one looks again and again. */
void testbed_await_state(enum supervise_state state)
{
	const struct timespec a_moment = {.tv_nsec = 10 * 1000 * 1000};
	volatile uint32_t *is = &testbed_device.state;

	for (int i = 0; *is != (uint32_t)state; i++) {
		if (i == TESTBED_DEADLINE_S * 100) {
			fprintf(stderr, "the state is not %d but %u\n", (int)state, *is);
			exit(1);
		}
		nanosleep(&a_moment, NULL);
	}
}

/* An answer to NBD_OPT_GO with what the export is now. */
static void serve_go(int fd)
{
	uint8_t buf[64], *at = buf;
	struct wire_option_reply info = {.option = GO, .type = REPLY_INFO, .length = 12};
	struct wire_option_reply ack = {.option = GO, .type = REPLY_ACK};
	struct wire_export export;

	pthread_mutex_lock(&testbed_lock);
	export = (struct wire_export){.size_bytes = testbed_server.size_bytes,
				      .flags = testbed_server.flags};
	if (testbed_kernel.connects)
		testbed_kernel.link_state = LINK_LIVE;
	pthread_mutex_unlock(&testbed_lock);
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
		/* Before the handshake, after which the director may hang up at once. */
		pthread_mutex_lock(&testbed_lock);
		if (testbed_server.connection >= 0)
			close(testbed_server.connection);
		testbed_server.connection = fd;
		testbed_server.accepted++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&testbed_lock);
		serve_handshake(fd);
	}
	return NULL;
}

/* The server process of the device dies: its connection ends. */
void testbed_hang_up(void)
{
	pthread_mutex_lock(&testbed_lock);
	close(testbed_server.connection);
	testbed_server.connection = -1;
	pthread_mutex_unlock(&testbed_lock);
}

/* An attribute with its header, or NULL. */
static const uint8_t *find_attribute(const uint8_t *at, size_t length, uint16_t type)
{
	while (length >= NLA_HDRLEN) {
		struct nlattr header;

		memcpy(&header, at, sizeof(header));
		if ((header.nla_type & NLA_TYPE_MASK) == type)
			return at;
		if ((size_t)NLA_ALIGN(header.nla_len) >= length || header.nla_len < NLA_HDRLEN)
			break;
		at += NLA_ALIGN(header.nla_len);
		length -= NLA_ALIGN(header.nla_len);
	}
	return NULL;
}

static bool has_attribute(const uint8_t *at, size_t length, uint16_t type)
{
	return find_attribute(at, length, type) != NULL;
}

/* In NBD_ATTR_SOCKETS of one item: the fd, which is the same in this process. */
static int given_fd(const uint8_t *sockets)
{
	int fd;

	memcpy(&fd, sockets + 3 * NLA_HDRLEN, sizeof(fd));
	return fd;
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

/* NBD_CMD_STATUS of the device: nests in nests, the innermost with the state of its one link. */
static void answer_status(uint8_t state)
{
	struct {
		struct nlmsghdr header;
		struct genlmsghdr generic;
		struct nlattr list, device, connections, connection, state_header;
		uint8_t state[4];
	} reply = {
		.header = {.nlmsg_len = sizeof(reply), .nlmsg_type = FAMILY, .nlmsg_seq = 1},
		.generic = {.cmd = NBD_CMD_STATUS},
		.list = {.nla_len = 24, .nla_type = NBD_ATTR_DEVICE_LIST},
		.device = {.nla_len = 20, .nla_type = NBD_DEVICE_ITEM},
		.connections = {.nla_len = 16, .nla_type = DEVICE_CONNECTIONS},
		.connection = {.nla_len = 12, .nla_type = CONNECTION_ITEM},
		.state_header = {.nla_len = 5, .nla_type = CONNECTION_STATE},
		.state = {state},
	};

	send(kernel_fd, &reply, sizeof(reply), 0);
}

/* The errno that is answered to NBD_CMD_RECONFIGURE, with the lock held. */
static int reconfigure(const uint8_t *attributes, size_t length)
{
	if (has_attribute(attributes, length, NBD_ATTR_SIZE_BYTES) ||
	    has_attribute(attributes, length, NBD_ATTR_BLOCK_SIZE_BYTES))
		strcpy(testbed_kernel.wrong, "a size in RECONFIGURE");
	if (!has_attribute(attributes, length, NBD_ATTR_SOCKETS))
		testbed_kernel.asked++;
	if (testbed_kernel.errors) {
		testbed_kernel.errors -= testbed_kernel.errors > 0;
		return testbed_kernel.error;
	}
	if (has_attribute(attributes, length, NBD_ATTR_SOCKETS)) {
		if (testbed_kernel.has_fd &&
		    testbed_kernel.has_fd ==
			    given_fd(find_attribute(attributes, length, NBD_ATTR_SOCKETS)))
			strcpy(testbed_kernel.wrong, "a socket that the driver has is given again");
		testbed_kernel.given++;
		testbed_kernel.link_state = LINK_LIVE;
	}
	return 0;
}

static void take_message(const uint8_t *bytes, size_t length)
{
	const uint8_t *attributes = bytes + 20;
	int error = 0;

	pthread_mutex_lock(&testbed_lock);
	if (length < 20)
		strcpy(testbed_kernel.wrong, "a message without its headers");
	else if (bytes[16] == NBD_CMD_STATUS && testbed_kernel.errors >= 0)
		answer_status((uint8_t)testbed_kernel.link_state);
	else if (bytes[16] == NBD_CMD_RECONFIGURE)
		error = reconfigure(attributes, length - 20);
	else if (bytes[16] != NBD_CMD_STATUS)
		strcpy(testbed_kernel.wrong, "neither NBD_CMD_RECONFIGURE nor NBD_CMD_STATUS");
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&testbed_lock);
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
void testbed_detach(void)
{
	pthread_mutex_lock(&testbed_lock);
	testbed_kernel.error = -EINVAL;
	testbed_kernel.errors = -1;
	pthread_mutex_unlock(&testbed_lock);
}

int testbed_listen(struct address *ret)
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

int testbed_set_up(void **state)
{
	static bool is_timed;
	pthread_condattr_t monotonic;
	int netlink[2], events[2];

	(void)state;
	memset(&testbed_device, 0, sizeof(testbed_device));
	memset(&testbed_kernel, 0, sizeof(testbed_kernel));
	testbed_kernel.link_state = LINK_LIVE;
	*testbed_said = '\0';
	testbed_server.connection = -1;
	testbed_server.accepted = 0;
	testbed_server.size_bytes = TESTBED_SIZE_BYTES;
	testbed_server.flags = TESTBED_FLAGS;
	testbed_server.listener = testbed_listen(&testbed_device.addresses.items[0]);
	if (testbed_server.listener < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, netlink) ||
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, events))
		return -1;
	testbed_device.addresses.count = 1;
	testbed_device.job.device_index = TESTBED_INDEX;
	strcpy(testbed_device.job.target.export_name, "disk");
	strcpy(testbed_device.identifier, "id");
	testbed_device.export = (struct export_info){
		.size_bytes = TESTBED_SIZE_BYTES, .flags = TESTBED_FLAGS, .minimum_block_bytes = 1};
	testbed_device.block_size_bytes = 512;
	testbed_device.link_count = 1;
	testbed_device.netlink = (struct netlink){.fd = netlink[0], .family = FAMILY};
	testbed_device.events = (struct netlink){.fd = events[0], .family = FAMILY};
	kernel_fd = netlink[1];
	events_fd = events[1];
	if (!is_timed) {
		pthread_condattr_init(&monotonic);
		pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
		pthread_cond_init(&changed, &monotonic);
		pthread_mutex_init(&testbed_lock, NULL);
		is_timed = true;
	}
	log_to(hear_line);
	return pthread_create(&server_thread, NULL, run_server, &testbed_server.listener) ||
	       pthread_create(&kernel_thread, NULL, run_kernel, &kernel_fd);
}

int testbed_tear_down(void **state)
{
	(void)state;
	log_to(NULL);
	shutdown(testbed_server.listener, SHUT_RDWR);
	pthread_join(server_thread, NULL);
	close(testbed_server.listener);
	if (testbed_server.connection >= 0)
		close(testbed_server.connection);
	close(testbed_device.netlink.fd);
	pthread_join(kernel_thread, NULL);
	close(kernel_fd);
	close(testbed_device.events.fd);
	close(events_fd);
	return 0;
}

static bool is_accepted(const void *count)
{
	return testbed_server.accepted >= *(const int *)count;
}

/* The link that the device was attached with. */
void testbed_attach(void)
{
	struct export_info export;
	struct failure why;
	int one = 1;

	if (session_connect(&testbed_device.job, &testbed_device.addresses.items[0], 0,
			    &testbed_device.fds[0], &export, &why))
		fail_msg("%s", why.text);
	await(is_accepted, &one, "the first connection");
}

/* Runs the loop against the director, until the device is detached. */
void testbed_run(void *(*director)(void *))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, director, NULL), 0);
	assert_int_equal(supervise_run(&testbed_device), 0);
	pthread_join(thread, NULL);
	assert_string_equal(testbed_kernel.wrong, "");
	assert_int_equal(testbed_device.state, SUPERVISE_DETACHED);
}

static void tell_link(uint8_t command, uint32_t index)
{
	struct {
		struct nlmsghdr header;
		struct genlmsghdr generic;
		struct nlattr attribute;
		uint32_t index;
	} message = {
		.header = {.nlmsg_len = sizeof(message), .nlmsg_type = FAMILY},
		.generic = {.cmd = command},
		.attribute = {.nla_len = 8, .nla_type = NBD_ATTR_INDEX},
		.index = index,
	};

	send(events_fd, &message, sizeof(message), 0);
}

void testbed_tell_link_dead(uint32_t index)
{
	tell_link(NBD_CMD_LINK_DEAD, index);
}

static void set_link_state(enum link_state state)
{
	pthread_mutex_lock(&testbed_lock);
	testbed_kernel.link_state = (int)state;
	pthread_mutex_unlock(&testbed_lock);
}

void testbed_driver_loses(enum link_state state)
{
	set_link_state(state);
	tell_link(NBD_CMD_LINK_DEAD, TESTBED_INDEX);
}

void testbed_driver_connects(void)
{
	set_link_state(LINK_LIVE);
	tell_link(LINK_UP, TESTBED_INDEX);
}
