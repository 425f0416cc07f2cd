/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel gets the device: generic netlink messages of the nbd driver (see
 * include/uapi/linux/nbd-netlink.h and nbd_genl_connect() in
 * drivers/block/nbd.c). No library, no allocation: a message is built in a
 * buffer on the stack, sent, and its answer read.
 *
 * Netlink and not ioctl, because the driver then keeps the device, and holds
 * its I/O, without any process of ours.
 */
#include "client-static/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>

enum {
	MESSAGE_BYTES = 6144,
	SEQUENCE = 1, /* of each message: one is sent and answered before the next */
	REPLY_BYTES = 8192,
	ERRNO_MAX = 4095, /* MAX_ERRNO of the kernel */

	/* What our patches add to the driver, see docs/nbd-netlink.yaml. */
	NBD_DEVICE_CONNECTIONS = NBD_DEVICE_CONNECTED + 1,
	NBD_CONNECTION_ITEM = 1,
	NBD_CONNECTION_STATE = 2,
	NBD_ATTR_RECONNECT = NBD_ATTR_BACKEND_IDENTIFIER + 1,
	NBD_RECONNECT_ADDRESS = 1,
	NBD_RECONNECT_SEND = 2,
	NBD_RECONNECT_EXPECT = 3,
	NBD_CMD_LINK_UP = NBD_CMD_STATUS + 1,
};

/*
 * A message under construction. Its attributes are bounded: six numbers, one
 * identifier, CONNECTIONS_MAX sockets of 12 bytes, a handshake and its addresses.
 */
struct message {
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[MESSAGE_BYTES];
	size_t length;
};

_Static_assert(NLMSG_HDRLEN + GENL_HDRLEN + 7 * 12 + NLA_HDRLEN + ATTACH_IDENTIFIER_BYTES +
			       NLA_HDRLEN + CONNECTIONS_MAX * 12 + NLA_HDRLEN +
			       ADDRESSES_MAX * (NLA_HDRLEN + sizeof(struct sockaddr_in6)) +
			       HANDSHAKE_STEPS * (NLA_HDRLEN + NLMSG_ALIGNTO) + HANDSHAKE_BYTES <=
		       MESSAGE_BYTES,
	       "the largest message fits");

/*
 * 10 years, so that a device waits for its server longer than anybody will:
 * with the driver's default, 0, the first request after a lost connection is an
 * I/O error. The driver multiplies by HZ and on a 32-bit machine cuts the
 * product to 31 bits: there 24 days, which holds for every HZ up to 1000.
 */
static const uint64_t dead_timeout_default_s = 10ULL * 365 * 24 * 3600;
static const uint64_t dead_timeout_max_32bit_s = INT32_MAX / 1000;

uint64_t attach_dead_timeout_max_s(void)
{
	return sizeof(long) == 4 ? dead_timeout_max_32bit_s : INT64_MAX / 1000;
}

uint64_t attach_dead_timeout_default_s(void)
{
	return sizeof(long) == 4 ? dead_timeout_max_32bit_s : dead_timeout_default_s;
}

static void *append(struct message *message, size_t length)
{
	void *at = message->buf + message->length;

	memset(at, 0, NLMSG_ALIGN(length));
	message->length += NLMSG_ALIGN(length);
	return at;
}

static void begin(struct message *message, uint16_t family, uint8_t command, uint8_t version)
{
	struct nlmsghdr *header;
	struct genlmsghdr *generic;

	message->length = 0;
	header = append(message, NLMSG_HDRLEN);
	header->nlmsg_type = family;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	header->nlmsg_seq = SEQUENCE;
	generic = append(message, GENL_HDRLEN);
	generic->cmd = command;
	generic->version = version;
}

static void put(struct message *message, uint16_t type, const void *data, size_t length)
{
	struct nlattr *attribute = append(message, NLA_HDRLEN + length);

	attribute->nla_type = type;
	attribute->nla_len = (uint16_t)(NLA_HDRLEN + length);
	memcpy((uint8_t *)attribute + NLA_HDRLEN, data, length);
}

static void put_u32(struct message *message, uint16_t type, uint32_t value)
{
	put(message, type, &value, sizeof(value));
}

static void put_u64(struct message *message, uint16_t type, uint64_t value)
{
	put(message, type, &value, sizeof(value));
}

static void put_string(struct message *message, uint16_t type, const char *text)
{
	put(message, type, text, strlen(text) + 1);
}

static struct nlattr *nest_begin(struct message *message, uint16_t type)
{
	struct nlattr *nest = append(message, NLA_HDRLEN);

	nest->nla_type = type | NLA_F_NESTED;
	return nest;
}

static void nest_end(struct message *message, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)(message->buf + message->length - (uint8_t *)nest);
}

/* The data of the first attribute of that type among length bytes of them, or NULL. */
static const void *find_attribute(const uint8_t *at, size_t length, uint16_t type,
				  size_t *ret_length)
{
	while (length >= NLA_HDRLEN) {
		struct nlattr attribute;

		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > length)
			return NULL;
		if ((attribute.nla_type & NLA_TYPE_MASK) == type) {
			*ret_length = attribute.nla_len - NLA_HDRLEN;
			return at + NLA_HDRLEN;
		}
		if ((size_t)NLA_ALIGN(attribute.nla_len) >= length)
			return NULL;
		at += NLA_ALIGN(attribute.nla_len);
		length -= NLA_ALIGN(attribute.nla_len);
	}
	return NULL;
}

/* What the kernel answered: its errno, its words, and the attributes of the message before. */
struct answer {
	int error;
	char text[128]; /* extended acknowledgement; "" when there is none */
	uint16_t family;
	uint32_t attribute_max; /* that the family knows */
	uint32_t group;		/* NBD_GENL_MCAST_GROUP_NAME */
	uint32_t connection;	/* whose state is wanted, */
	int state;		/* and that state, or -ENODATA */
};

/* The text of an extended acknowledgement (NLMSGERR_ATTR_MSG) in the answer of length bytes. */
static void take_words(const uint8_t *answer, size_t length, const struct nlmsghdr *header,
		       struct answer *ret)
{
	struct nlmsgerr error;
	size_t skip = NLMSG_HDRLEN + sizeof(error), text_length;
	const char *text;

	memcpy(&error, answer + NLMSG_HDRLEN, sizeof(error));
	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(header->nlmsg_flags & NLM_F_CAPPED) && error.msg.nlmsg_len >= sizeof(error.msg))
		skip += NLMSG_ALIGN(error.msg.nlmsg_len - sizeof(error.msg));
	if (skip >= length)
		return;
	text = find_attribute(answer + skip, length - skip, NLMSGERR_ATTR_MSG, &text_length);
	if (!text || text_length == 0)
		return;
	if (text_length > sizeof(ret->text))
		text_length = sizeof(ret->text);
	memcpy(ret->text, text, text_length);
	ret->text[text_length - 1] = '\0';
}

/* The number of the driver's group in CTRL_ATTR_MCAST_GROUPS, of which it has one; else 0. */
static uint32_t find_group(const uint8_t *attributes, size_t length)
{
	size_t groups_length, item_length, id_length, name_length;
	const char *name;
	const void *groups, *item, *id;
	uint32_t group;

	groups = find_attribute(attributes, length, CTRL_ATTR_MCAST_GROUPS, &groups_length);
	item = groups ? find_attribute(groups, groups_length, 1, &item_length) : NULL;
	name = item ? find_attribute(item, item_length, CTRL_ATTR_MCAST_GRP_NAME, &name_length)
		    : NULL;
	id = item ? find_attribute(item, item_length, CTRL_ATTR_MCAST_GRP_ID, &id_length) : NULL;
	if (!name || !id || id_length != sizeof(group) ||
	    name_length != sizeof(NBD_GENL_MCAST_GROUP_NAME) ||
	    memcmp(name, NBD_GENL_MCAST_GROUP_NAME, name_length))
		return 0;
	memcpy(&group, id, sizeof(group));
	return group;
}

static void take_family(const uint8_t *attributes, size_t length, struct answer *ret)
{
	size_t family_length, max_length;
	const void *family =
		find_attribute(attributes, length, CTRL_ATTR_FAMILY_ID, &family_length);
	const void *max = find_attribute(attributes, length, CTRL_ATTR_MAXATTR, &max_length);

	if (family && family_length == sizeof(ret->family))
		memcpy(&ret->family, family, sizeof(ret->family));
	if (max && max_length == sizeof(ret->attribute_max))
		memcpy(&ret->attribute_max, max, sizeof(ret->attribute_max));
	ret->group = find_group(attributes, length);
}

/*
 * The state of one connection in the answer to NBD_CMD_STATUS for one device:
 * the connections come in order, each in an item of its own.
 */
static void take_link_state(const uint8_t *at, size_t length, struct answer *ret)
{
	static const uint16_t path[] = {NBD_ATTR_DEVICE_LIST, NBD_DEVICE_ITEM,
					NBD_DEVICE_CONNECTIONS};
	const uint8_t *item, *state;
	size_t item_length, state_length;

	for (size_t i = 0; i < sizeof(path) / sizeof(*path); i++) {
		at = find_attribute(at, length, path[i], &length);
		if (!at)
			return;
	}
	item = find_attribute(at, length, NBD_CONNECTION_ITEM, &item_length);
	for (uint32_t n = ret->connection; item && n > 0; n--) {
		size_t skip = (size_t)(item - at) + NLA_ALIGN(item_length);

		if (skip >= length)
			return;
		at += skip;
		length -= skip;
		item = find_attribute(at, length, NBD_CONNECTION_ITEM, &item_length);
	}
	state = item ? find_attribute(item, item_length, NBD_CONNECTION_STATE, &state_length)
		     : NULL;
	if (state && state_length == 1)
		ret->state = *state;
}

/* One message of a datagram; true when it is the end of the answer. */
static bool take_message(const uint8_t *at, size_t length, const struct nlmsghdr *header,
			 struct answer *ret)
{
	const size_t headers = NLMSG_HDRLEN + GENL_HDRLEN;

	if (header->nlmsg_type == NLMSG_ERROR) {
		if (length < NLMSG_HDRLEN + sizeof(struct nlmsgerr)) {
			ret->error = -EPROTO;
			return true;
		}
		memcpy(&ret->error, at + NLMSG_HDRLEN, sizeof(ret->error));
		if (ret->error > 0 || ret->error < -ERRNO_MAX)
			ret->error = -EPROTO;
		take_words(at, length, header, ret);
		return true;
	}
	if (length > headers && header->nlmsg_type == GENL_ID_CTRL)
		take_family(at + headers, length - headers, ret);
	else if (length > headers)
		take_link_state(at + headers, length - headers, ret);
	return false;
}

/* All messages of a datagram; true when the acknowledgement was among them. */
static bool take_datagram(const uint8_t *at, size_t length, struct answer *ret)
{
	struct nlmsghdr header;

	while (length >= sizeof(header)) {
		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length)
			break;
		if (header.nlmsg_seq == SEQUENCE &&
		    take_message(at, header.nlmsg_len, &header, ret))
			return true;
		if (NLMSG_ALIGN(header.nlmsg_len) >= length)
			return false;
		at += NLMSG_ALIGN(header.nlmsg_len);
		length -= NLMSG_ALIGN(header.nlmsg_len);
	}
	ret->error = -EPROTO;
	return length > 0;
}

/* Sends the message and reads until its acknowledgement; the errno of either side. */
static int exchange(int netlink, struct message *message, struct answer *ret)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[REPLY_BYTES];
	struct nlmsghdr *header = (struct nlmsghdr *)message->buf;
	ssize_t length;

	*ret = (struct answer){.connection = ret->connection, .state = -ENODATA};
	header->nlmsg_len = (uint32_t)message->length;
	if (send(netlink, message->buf, message->length, 0) < 0)
		return -errno;
	do {
		length = recv(netlink, buf, sizeof(buf), 0);
		if (length < 0 && errno != EINTR)
			return -errno;
		if (length == 0)
			return -ECONNRESET;
	} while (length < 0 || !take_datagram(buf, (size_t)length, ret));
	return ret->error;
}

static int kernel_refused(int err, const struct answer *answer, const char *what,
			  struct failure *why)
{
	const char *said = *answer->text ? answer->text : strerror(-err);

	if (err == -EBUSY)
		return failure_set(why, EXIT_PERMANENT, EBUSY,
				   "%s: busy: it is attached already; -d detaches it (%s)", what,
				   said);
	if (err == -EPERM)
		return failure_set(why, EXIT_PERMANENT, EPERM, "%s: %s; it takes root", what, said);
	return failure_set(why, EXIT_PERMANENT, -err, "%s: the kernel refused: %s", what, said);
}

int attach_begin(int fd, struct netlink *ret, struct failure *why)
{
	struct message message;
	struct answer answer = {0};
	int err;

	begin(&message, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	put_string(&message, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME);
	err = exchange(fd, &message, &answer);
	if (err == -ENOENT || (!err && !answer.family))
		return failure_set(why, EXIT_PERMANENT, ENOENT,
				   "the kernel has no nbd driver; load it: modprobe nbd");
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err, "ask the kernel for nbd: %s",
				   strerror(-err));
	*ret = (struct netlink){
		.fd = fd,
		.family = answer.family,
		.can_reconnect = answer.attribute_max >= NBD_ATTR_RECONNECT,
		.group = answer.group,
	};
	return 0;
}

int attach_open(struct netlink *ret, struct failure *why)
{
	static const int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int err;

	if (fd < 0)
		return failure_set(why, EXIT_PERMANENT, errno, "netlink: %s", strerror(errno));
	/* Without extended acknowledgements (before 4.12) there are fewer words, no less function.
	 */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	err = attach_begin(fd, ret, why);
	if (err)
		close(fd);
	return err;
}

static void put_sockets(struct message *message, const int *fds, size_t count)
{
	struct nlattr *sockets = nest_begin(message, NBD_ATTR_SOCKETS);

	for (size_t i = 0; i < count; i++) {
		struct nlattr *item = nest_begin(message, NBD_SOCK_ITEM);

		put_u32(message, NBD_SOCK_FD, (uint32_t)fds[i]);
		nest_end(message, item);
	}
	nest_end(message, sockets);
}

static void put_reconnect(struct message *message, const struct attach_device *device)
{
	struct nlattr *nest = nest_begin(message, NBD_ATTR_RECONNECT);
	const struct handshake *handshake = device->handshake;
	const uint8_t *bytes = handshake->bytes;

	for (size_t i = 0; i < device->addresses->count; i++) {
		size_t n = (device->address + i) % device->addresses->count;
		const struct address *address = &device->addresses->items[n];

		put(message, NBD_RECONNECT_ADDRESS, &address->storage, address->length);
	}
	for (uint32_t i = 0; i < handshake->step_count; i++) {
		const struct handshake_step *step = &handshake->steps[i];

		put(message, step->is_sent ? NBD_RECONNECT_SEND : NBD_RECONNECT_EXPECT, bytes,
		    step->length_bytes);
		bytes += step->length_bytes;
	}
	nest_end(message, nest);
}

int attach_connect(const struct netlink *netlink, const struct attach_device *device,
		   struct failure *why)
{
	struct message message;
	struct answer answer = {0};
	int err;

	if (device->identifier && strlen(device->identifier) >= ATTACH_IDENTIFIER_BYTES)
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "identifier: longer than %d characters",
				   ATTACH_IDENTIFIER_BYTES - 1);
	begin(&message, netlink->family, NBD_CMD_CONNECT, NBD_GENL_VERSION);
	put_u32(&message, NBD_ATTR_INDEX, device->index);
	put_u64(&message, NBD_ATTR_SIZE_BYTES, device->size_bytes);
	put_u64(&message, NBD_ATTR_BLOCK_SIZE_BYTES, device->block_size_bytes);
	put_u64(&message, NBD_ATTR_SERVER_FLAGS, device->server_flags);
	put_u64(&message, NBD_ATTR_CLIENT_FLAGS, 0);
	if (device->io_timeout_s)
		put_u64(&message, NBD_ATTR_TIMEOUT, device->io_timeout_s);
	put_u64(&message, NBD_ATTR_DEAD_CONN_TIMEOUT, device->dead_timeout_s);
	if (device->identifier)
		put_string(&message, NBD_ATTR_BACKEND_IDENTIFIER, device->identifier);
	put_sockets(&message, device->fds, device->fd_count);
	if (device->handshake)
		put_reconnect(&message, device);
	err = exchange(netlink->fd, &message, &answer);
	return err ? kernel_refused(err, &answer, "attach", why) : 0;
}

int attach_disconnect(const struct netlink *netlink, uint32_t index, struct failure *why)
{
	struct message message;
	struct answer answer = {0};
	int err;

	begin(&message, netlink->family, NBD_CMD_DISCONNECT, NBD_GENL_VERSION);
	put_u32(&message, NBD_ATTR_INDEX, index);
	err = exchange(netlink->fd, &message, &answer);
	return err ? kernel_refused(err, &answer, "detach", why) : 0;
}

/*
 * Neither a size nor a block size: a driver that is given another one waits for
 * the requests in flight, which wait for the socket of this very message.
 */
int attach_reconfigure(const struct netlink *netlink, uint32_t index, const char *identifier,
		       int fd, struct failure *why)
{
	struct message message;
	struct answer answer = {0};
	int err;

	begin(&message, netlink->family, NBD_CMD_RECONFIGURE, NBD_GENL_VERSION);
	put_u32(&message, NBD_ATTR_INDEX, index);
	put_string(&message, NBD_ATTR_BACKEND_IDENTIFIER, identifier);
	if (fd >= 0)
		put_sockets(&message, &fd, 1);
	err = exchange(netlink->fd, &message, &answer);
	/* A patched driver says that no connection is dead yet; any other answers 0 then. */
	if (err == -ENOSPC)
		return 0;
	return err ? kernel_refused(err, &answer, "reconnect", why) : 0;
}

int attach_listen(struct netlink *ret, struct failure *why)
{
	int err = attach_open(ret, why);

	if (err)
		return err;
	if (ret->group && setsockopt(ret->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &ret->group,
				     sizeof(ret->group)) == 0)
		return 0;
	err = failure_set(why, EXIT_PERMANENT, ret->group ? errno : ENOENT,
			  "cannot listen to the driver: %s",
			  ret->group ? strerror(errno) : "it has no notifications");
	close(ret->fd);
	return err;
}

int attach_link_state(const struct netlink *netlink, uint32_t index, uint32_t connection)
{
	struct message message;
	struct answer answer = {.connection = connection};
	int err;

	begin(&message, netlink->family, NBD_CMD_STATUS, NBD_GENL_VERSION);
	put_u32(&message, NBD_ATTR_INDEX, index);
	err = exchange(netlink->fd, &message, &answer);
	return err ? err : answer.state;
}

/* HEARD_ of one message. */
static unsigned int heard_of(const uint8_t *at, size_t length, uint16_t family, uint32_t index)
{
	const size_t headers = NLMSG_HDRLEN + GENL_HDRLEN;
	struct genlmsghdr generic;
	struct nlmsghdr header;
	const uint8_t *found;
	size_t index_length;

	if (length < headers)
		return 0;
	memcpy(&header, at, sizeof(header));
	memcpy(&generic, at + NLMSG_HDRLEN, sizeof(generic));
	found = find_attribute(at + headers, length - headers, NBD_ATTR_INDEX, &index_length);
	if (header.nlmsg_type != family || !found || index_length != sizeof(index) ||
	    memcmp(found, &index, sizeof(index)))
		return 0;
	switch (generic.cmd) {
	case NBD_CMD_LINK_DEAD:
		return HEARD_LINK_DEAD;
	case NBD_CMD_LINK_UP:
		return HEARD_LINK_UP;
	default:
		return 0;
	}
}

unsigned int attach_heard(const struct netlink *events, uint32_t index)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[MESSAGE_BYTES];
	unsigned int heard = 0;
	ssize_t length;

	/* One message to a datagram; it is no request, so nothing is answered. */
	while ((length = recv(events->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		heard |= heard_of(buf, (size_t)length, events->family, index);
	return length < 0 && errno == ENOBUFS ? heard | HEARD_LINK_DEAD : heard;
}
