/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netlink messages, with a packet socket pair in place of the kernel: answers
 * are written beforehand, the request is read and taken apart afterwards.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>

#include "client-static/client.h"

enum {
	FAMILY = 0x1d,
	SEQUENCE = 1,
	/* Of our patches, docs/nbd-netlink.yaml. */
	DEVICE_CONNECTIONS = 3,
	CONNECTION_ITEM = 1,
	CONNECTION_INDEX = 1,
	CONNECTION_STATE = 2,
	ATTR_RECONNECT = 11,
	RECONNECT_ADDRESS = 1,
	RECONNECT_SEND = 2,
	RECONNECT_EXPECT = 3,
	LINK_UP = 6,
};

static int client_fd, kernel_fd;
static struct failure why;
static struct {
	_Alignas(4) uint8_t bytes[8192];
	size_t length;
} answer, request;

static void put(const void *bytes, size_t length)
{
	memcpy(answer.bytes + answer.length, bytes, length);
	memset(answer.bytes + answer.length + length, 0, NLMSG_ALIGN(length) - length);
	answer.length += NLMSG_ALIGN(length);
}

static void put_header(uint16_t type, uint16_t flags, uint32_t sequence, uint32_t length)
{
	struct nlmsghdr header = {.nlmsg_len = length,
				  .nlmsg_type = type,
				  .nlmsg_flags = flags,
				  .nlmsg_seq = sequence};

	put(&header, sizeof(header));
}

static void put_attribute(uint16_t type, const void *data, uint16_t length)
{
	struct nlattr attribute = {.nla_len = NLA_HDRLEN + length, .nla_type = type};

	put(&attribute, sizeof(attribute));
	put(data, length);
}

/* An acknowledgement as the kernel writes it: capped, or with the request echoed. */
static void put_ack(int error, const char *text, bool capped)
{
	struct nlmsgerr ack = {.error = error, .msg = {.nlmsg_len = capped ? 16 : 40}};
	uint8_t echo[24] = {0};
	size_t start = answer.length;
	uint16_t flags = (capped ? NLM_F_CAPPED : 0) | (text ? NLM_F_ACK_TLVS : 0);
	uint32_t length;

	put_header(NLMSG_ERROR, flags, SEQUENCE, 0);
	put(&ack, sizeof(ack));
	if (!capped)
		put(echo, sizeof(echo));
	if (text)
		put_attribute(NLMSGERR_ATTR_MSG, text, (uint16_t)(strlen(text) + 1));
	length = (uint32_t)(answer.length - start);
	memcpy(answer.bytes + start, &length, sizeof(length));
}

static void put_family(uint16_t family)
{
	struct genlmsghdr generic = {.cmd = CTRL_CMD_NEWFAMILY};

	put_header(GENL_ID_CTRL, 0, SEQUENCE, 16 + 4 + 8 + 8);
	put(&generic, sizeof(generic));
	put_attribute(CTRL_ATTR_FAMILY_NAME, "nbd", 4);
	put_attribute(CTRL_ATTR_FAMILY_ID, &family, sizeof(family));
}

static void send_answer(void)
{
	assert_int_equal(send(kernel_fd, answer.bytes, answer.length, 0), answer.length);
	answer.length = 0;
}

static int open_pair(void **state)
{
	static const struct timeval limit = {.tv_sec = 2};
	int fds[2];

	(void)state;
	answer.length = 0;
	memset(&why, 0, sizeof(why));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		return -1;
	client_fd = fds[0];
	kernel_fd = fds[1];
	return setsockopt(client_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static int close_pair(void **state)
{
	(void)state;
	return close(client_fd) | close(kernel_fd);
}

static struct attach_device device(void)
{
	return (struct attach_device){
		.index = 1,
		.size_bytes = 512 << 20,
		.block_size_bytes = 4096,
		.server_flags = 0x105,
		.dead_timeout_s = 1000,
		.fd_count = 1,
		.fds = {7},
	};
}

static int connect_device(const struct attach_device *job)
{
	struct netlink netlink = {.fd = client_fd, .family = FAMILY};
	int err = attach_connect(&netlink, job, &why);
	ssize_t length = recv(kernel_fd, request.bytes, sizeof(request.bytes), MSG_DONTWAIT);

	request.length = length < 0 ? 0 : (size_t)length;
	return err;
}

/* The attribute of that type, checked as the kernel checks: in bounds, length exact. */
static const uint8_t *attribute(const uint8_t *at, size_t length, uint16_t type, size_t expected)
{
	while (length >= NLA_HDRLEN) {
		struct nlattr header;

		memcpy(&header, at, sizeof(header));
		assert_in_range(header.nla_len, NLA_HDRLEN, length);
		if ((header.nla_type & NLA_TYPE_MASK) == type) {
			assert_int_equal(header.nla_len - NLA_HDRLEN, expected);
			return at + NLA_HDRLEN;
		}
		at += NLA_ALIGN(header.nla_len);
		length -= NLA_ALIGN(header.nla_len);
	}
	return NULL;
}

static const uint8_t *requested(uint16_t type, size_t expected)
{
	return attribute(request.bytes + 20, request.length - 20, type, expected);
}

static uint64_t requested_u64(uint16_t type)
{
	const uint8_t *at = requested(type, sizeof(uint64_t));
	uint64_t value;

	assert_non_null(at);
	memcpy(&value, at, sizeof(value));
	return value;
}

static void connect_has_every_attribute(void **state)
{
	(void)state;
	struct attach_device job = device();
	struct nlmsghdr header;
	uint32_t index;

	job.identifier = "room 7";
	job.io_timeout_s = 30;
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), 0);
	memcpy(&header, request.bytes, sizeof(header));
	assert_int_equal(header.nlmsg_len, request.length);
	assert_int_equal(header.nlmsg_type, FAMILY);
	assert_int_equal(header.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	assert_int_equal(request.bytes[16], NBD_CMD_CONNECT);
	memcpy(&index, requested(NBD_ATTR_INDEX, sizeof(index)), sizeof(index));
	assert_int_equal(index, 1);
	assert_int_equal(requested_u64(NBD_ATTR_SIZE_BYTES), 512 << 20);
	assert_int_equal(requested_u64(NBD_ATTR_BLOCK_SIZE_BYTES), 4096);
	assert_int_equal(requested_u64(NBD_ATTR_SERVER_FLAGS), 0x105);
	assert_int_equal(requested_u64(NBD_ATTR_CLIENT_FLAGS), 0);
	assert_int_equal(requested_u64(NBD_ATTR_TIMEOUT), 30);
	assert_int_equal(requested_u64(NBD_ATTR_DEAD_CONN_TIMEOUT), 1000);
	assert_string_equal(requested(NBD_ATTR_BACKEND_IDENTIFIER, 7), "room 7");
}

static void connect_leaves_out_what_was_not_asked(void **state)
{
	(void)state;
	struct attach_device job = device();

	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), 0);
	assert_null(requested(NBD_ATTR_TIMEOUT, 8));
	assert_null(requested(NBD_ATTR_BACKEND_IDENTIFIER, 0));
}

static void largest_message_carries_every_socket(void **state)
{
	(void)state;
	static char identifier[256];
	struct attach_device job = device();
	const uint8_t *sockets;

	memset(identifier, 'i', sizeof(identifier) - 1);
	job.identifier = identifier;
	job.fd_count = CONNECTIONS_MAX;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		job.fds[i] = 100 + i;
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), 0);
	sockets = requested(NBD_ATTR_SOCKETS, CONNECTIONS_MAX * 12);
	assert_non_null(sockets);
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		const uint8_t *item = attribute(sockets + i * 12, 12, NBD_SOCK_ITEM, 8);
		int fd;

		assert_non_null(item);
		memcpy(&fd, attribute(item, 8, NBD_SOCK_FD, sizeof(fd)), sizeof(fd));
		assert_int_equal(fd, 100 + i);
	}
}

static void identifier_is_bounded(void **state)
{
	(void)state;
	static char identifier[257];
	struct attach_device job = device();

	memset(identifier, 'i', sizeof(identifier) - 1);
	job.identifier = identifier;
	assert_int_equal(connect_device(&job), -EINVAL);
	assert_int_equal(request.length, 0);
}

/* The next attribute from *at on, of that type and content. */
static void expect_next(const uint8_t **at, uint16_t type, const void *bytes, size_t length)
{
	struct nlattr header;

	memcpy(&header, *at, sizeof(header));
	assert_int_equal(header.nla_type, type);
	assert_int_equal(header.nla_len, NLA_HDRLEN + length);
	assert_memory_equal(*at + NLA_HDRLEN, bytes, length);
	*at += NLA_ALIGN(header.nla_len);
}

static struct address_list addresses(size_t count)
{
	struct address_list list = {.count = count};

	for (size_t i = 0; i < count; i++) {
		memset(&list.items[i].storage, (int)('a' + i), sizeof(list.items[i].storage));
		list.items[i].length = sizeof(struct sockaddr_in6);
	}
	list.items[0].length = sizeof(struct sockaddr_in);
	return list;
}

static void connect_hands_over_handshake_and_addresses(void **state)
{
	(void)state;
	static const struct handshake handshake = {
		.step_count = 4,
		.byte_count = 11,
		.steps = {{.length_bytes = 3},
			  {.length_bytes = 4, .is_sent = true},
			  {.length_bytes = 1},
			  {.length_bytes = 3}},
		.bytes = "NBDflagssay",
	};
	const size_t nested = (4 + 28) + (4 + 28) + (4 + 16) + 8 + 8 + 8 + 8;
	const struct address_list list = addresses(3);
	struct attach_device job = device();
	const uint8_t *at;

	job.handshake = &handshake;
	job.addresses = &list;
	job.address = 1; /* stands now, so it is the first to be tried */
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), 0);
	at = requested(ATTR_RECONNECT, nested);
	assert_non_null(at);
	expect_next(&at, RECONNECT_ADDRESS, &list.items[1].storage, 28);
	expect_next(&at, RECONNECT_ADDRESS, &list.items[2].storage, 28);
	expect_next(&at, RECONNECT_ADDRESS, &list.items[0].storage, 16);
	expect_next(&at, RECONNECT_EXPECT, "NBD", 3);
	expect_next(&at, RECONNECT_SEND, "flag", 4);
	expect_next(&at, RECONNECT_EXPECT, "s", 1);
	expect_next(&at, RECONNECT_EXPECT, "say", 3);
}

static void longest_handshake_fits_the_largest_message(void **state)
{
	(void)state;
	static struct handshake handshake = {
		.step_count = HANDSHAKE_STEPS,
		.byte_count = HANDSHAKE_BYTES,
	};
	static char identifier[256];
	const struct address_list list = addresses(ADDRESSES_MAX);
	struct attach_device job = device();

	for (int i = 0; i < HANDSHAKE_STEPS; i++)
		handshake.steps[i].length_bytes = 1; /* each is padded to 4 bytes */
	handshake.steps[0].length_bytes = HANDSHAKE_BYTES - (HANDSHAKE_STEPS - 1);
	memset(identifier, 'i', sizeof(identifier) - 1);
	job.identifier = identifier;
	job.io_timeout_s = 30;
	job.fd_count = CONNECTIONS_MAX;
	job.handshake = &handshake;
	job.addresses = &list;
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), 0);
	assert_non_null(
		requested(ATTR_RECONNECT, 4 + 16 + (ADDRESSES_MAX - 1) * (4 + 28) + 4 +
						  NLMSG_ALIGN(handshake.steps[0].length_bytes) +
						  (HANDSHAKE_STEPS - 1) * 8));
}

static int reconfigure(int fd)
{
	struct netlink netlink = {.fd = client_fd, .family = FAMILY};
	int err = attach_reconfigure(&netlink, 3, "room 7", fd, &why);
	ssize_t length = recv(kernel_fd, request.bytes, sizeof(request.bytes), MSG_DONTWAIT);

	request.length = length < 0 ? 0 : (size_t)length;
	return err;
}

/* Anything more would change the device, or wait for what waits for this message. */
static void reconfigure_has_device_identifier_and_socket_only(void **state)
{
	(void)state;
	const size_t attributes = 8 + 12 + 4 + 12;
	const uint8_t *sockets, *item;
	uint32_t fd;

	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(reconfigure(42), 0);
	assert_int_equal(request.bytes[16], NBD_CMD_RECONFIGURE);
	assert_int_equal(*requested(NBD_ATTR_INDEX, 4), 3);
	assert_string_equal(requested(NBD_ATTR_BACKEND_IDENTIFIER, 7), "room 7");
	sockets = requested(NBD_ATTR_SOCKETS, 12);
	assert_non_null(sockets);
	item = attribute(sockets, 12, NBD_SOCK_ITEM, 8);
	memcpy(&fd, attribute(item, 8, NBD_SOCK_FD, sizeof(fd)), sizeof(fd));
	assert_int_equal(fd, 42);
	assert_int_equal(request.length, 20 + attributes);
}

static void reconfigure_without_a_socket_only_asks(void **state)
{
	(void)state;
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(reconfigure(-1), 0);
	assert_null(requested(NBD_ATTR_SOCKETS, 0));
	put_ack(-EINVAL, NULL, true);
	send_answer();
	assert_int_equal(reconfigure(-1), -EINVAL);
}

static void notify(uint16_t family, uint8_t what, uint32_t index)
{
	struct genlmsghdr generic = {.cmd = what};

	put_header(family, 0, 0, 16 + 4 + 8);
	put(&generic, sizeof(generic));
	put_attribute(NBD_ATTR_INDEX, &index, sizeof(index));
	send_answer();
}

static void links_are_heard_of_the_own_device(void **state)
{
	(void)state;
	struct netlink events = {.fd = client_fd, .family = FAMILY};

	assert_int_equal(attach_heard(&events, 3), 0);
	notify(FAMILY, NBD_CMD_LINK_DEAD, 2);
	notify(FAMILY, LINK_UP, 2);
	notify(FAMILY, NBD_CMD_STATUS, 3);
	notify(FAMILY + 1, NBD_CMD_LINK_DEAD, 3);
	assert_int_equal(attach_heard(&events, 3), 0);
	notify(FAMILY, NBD_CMD_LINK_DEAD, 2);
	notify(FAMILY, NBD_CMD_LINK_DEAD, 3);
	notify(FAMILY, LINK_UP, 2);
	assert_int_equal(attach_heard(&events, 3), HEARD_LINK_DEAD);
	notify(FAMILY, LINK_UP, 3);
	assert_int_equal(attach_heard(&events, 3), HEARD_LINK_UP);
	notify(FAMILY, NBD_CMD_LINK_DEAD, 3);
	notify(FAMILY, LINK_UP, 3);
	assert_int_equal(attach_heard(&events, 3), HEARD_LINK_DEAD | HEARD_LINK_UP);
	assert_int_equal(attach_heard(&events, 3), 0);
}

static void put_nest(uint16_t type, size_t payload_bytes)
{
	struct nlattr nest = {.nla_len = (uint16_t)(NLA_HDRLEN + payload_bytes), .nla_type = type};

	put(&nest, sizeof(nest));
}

/* NBD_CMD_STATUS of one device, in the order of the kernel; count 0: it tells of no connection. */
static void put_status(const uint8_t *states, size_t count)
{
	const size_t item_bytes = 4 + 8 + 8, list_bytes = count ? 4 + count * item_bytes : 0;
	struct genlmsghdr generic = {.cmd = NBD_CMD_STATUS};
	uint32_t index = 3;
	uint8_t connected = 1;

	put_header(FAMILY, 0, SEQUENCE, (uint32_t)(16 + 4 + 4 + 4 + 8 + 8 + list_bytes));
	put(&generic, sizeof(generic));
	put_nest(NBD_ATTR_DEVICE_LIST, 4 + 8 + 8 + list_bytes);
	put_nest(NBD_DEVICE_ITEM, 8 + 8 + list_bytes);
	put_attribute(NBD_DEVICE_INDEX, &index, sizeof(index));
	put_attribute(NBD_DEVICE_CONNECTED, &connected, sizeof(connected));
	if (count)
		put_nest(DEVICE_CONNECTIONS, count * item_bytes);
	for (uint32_t i = 0; i < count; i++) {
		put_nest(CONNECTION_ITEM, 8 + 8);
		put_attribute(CONNECTION_INDEX, &i, sizeof(i));
		put_attribute(CONNECTION_STATE, &states[i], 1);
	}
}

/* What the state of the connection is found to be in the answer that was put. */
static int link_state_of(uint32_t connection)
{
	const struct netlink netlink = {.fd = client_fd, .family = FAMILY};
	ssize_t length;
	int state;

	send_answer();
	put_ack(0, NULL, true);
	send_answer();
	state = attach_link_state(&netlink, 3, connection);
	length = recv(kernel_fd, request.bytes, sizeof(request.bytes), MSG_DONTWAIT);
	request.length = length < 0 ? 0 : (size_t)length;
	return state;
}

static void state_of_each_connection_is_found(void **state)
{
	(void)state;
	static const uint8_t states[] = {LINK_LIVE, LINK_DEAD, LINK_CONNECTING, LINK_REFUSED};

	for (uint32_t i = 0; i < 4; i++) {
		put_status(states, 4);
		assert_int_equal(link_state_of(i), states[i]);
		assert_int_equal(request.bytes[16], NBD_CMD_STATUS);
		assert_int_equal(*requested(NBD_ATTR_INDEX, 4), 3);
	}
}

static void driver_that_tells_no_state_is_told_apart(void **state)
{
	(void)state;
	static const uint8_t one[] = {LINK_LIVE};

	put_status(NULL, 0); /* a stock kernel, or a device that is being detached */
	assert_int_equal(link_state_of(0), -ENODATA);
	put_status(one, 1);
	assert_int_equal(link_state_of(1), -ENODATA);
	put_ack(-EINVAL, NULL, true);
	send_answer();
	assert_int_equal(
		attach_link_state(&(struct netlink){.fd = client_fd, .family = FAMILY}, 3, 0),
		-EINVAL);
}

/* Every cut of an answer, and every length of a nest in it, right or not. */
static void hostile_status_is_not_followed(void **state)
{
	(void)state;
	static const uint8_t states[] = {LINK_LIVE, LINK_CONNECTING};
	static const uint16_t lengths[] = {0, 3, 4, 5, 7, 12, 0xffff};

	put_status(states, 2);
	for (size_t nest = 20; nest + 2 <= answer.length; nest += 4) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
			int found;

			answer.length = 0;
			put_status(states, 2);
			memcpy(answer.bytes + nest, &lengths[i], sizeof(lengths[i]));
			found = link_state_of(1);
			assert_true(found == -ENODATA || (found >= 0 && found <= UINT8_MAX));
			answer.length = 0;
			put_status(states, 2);
		}
	}
	answer.length = 0;
}

static void put_group(const char *name, uint32_t group)
{
	uint8_t name_bytes = (uint8_t)(strlen(name) + 1);
	uint16_t item_bytes = 4 + 8 + 4 + NLMSG_ALIGN(name_bytes);
	struct nlattr groups = {.nla_len = 4 + item_bytes, .nla_type = CTRL_ATTR_MCAST_GROUPS};
	struct nlattr item = {.nla_len = item_bytes, .nla_type = 1};
	struct genlmsghdr generic = {.cmd = CTRL_CMD_NEWFAMILY};
	uint16_t family = FAMILY;

	put_header(GENL_ID_CTRL, 0, SEQUENCE, 16 + 4 + 8 + groups.nla_len);
	put(&generic, sizeof(generic));
	put_attribute(CTRL_ATTR_FAMILY_ID, &family, sizeof(family));
	put(&groups, sizeof(groups));
	put(&item, sizeof(item));
	put_attribute(CTRL_ATTR_MCAST_GRP_ID, &group, sizeof(group));
	put_attribute(CTRL_ATTR_MCAST_GRP_NAME, name, name_bytes);
}

static void group_of_the_notifications_is_found(void **state)
{
	(void)state;
	struct netlink found;

	put_group("nbd_mc_group", 11);
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(attach_begin(client_fd, &found, &why), 0);
	assert_int_equal(found.family, FAMILY);
	assert_int_equal(found.group, 11);
	put_group("nbd_mc_grouq", 11);
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(attach_begin(client_fd, &found, &why), 0);
	assert_int_equal(found.group, 0);
}

static void words_of_the_kernel_are_passed_on(void **state)
{
	(void)state;
	struct attach_device job = device();

	for (int capped = 0; capped < 2; capped++) {
		put_ack(-EINVAL, "nbd: sockets are wrong", capped);
		send_answer();
		assert_int_equal(connect_device(&job), -EINVAL);
		assert_string_equal(why.text, "attach: the kernel refused: nbd: sockets are wrong");
		assert_int_equal(why.exit_code, EXIT_PERMANENT);
	}
	put_ack(-EINVAL, NULL, false);
	send_answer();
	assert_int_equal(connect_device(&job), -EINVAL);
	assert_string_equal(why.text, "attach: the kernel refused: Invalid argument");
}

static void busy_and_unprivileged_say_what_to_do(void **state)
{
	(void)state;
	struct attach_device job = device();

	put_ack(-EBUSY, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), -EBUSY);
	assert_int_equal(why.exit_code, EXIT_PERMANENT);
	assert_non_null(strstr(why.text, "attached already; -d detaches it"));
	put_ack(-EPERM, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), -EPERM);
	assert_non_null(strstr(why.text, "it takes root"));
}

static void family_is_found(void **state)
{
	(void)state;
	struct netlink netlink = {0};
	uint8_t expected[] = {28,
			      0,
			      0,
			      0,
			      GENL_ID_CTRL,
			      0,
			      5,
			      0,
			      1,
			      0,
			      0,
			      0,
			      0,
			      0,
			      0,
			      0,
			      CTRL_CMD_GETFAMILY,
			      1,
			      0,
			      0,
			      8,
			      0,
			      CTRL_ATTR_FAMILY_NAME,
			      0,
			      'n',
			      'b',
			      'd',
			      0};

	put_family(FAMILY);
	send_answer();
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(attach_begin(client_fd, &netlink, &why), 0);
	assert_int_equal(netlink.family, FAMILY);
	assert_int_equal(netlink.fd, client_fd);
	assert_int_equal(recv(kernel_fd, request.bytes, sizeof(request.bytes), 0),
			 sizeof(expected));
	assert_memory_equal(request.bytes, expected, sizeof(expected));
}

static void driver_that_can_connect_again_is_known_by_its_attributes(void **state)
{
	(void)state;

	for (uint32_t max = ATTR_RECONNECT - 1; max <= ATTR_RECONNECT + 1; max++) {
		struct genlmsghdr generic = {.cmd = CTRL_CMD_NEWFAMILY};
		struct netlink netlink = {0};
		uint16_t family = FAMILY;

		put_header(GENL_ID_CTRL, 0, SEQUENCE, 16 + 4 + 8 + 8);
		put(&generic, sizeof(generic));
		put_attribute(CTRL_ATTR_FAMILY_ID, &family, sizeof(family));
		put_attribute(CTRL_ATTR_MAXATTR, &max, sizeof(max));
		send_answer();
		put_ack(0, NULL, true);
		send_answer();
		assert_int_equal(attach_begin(client_fd, &netlink, &why), 0);
		assert_int_equal(netlink.can_reconnect, max >= ATTR_RECONNECT);
	}
}

static void missing_driver_is_named(void **state)
{
	(void)state;
	struct netlink netlink;

	put_ack(-ENOENT, NULL, true);
	send_answer();
	assert_int_equal(attach_begin(client_fd, &netlink, &why), -ENOENT);
	assert_int_equal(why.exit_code, EXIT_PERMANENT);
	assert_non_null(strstr(why.text, "modprobe nbd"));
}

static void answers_to_others_are_passed_over(void **state)
{
	(void)state;
	struct attach_device job = device();

	put_header(NLMSG_ERROR, 0, 99, 16 + sizeof(struct nlmsgerr));
	put(&(struct nlmsgerr){.error = -EIO}, sizeof(struct nlmsgerr));
	put_header(NLMSG_NOOP, 0, SEQUENCE, 16);
	send_answer();
	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(connect_device(&job), 0);
}

static void malformed_answers_end(void **state)
{
	(void)state;
	static const uint32_t lengths[] = {0, 15, 17, 19, 4000, 0xffffffff};
	struct attach_device job = device();

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		put_header(NLMSG_ERROR, NLM_F_ACK_TLVS, SEQUENCE, lengths[i]);
		put("\0\0\0\0", 4);
		send_answer();
		assert_int_equal(connect_device(&job), -EPROTO);
	}
}

static void numbers_that_are_no_errno_are_refused(void **state)
{
	(void)state;
	static const int numbers[] = {1, -4096, INT_MAX, INT_MIN};
	struct attach_device job = device();

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		put_ack(numbers[i], NULL, true);
		send_answer();
		assert_int_equal(connect_device(&job), -EPROTO);
	}
}

static void hostile_attributes_are_not_followed(void **state)
{
	(void)state;
	static const uint16_t lengths[] = {0, 1, 3, 5, 0xffff};
	struct attach_device job = device();

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct nlattr attribute_header = {.nla_len = lengths[i],
						  .nla_type = NLMSGERR_ATTR_MSG};

		put_header(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, SEQUENCE, 16 + 20 + 4);
		put(&(struct nlmsgerr){.error = -EIO, .msg = {.nlmsg_len = 0xfffffff0}},
		    sizeof(struct nlmsgerr));
		put(&attribute_header, sizeof(attribute_header));
		send_answer();
		assert_int_equal(connect_device(&job), -EIO);
		assert_non_null(strstr(why.text, "Input/output error"));
	}
}

static void closed_socket_is_an_error(void **state)
{
	(void)state;
	struct attach_device job = device();

	shutdown(kernel_fd, SHUT_WR);
	assert_int_equal(connect_device(&job), -ECONNRESET);
}

static void disconnect_names_the_device(void **state)
{
	(void)state;
	struct netlink netlink = {.fd = client_fd, .family = FAMILY};
	uint32_t index;

	put_ack(0, NULL, true);
	send_answer();
	assert_int_equal(attach_disconnect(&netlink, 20, &why), 0);
	request.length = (size_t)recv(kernel_fd, request.bytes, sizeof(request.bytes), 0);
	assert_int_equal(request.bytes[16], NBD_CMD_DISCONNECT);
	memcpy(&index, requested(NBD_ATTR_INDEX, sizeof(index)), sizeof(index));
	assert_int_equal(index, 20);
}

static void dead_timeout_is_long_and_fits_the_driver(void **state)
{
	(void)state;
	assert_true(attach_dead_timeout_default_s() <= attach_dead_timeout_max_s());
	assert_true(attach_dead_timeout_max_s() <= (uint64_t)LONG_MAX / 1000);
	assert_true(sizeof(long) == 4 || attach_dead_timeout_default_s() > 300000000);
}

#define PAIRED(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRED(connect_has_every_attribute),
		PAIRED(connect_leaves_out_what_was_not_asked),
		PAIRED(largest_message_carries_every_socket),
		PAIRED(identifier_is_bounded),
		PAIRED(reconfigure_has_device_identifier_and_socket_only),
		PAIRED(reconfigure_without_a_socket_only_asks),
		PAIRED(connect_hands_over_handshake_and_addresses),
		PAIRED(longest_handshake_fits_the_largest_message),
		PAIRED(links_are_heard_of_the_own_device),
		PAIRED(state_of_each_connection_is_found),
		PAIRED(driver_that_tells_no_state_is_told_apart),
		PAIRED(hostile_status_is_not_followed),
		PAIRED(driver_that_can_connect_again_is_known_by_its_attributes),
		PAIRED(group_of_the_notifications_is_found),
		PAIRED(words_of_the_kernel_are_passed_on),
		PAIRED(busy_and_unprivileged_say_what_to_do),
		PAIRED(family_is_found),
		PAIRED(missing_driver_is_named),
		PAIRED(answers_to_others_are_passed_over),
		PAIRED(malformed_answers_end),
		PAIRED(numbers_that_are_no_errno_are_refused),
		PAIRED(hostile_attributes_are_not_followed),
		PAIRED(closed_socket_is_an_error),
		PAIRED(disconnect_names_the_device),
		cmocka_unit_test(dead_timeout_is_long_and_fits_the_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
