/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netlink messages of a driver that connects again by itself: what it is told for that, and what it
 * tells of its links.
 */
#include "client-static/attach-testbed.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>

enum {
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRED(connect_hands_over_handshake_and_addresses),
		PAIRED(longest_handshake_fits_the_largest_message),
		PAIRED(links_are_heard_of_the_own_device),
		PAIRED(state_of_each_connection_is_found),
		PAIRED(driver_that_tells_no_state_is_told_apart),
		PAIRED(hostile_status_is_not_followed),
		PAIRED(driver_that_can_connect_again_is_known_by_its_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
