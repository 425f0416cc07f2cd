/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which network card a connection goes through, and what of it counts for the
 * reserve: the size of a frame, the receive rings and whether the card can send
 * pages as they are. Enters: a connected socket. The kernel's route to the peer
 * names the interface (rtnetlink(7)), ethtool the rings.
 */
#include "client-static/client.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	REPLY_BYTES = 4096,
	RX_QUEUES_MAX = 256,

	/* Drivers without ETHTOOL_GRINGPARAM have small rings; what is stacked hides larger ones.
	 */
	RX_RING_OF_SIMPLE_CARD = 256,
	RX_RING_BEHIND_STACK = 1024,
};

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	uint8_t attribute[RTA_LENGTH(sizeof(struct in6_addr))];
};

static void fill_request(const struct sockaddr *peer, struct route_request *ret)
{
	const void *address = &((const struct sockaddr_in *)peer)->sin_addr;
	unsigned short length = sizeof(struct in_addr);
	struct rtattr *attribute = (struct rtattr *)ret->attribute;

	if (peer->sa_family == AF_INET6) {
		address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
		length = sizeof(struct in6_addr);
	}
	*ret = (struct route_request){
		.header = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = (unsigned char)peer->sa_family,
			  .rtm_dst_len = (unsigned char)(length * 8)},
	};
	attribute->rta_type = RTA_DST;
	attribute->rta_len = (unsigned short)RTA_LENGTH(length);
	memcpy(RTA_DATA(attribute), address, length);
	ret->header.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(ret->route)) + attribute->rta_len);
}

static int find_oif(const uint8_t *reply, size_t length, uint32_t *ret)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)reply;
	const struct rtattr *attribute;
	size_t rest;

	if (!NLMSG_OK(header, length) || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
		return -EPROTO;
	if (header->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
	attribute = RTM_RTA(NLMSG_DATA(header));
	rest = RTM_PAYLOAD(header);
	for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest))
		if (attribute->rta_type == RTA_OIF && RTA_PAYLOAD(attribute) == sizeof(*ret)) {
			memcpy(ret, RTA_DATA(attribute), sizeof(*ret));
			return 0;
		}
	return -ENODEV;
}

static int ask_route(int netlink, const struct sockaddr *peer, uint32_t *ret_interface)
{
	_Alignas(struct nlmsghdr) uint8_t reply[REPLY_BYTES];
	struct route_request request = {0};
	ssize_t length;

	fill_request(peer, &request);
	if (send(netlink, &request, request.header.nlmsg_len, 0) < 0)
		return -errno;
	length = recv(netlink, reply, sizeof(reply), 0);
	return length < 0 ? -errno : find_oif(reply, (size_t)length, ret_interface);
}

/* The index of the interface; 0 for a Unix socket. */
static int find_interface(int fd, uint32_t *ret)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	int netlink, err;

	if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		return -errno;
	if (peer.ss_family == AF_UNIX) {
		*ret = 0;
		return 0;
	}
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (netlink < 0)
		return -errno;
	err = ask_route(netlink, (const struct sockaddr *)&peer, ret);
	close(netlink);
	return err;
}

static int ask_ethtool(int fd, struct ifreq *request, void *command)
{
	request->ifr_data = command;
	return ioctl(fd, SIOCETHTOOL, request) < 0 ? -errno : 0;
}

static bool has_rx_queue(const struct nic *nic, uint32_t queue)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-%u", nic->name, queue);
	return access(path, F_OK) == 0;
}

static bool is_card(const struct nic *nic)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/net/%s/device", nic->name);
	return access(path, F_OK) == 0;
}

static uint32_t count_rx_queues(const struct nic *nic)
{
	uint32_t count = 0;

	while (count < RX_QUEUES_MAX && has_rx_queue(nic, count))
		count++;
	return count ? count : 1;
}

static uint32_t rx_ring(const struct nic *nic, int fd, struct ifreq *request)
{
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};

	if (!ask_ethtool(fd, request, &ring))
		return ring.rx_pending + ring.rx_jumbo_pending;
	return is_card(nic) ? RX_RING_OF_SIMPLE_CARD : RX_RING_BEHIND_STACK;
}

static int describe(int fd, uint32_t interface, struct nic *ret)
{
	struct ethtool_value scatter_gather = {.cmd = ETHTOOL_GSG};
	struct ifreq request = {0};

	request.ifr_ifindex = (int)interface;
	if (ioctl(fd, SIOCGIFNAME, &request) < 0)
		return -errno;
	memcpy(ret->name, request.ifr_name, sizeof(ret->name));
	if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		return -errno;
	ret->mtu_bytes = (uint32_t)request.ifr_mtu;
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	if (request.ifr_flags & IFF_LOOPBACK) {
		ret->has_scatter_gather = true;
		return 0;
	}
	ret->rx_queues = count_rx_queues(ret);
	ret->rx_ring = rx_ring(ret, fd, &request);
	ret->has_scatter_gather = !ask_ethtool(fd, &request, &scatter_gather) &&
				  scatter_gather.data;
	return 0;
}

int nic_of_socket(int fd, struct nic *ret)
{
	uint32_t interface;
	int err;

	*ret = (struct nic){0};
	err = find_interface(fd, &interface);
	return err || !interface ? err : describe(fd, interface, ret);
}
