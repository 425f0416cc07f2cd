/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DHCP for an image without busybox: dhcp.c has it ask in a process of its own and sets what came.
 * It asks for answers by broadcast (RFC 2131 4.1), so that a UDP socket does and the kernel needs
 * no packet sockets.
 */
#include "client-static/lease.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	TRIES = 5,
	ANSWER_MS = 3000,
	SERVER_PORT = 67,
	CLIENT_PORT = 68,

	/* RFC 2131 2, the fixed part of a message */
	OP = 0, /* 1 asks, 2 answers */
	HARDWARE_TYPE = 1,
	HARDWARE_LENGTH = 2,
	EXCHANGE = 4,
	FLAGS = 10,
	YOUR_ADDRESS = 16,
	NEXT_SERVER = 20,
	HARDWARE_ADDRESS = 28,
	COOKIE = 236,
	OPTIONS = 240,
	MESSAGE_MIN_BYTES = 300, /* of BOOTP, which some relays insist on */

	/* RFC 2132 */
	PAD = 0,
	NETMASK = 1,
	ROUTER = 3,
	NAME_SERVER = 6,
	HOST_NAME = 12,
	DOMAIN = 15,
	ROOT_PATH = 17,
	MTU = 26,
	REQUESTED_ADDRESS = 50,
	MESSAGE_TYPE = 53,
	SERVER_IDENTIFIER = 54,
	WANTED_OPTIONS = 55,
	MESSAGE = 56,
	END = 255,
};

static const uint8_t cookie[] = {99, 130, 83, 99};

static uint8_t *put_option(uint8_t *at, uint8_t code, const void *value, uint8_t length)
{
	at[0] = code;
	at[1] = length;
	memcpy(at + 2, value, length);
	return at + 2 + length;
}

size_t lease_write(const struct lease_client *client, uint8_t type, const struct lease *offer,
		   uint8_t *packet)
{
	static const uint8_t wanted[] = {NETMASK, ROUTER,    NAME_SERVER, HOST_NAME,
					 DOMAIN,  ROOT_PATH, MTU};
	uint8_t *at = packet + OPTIONS;

	memset(packet, 0, LEASE_PACKET_BYTES);
	packet[OP] = 1;
	packet[HARDWARE_TYPE] = 1; /* Ethernet */
	packet[HARDWARE_LENGTH] = LEASE_MAC_BYTES;
	memcpy(packet + EXCHANGE, &client->exchange, sizeof(client->exchange));
	packet[FLAGS] = 0x80; /* answer by broadcast */
	memcpy(packet + HARDWARE_ADDRESS, client->mac, LEASE_MAC_BYTES);
	memcpy(packet + COOKIE, cookie, sizeof(cookie));
	at = put_option(at, MESSAGE_TYPE, &type, 1);
	if (type == LEASE_REQUEST) {
		at = put_option(at, REQUESTED_ADDRESS, &offer->address, 4);
		at = put_option(at, SERVER_IDENTIFIER, &offer->server, 4);
	}
	at = put_option(at, WANTED_OPTIONS, wanted, sizeof(wanted));
	*at++ = END;
	return at - packet > MESSAGE_MIN_BYTES ? (size_t)(at - packet) : MESSAGE_MIN_BYTES;
}

static void take_address(struct in_addr *ret, const uint8_t *value, size_t length)
{
	if (length >= sizeof(*ret))
		memcpy(ret, value, sizeof(*ret));
}

static void take_text(char *ret, const uint8_t *value, size_t length)
{
	memcpy(ret, value, length);
	ret[length] = '\0';
}

static void take_name_servers(struct lease *ret, const uint8_t *value, size_t length)
{
	for (size_t i = 0; i < LEASE_NAME_SERVERS && length >= (i + 1) * 4; i++)
		take_address(&ret->dns[i], value + i * 4, 4);
}

static void take_option(struct lease *ret, uint8_t code, const uint8_t *value, size_t length)
{
	switch (code) {
	case MESSAGE_TYPE:
		ret->type = length ? value[0] : 0;
		break;
	case NETMASK:
		take_address(&ret->netmask, value, length);
		break;
	case ROUTER:
		take_address(&ret->gateway, value, length);
		break;
	case SERVER_IDENTIFIER:
		take_address(&ret->server, value, length);
		break;
	case NAME_SERVER:
		take_name_servers(ret, value, length);
		break;
	case HOST_NAME:
		take_text(ret->host_name, value, length);
		break;
	case DOMAIN:
		take_text(ret->domain, value, length);
		break;
	case ROOT_PATH:
		take_text(ret->root_path, value, length);
		break;
	case MESSAGE:
		take_text(ret->message, value, length);
		break;
	case MTU:
		ret->mtu = length == 2 ? (uint16_t)(value[0] << 8 | value[1]) : 0;
		break;
	}
}

static bool is_for(const struct lease_client *client, const uint8_t *packet)
{
	return packet[OP] == 2 &&
	       !memcmp(packet + EXCHANGE, &client->exchange, sizeof(client->exchange)) &&
	       !memcmp(packet + HARDWARE_ADDRESS, client->mac, LEASE_MAC_BYTES) &&
	       !memcmp(packet + COOKIE, cookie, sizeof(cookie));
}

int lease_read(const struct lease_client *client, const uint8_t *packet, size_t length,
	       struct lease *ret)
{
	size_t at = OPTIONS;

	if (length < OPTIONS || !is_for(client, packet))
		return -ENOMSG;
	*ret = (struct lease){0};
	take_address(&ret->address, packet + YOUR_ADDRESS, 4);
	take_address(&ret->next_server, packet + NEXT_SERVER, 4);
	while (at < length && packet[at] != END) {
		uint8_t code = packet[at++];

		if (code == PAD)
			continue;
		if (at == length || packet[at] > length - at - 1)
			return -EBADMSG;
		take_option(ret, code, packet + at + 1, packet[at]);
		at += 1 + (size_t)packet[at];
	}
	return ret->type ? 0 : -ENOMSG;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The first answer of one of these types within ANSWER_MS; others are passed over. */
static int await_answer(int fd, const struct lease_client *client, uint8_t type, uint8_t other,
			struct lease *ret)
{
	int64_t deadline_ms = now_ms() + ANSWER_MS, left_ms;
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	uint8_t packet[LEASE_PACKET_BYTES];
	ssize_t length;

	while ((left_ms = deadline_ms - now_ms()) > 0) {
		if (poll(&readable, 1, (int)left_ms) <= 0)
			continue;
		length = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (length > 0 && !lease_read(client, packet, (size_t)length, ret) &&
		    (ret->type == type || ret->type == other))
			return 0;
	}
	return -ETIMEDOUT;
}

static int ask(int fd, const struct lease_client *client, uint8_t type, const struct lease *offer)
{
	struct sockaddr_in everybody = {.sin_family = AF_INET,
					.sin_port = htons(SERVER_PORT),
					.sin_addr.s_addr = INADDR_BROADCAST};
	uint8_t packet[LEASE_PACKET_BYTES];
	size_t length = lease_write(client, type, offer, packet);

	if (sendto(fd, packet, length, 0, (struct sockaddr *)&everybody, sizeof(everybody)) < 0)
		return -errno;
	return 0;
}

static int converse(int fd, const struct lease_client *client, struct lease *ret)
{
	struct lease offer;
	int r = -ETIMEDOUT;

	for (int i = 0; i < TRIES && r == -ETIMEDOUT; i++) {
		r = ask(fd, client, LEASE_DISCOVER, NULL);
		if (!r)
			r = await_answer(fd, client, LEASE_OFFER, LEASE_OFFER, &offer);
		if (!r)
			r = ask(fd, client, LEASE_REQUEST, &offer);
		if (!r)
			r = await_answer(fd, client, LEASE_ACK, LEASE_NAK, ret);
	}
	return !r && ret->type == LEASE_NAK ? -ECONNREFUSED : r;
}

static int open_socket(const char *interface, struct ifreq *request)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1, err;

	if (fd < 0)
		return -errno;
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", interface);
	if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, strlen(interface) + 1) < 0 ||
	    bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0 ||
	    ioctl(fd, SIOCGIFHWADDR, request) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int lease_ask(const char *interface, struct lease *ret)
{
	struct lease_client client;
	struct ifreq request = {0};
	int fd = open_socket(interface, &request), r;

	if (fd < 0)
		return fd;
	memcpy(client.mac, request.ifr_hwaddr.sa_data, LEASE_MAC_BYTES);
	/* A machine that has just started may have no random numbers yet: the address will do. */
	memcpy(&client.exchange, client.mac + 2, sizeof(client.exchange));
	if (getrandom(&client.exchange, sizeof(client.exchange), GRND_NONBLOCK) < 0)
		client.exchange ^= (uint32_t)now_ms();
	r = converse(fd, &client, ret);
	close(fd);
	return r;
}
