// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the nbd driver, as include/uapi/linux/nbd-netlink.h of the patched
 * kernel has them; an older driver ignores what it does not know. Client flags
 * and identifier are left out.
 */
#include "qemu-tests/faults/faults.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/nbd.h>
#include <linux/netlink.h>

enum {
	MESSAGE_BYTES = 4096,

	/* What the patches add. */
	NBD_CMD_LINK_UP = NBD_CMD_STATUS + 1,
	NBD_SOCK_INDEX = NBD_SOCK_FD + 1,
	NBD_DEVICE_CONNECTIONS = NBD_DEVICE_CONNECTED + 1,
	NBD_ATTR_RECONNECT = NBD_ATTR_BACKEND_IDENTIFIER + 1,
	NBD_RECONNECT_ADDRESS = 1,
	NBD_RECONNECT_SEND = 2,
	NBD_RECONNECT_EXPECT = 3,
	NBD_CONNECTION_ITEM = 1,
	NBD_CONNECTION_STATE = 2,
};

struct message {
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[MESSAGE_BYTES];
	size_t length;
};

static struct nlattr *put(struct message *m, uint16_t type, const void *data, size_t length)
{
	struct nlattr *attribute = (struct nlattr *)(m->buf + m->length);

	attribute->nla_type = type;
	attribute->nla_len = (uint16_t)(NLA_HDRLEN + length);
	if (length)
		memcpy(attribute + 1, data, length);
	m->length += NLA_ALIGN(attribute->nla_len);
	return attribute;
}

static void put_u32(struct message *m, uint16_t type, uint32_t value)
{
	put(m, type, &value, sizeof(value));
}

static void put_u64(struct message *m, uint16_t type, uint64_t value)
{
	put(m, type, &value, sizeof(value));
}

static void end_nest(struct message *m, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)(m->buf + m->length - (uint8_t *)nest);
}

static void put_sockets(struct message *m, const int *fds, size_t count, int index)
{
	struct nlattr *sockets = put(m, NBD_ATTR_SOCKETS | NLA_F_NESTED, NULL, 0);

	for (size_t i = 0; i < count; i++) {
		struct nlattr *item = put(m, NBD_SOCK_ITEM | NLA_F_NESTED, NULL, 0);

		put_u32(m, NBD_SOCK_FD, (uint32_t)fds[i]);
		if (index >= 0)
			put_u32(m, NBD_SOCK_INDEX, (uint32_t)index);
		end_nest(m, item);
	}
	end_nest(m, sockets);
}

static void begin(struct message *m, uint16_t family, uint8_t command)
{
	struct nlmsghdr header = {.nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
	struct genlmsghdr generic = {.cmd = command, .version = 1};

	memset(m->buf, 0, sizeof(m->buf));
	memcpy(m->buf, &header, sizeof(header));
	memcpy(m->buf + NLMSG_HDRLEN, &generic, sizeof(generic));
	m->length = NLMSG_HDRLEN + GENL_HDRLEN;
}

/* The data of the first attribute of that type from at to end, or NULL. */
static const uint8_t *find(const uint8_t *at, const uint8_t *end, uint16_t type,
			   const uint8_t **ret_end)
{
	struct nlattr attribute;

	for (; end - at >= NLA_HDRLEN; at += NLA_ALIGN(attribute.nla_len)) {
		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > end - at)
			return NULL;
		if ((attribute.nla_type & NLA_TYPE_MASK) == type) {
			*ret_end = at + attribute.nla_len;
			return at + NLA_HDRLEN;
		}
	}
	return NULL;
}

/*
 * Sends the message; the errno of the answer. What comes before that is left in
 * *reply, its attributes from 20 bytes on.
 */
static int exchange(int fd, struct message *m, struct message *reply)
{
	struct message datagram;
	struct nlmsghdr *header = (struct nlmsghdr *)m->buf;
	struct nlmsgerr error;
	ssize_t length;

	reply->length = 0;
	header->nlmsg_len = (uint32_t)m->length;
	if (send(fd, m->buf, m->length, 0) < 0)
		return -errno;
	for (;;) {
		length = recv(fd, datagram.buf, sizeof(datagram.buf), 0);
		if (length < 0)
			return -errno;
		header = (struct nlmsghdr *)datagram.buf;
		if (header->nlmsg_type == NLMSG_ERROR)
			break;
		datagram.length = (size_t)length;
		*reply = datagram;
	}
	memcpy(&error, datagram.buf + NLMSG_HDRLEN, sizeof(error));
	return error.error;
}

/* What the attributes in the message have at the end of the path, or NULL. */
static const uint8_t *find_path(const struct message *m, const uint16_t *path, size_t count)
{
	const uint8_t *at = m->buf + NLMSG_HDRLEN + GENL_HDRLEN, *end = m->buf + m->length;

	for (size_t i = 0; at && i < count; i++)
		at = find(at, end, path[i], &end);
	return at;
}

/* Asks what the kernel knows of the family of the driver. */
static int ask_family(int fd, struct message *reply)
{
	struct message m;

	begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	put(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
	return exchange(fd, &m, reply);
}

static int find_family(int fd)
{
	static const uint16_t path[] = {CTRL_ATTR_FAMILY_ID};
	struct message reply;
	const uint8_t *at;
	uint16_t family;
	int err = ask_family(fd, &reply);

	if (err)
		return err;
	at = find_path(&reply, path, 1);
	if (!at)
		return -EPROTO;
	memcpy(&family, at, sizeof(family));
	return family;
}

/* The family has one group, the first in the list. */
static int join_group(int fd)
{
	static const uint16_t path[] = {CTRL_ATTR_MCAST_GROUPS, 1, CTRL_ATTR_MCAST_GRP_ID};
	struct message reply;
	const uint8_t *at;
	uint32_t group;
	int err = ask_family(fd, &reply);

	if (err)
		return err;
	at = find_path(&reply, path, sizeof(path) / sizeof(path[0]));
	if (!at)
		return -EPROTO;
	memcpy(&group, at, sizeof(group));
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

int driver_listen(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int err;

	if (fd < 0)
		return -errno;
	err = join_group(fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int driver_hear(int fd)
{
	struct message m;
	struct genlmsghdr generic;

	if (recv(fd, m.buf, sizeof(m.buf), 0) < 0)
		return -errno;
	memcpy(&generic, m.buf + NLMSG_HDRLEN, sizeof(generic));
	return generic.cmd == NBD_CMD_LINK_DEAD ? 1 : generic.cmd == NBD_CMD_LINK_UP ? 2 : 0;
}

/* A message of that command for device 0 in *m, and the socket for it; -errno. */
static int open_message(struct message *m, uint8_t command)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int family;

	if (fd < 0)
		return -errno;
	family = find_family(fd);
	if (family < 0) {
		close(fd);
		return family;
	}
	begin(m, (uint16_t)family, command);
	put_u32(m, NBD_ATTR_INDEX, 0);
	return fd;
}

static int send_message(int netlink, struct message *m)
{
	struct message reply;
	int err = exchange(netlink, m, &reply);

	close(netlink);
	return err;
}

int driver_attach(const int *fds, size_t count, uint64_t timeout_s, uint64_t dead_timeout_s)
{
	struct message m;
	int netlink = open_message(&m, NBD_CMD_CONNECT);

	if (netlink < 0)
		return netlink;
	put_u64(&m, NBD_ATTR_SIZE_BYTES, FAULTS_SIZE_BYTES);
	put_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, 4096);
	put_u64(&m, NBD_ATTR_TIMEOUT, timeout_s);
	put_u64(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, dead_timeout_s);
	put_u64(&m, NBD_ATTR_SERVER_FLAGS,
		NBD_FLAG_HAS_FLAGS | (count > 1 ? NBD_FLAG_CAN_MULTI_CONN : 0));
	put_sockets(&m, fds, count, -1);
	return send_message(netlink, &m);
}

static void put_recipe(struct message *m, const struct recipe *recipe)
{
	struct nlattr *nest = put(m, NBD_ATTR_RECONNECT | NLA_F_NESTED, NULL, 0);

	put(m, NBD_RECONNECT_ADDRESS, &recipe->address, sizeof(recipe->address));
	put(m, NBD_RECONNECT_EXPECT, recipe->greeting, sizeof(recipe->greeting));
	put(m, NBD_RECONNECT_SEND, recipe->choice, recipe->choice_bytes);
	put(m, NBD_RECONNECT_EXPECT, recipe->export, sizeof(recipe->export));
	end_nest(m, nest);
}

int driver_attach_with_recipe(int fd, const struct recipe *recipe)
{
	struct message m;
	int netlink = open_message(&m, NBD_CMD_CONNECT);

	if (netlink < 0)
		return netlink;
	put_u64(&m, NBD_ATTR_SIZE_BYTES, recipe->size_bytes);
	put_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, 4096);
	put_u64(&m, NBD_ATTR_SERVER_FLAGS, recipe->flags);
	put_sockets(&m, &fd, 1, -1);
	put_recipe(&m, recipe);
	return send_message(netlink, &m);
}

int driver_detach(void)
{
	struct message m;
	int netlink = open_message(&m, NBD_CMD_DISCONNECT);

	return netlink < 0 ? netlink : send_message(netlink, &m);
}

int driver_replace(int fd, int index, uint64_t size_bytes)
{
	struct message m;
	int netlink = open_message(&m, NBD_CMD_RECONFIGURE);

	if (netlink < 0)
		return netlink;
	if (size_bytes)
		put_u64(&m, NBD_ATTR_SIZE_BYTES, size_bytes);
	put_sockets(&m, &fd, 1, index);
	return send_message(netlink, &m);
}

int driver_state(void)
{
	static const uint16_t path[] = {NBD_ATTR_DEVICE_LIST, NBD_DEVICE_ITEM,
					NBD_DEVICE_CONNECTIONS, NBD_CONNECTION_ITEM,
					NBD_CONNECTION_STATE};
	struct message m, reply;
	const uint8_t *at;
	int netlink = open_message(&m, NBD_CMD_STATUS);
	int err;

	if (netlink < 0)
		return netlink;
	err = exchange(netlink, &m, &reply);
	close(netlink);
	if (err)
		return err;
	at = find_path(&reply, path, sizeof(path) / sizeof(path[0]));
	return at ? *at : -ENODATA;
}
