/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's end of netlink for tests: see the header. */
#include "client-static/attach-testbed.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netlink.h>

int client_fd, kernel_fd;
struct failure why;
struct netlink_message answer, request;

void put(const void *bytes, size_t length)
{
	memcpy(answer.bytes + answer.length, bytes, length);
	memset(answer.bytes + answer.length + length, 0, NLMSG_ALIGN(length) - length);
	answer.length += NLMSG_ALIGN(length);
}

void put_header(uint16_t type, uint16_t flags, uint32_t sequence, uint32_t length)
{
	struct nlmsghdr header = {.nlmsg_len = length,
				  .nlmsg_type = type,
				  .nlmsg_flags = flags,
				  .nlmsg_seq = sequence};

	put(&header, sizeof(header));
}

void put_attribute(uint16_t type, const void *data, uint16_t length)
{
	struct nlattr attribute = {.nla_len = NLA_HDRLEN + length, .nla_type = type};

	put(&attribute, sizeof(attribute));
	put(data, length);
}

void put_ack(int error, const char *text, bool capped)
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

void send_answer(void)
{
	assert_int_equal(send(kernel_fd, answer.bytes, answer.length, 0), answer.length);
	answer.length = 0;
}

int open_pair(void **state)
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

int close_pair(void **state)
{
	(void)state;
	return close(client_fd) | close(kernel_fd);
}

struct attach_device device(void)
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

int connect_device(const struct attach_device *job)
{
	struct netlink netlink = {.fd = client_fd, .family = FAMILY};
	int err = attach_connect(&netlink, job, &why);
	ssize_t length = recv(kernel_fd, request.bytes, sizeof(request.bytes), MSG_DONTWAIT);

	request.length = length < 0 ? 0 : (size_t)length;
	return err;
}

const uint8_t *attribute(const uint8_t *at, size_t length, uint16_t type, size_t expected)
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

const uint8_t *requested(uint16_t type, size_t expected)
{
	return attribute(request.bytes + 20, request.length - 20, type, expected);
}
