/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netlink messages that attach, change and detach a device, and what the kernel answers.
 */
#include "client-static/attach-testbed.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>

static void put_family(uint16_t family)
{
	struct genlmsghdr generic = {.cmd = CTRL_CMD_NEWFAMILY};

	put_header(GENL_ID_CTRL, 0, SEQUENCE, 16 + 4 + 8 + 8);
	put(&generic, sizeof(generic));
	put_attribute(CTRL_ATTR_FAMILY_NAME, "nbd", 4);
	put_attribute(CTRL_ATTR_FAMILY_ID, &family, sizeof(family));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRED(connect_has_every_attribute),
		PAIRED(connect_leaves_out_what_was_not_asked),
		PAIRED(largest_message_carries_every_socket),
		PAIRED(identifier_is_bounded),
		PAIRED(reconfigure_has_device_identifier_and_socket_only),
		PAIRED(reconfigure_without_a_socket_only_asks),
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
