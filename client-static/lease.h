/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.c: a DHCP client for an image without busybox, as far as a boot needs one (RFC 2131, 2132):
 * asks, takes the first offer, and neither renews nor releases.
 */
#ifndef CLIENT_STATIC_LEASE_H
#define CLIENT_STATIC_LEASE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LEASE_MAC_BYTES = 6,
	LEASE_TEXT_BYTES = 256, /* an option has 255 at most */
	LEASE_NAME_SERVERS = 3,
	LEASE_PACKET_BYTES = 1500,

	/* RFC 2132 9.6 */
	LEASE_DISCOVER = 1,
	LEASE_OFFER = 2,
	LEASE_REQUEST = 3,
	LEASE_ACK = 5,
	LEASE_NAK = 6,
};

/* What an answer says; addresses that it does not give are 0, texts "". */
struct lease {
	uint8_t type;
	struct in_addr address, next_server, server, netmask, gateway;
	struct in_addr dns[LEASE_NAME_SERVERS];
	uint16_t mtu;
	char host_name[LEASE_TEXT_BYTES], domain[LEASE_TEXT_BYTES];
	char root_path[LEASE_TEXT_BYTES], message[LEASE_TEXT_BYTES];
};

/* Who asks, and in which exchange. */
struct lease_client {
	uint8_t mac[LEASE_MAC_BYTES];
	uint32_t exchange; /* xid */
};

/*
 * Makes the message of this type in packet, LEASE_PACKET_BYTES long; a LEASE_REQUEST asks for what
 * offer says. Returns its length.
 */
size_t lease_write(const struct lease_client *client, uint8_t type, const struct lease *offer,
		   uint8_t *packet);

/*
 * Reads an answer to the client. Returns 0, -ENOMSG when it is for somebody else or none of DHCP,
 * or -EBADMSG when it is cut off or an option runs beyond its end.
 */
int lease_read(const struct lease_client *client, const uint8_t *packet, size_t length,
	       struct lease *ret);

/*
 * Asks on interface, which must be up, for some 15 s. Returns 0, -ETIMEDOUT without an answer,
 * -ECONNREFUSED with the server's reason in ret->message, or -errno.
 */
int lease_ask(const char *interface, struct lease *ret);

#endif
