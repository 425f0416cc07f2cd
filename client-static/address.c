/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One interface, by the ioctls of netdevice(7) and rtentry of route(8): what
 * network.c (ip=) and dhcp.c (a lease) set, and the name servers beside it.
 */
#include "client-static/boot.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_CONF "/run/nbd-client/resolv.conf"

static void fill_inet(struct sockaddr *ret, struct in_addr address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};

	memcpy(ret, &in, sizeof(in));
}

/* One request about one interface; *ifr keeps the answer. */
static int request(unsigned long command, const char *interface, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", interface);
	if (ioctl(fd, command, ifr) < 0)
		r = -errno;
	close(fd);
	return r;
}

int address_get(const char *interface, struct in_addr *ret)
{
	struct ifreq ifr = {.ifr_addr.sa_family = AF_INET};
	struct sockaddr_in in;
	int r = request(SIOCGIFADDR, interface, &ifr);

	if (r < 0)
		return r;
	memcpy(&in, &ifr.ifr_addr, sizeof(in));
	if (!in.sin_addr.s_addr)
		return -EADDRNOTAVAIL;
	*ret = in.sin_addr;
	return 0;
}

int address_link_up(const char *interface)
{
	struct ifreq ifr = {0};
	int r = request(SIOCGIFFLAGS, interface, &ifr);

	if (r < 0 || (ifr.ifr_flags & IFF_UP))
		return r;
	ifr.ifr_flags |= IFF_UP;
	return request(SIOCSIFFLAGS, interface, &ifr);
}

int address_clear(const char *interface)
{
	struct ifreq ifr = {0};

	fill_inet(&ifr.ifr_addr, (struct in_addr){0});
	return request(SIOCSIFADDR, interface, &ifr);
}

struct in_addr address_class_netmask(struct in_addr address)
{
	uint32_t host = ntohl(address.s_addr);
	uint32_t mask = IN_CLASSA(host)	  ? IN_CLASSA_NET
			: IN_CLASSB(host) ? IN_CLASSB_NET
					  : IN_CLASSC_NET;

	return (struct in_addr){htonl(mask)};
}

static int set_default_route(const char *interface, struct in_addr gateway)
{
	char device[IFNAMSIZ];
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = device};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	snprintf(device, sizeof(device), "%s", interface);
	fill_inet(&route.rt_dst, (struct in_addr){0});
	fill_inet(&route.rt_genmask, (struct in_addr){0});
	fill_inet(&route.rt_gateway, gateway);
	if (ioctl(fd, SIOCADDRT, &route) < 0 && errno != EEXIST)
		r = -errno;
	close(fd);
	return r;
}

int address_set(const char *interface, const struct ip_address *address)
{
	struct ifreq ifr = {0};
	int r = address_link_up(interface);

	if (r < 0)
		return r;
	if (address->mtu) {
		ifr.ifr_mtu = address->mtu;
		request(SIOCSIFMTU, interface,
			&ifr); /* a card may not take it: the default holds */
	}
	fill_inet(&ifr.ifr_addr, address->address);
	r = request(SIOCSIFADDR, interface, &ifr);
	if (r < 0)
		return r;
	fill_inet(&ifr.ifr_netmask, address->netmask);
	r = request(SIOCSIFNETMASK, interface, &ifr);
	if (r < 0 || !address->gateway.s_addr)
		return r;
	return set_default_route(interface, address->gateway);
}

int address_write_resolv_conf(const char *search, const struct in_addr *dns, int count)
{
	char text[INET_ADDRSTRLEN];
	int fd;

	if (mkdir("/run/nbd-client", 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(RESOLV_CONF, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (*search)
		dprintf(fd, "search %s\n", search);
	for (int i = 0; i < count; i++)
		if (dns[i].s_addr)
			dprintf(fd, "nameserver %s\n",
				inet_ntop(AF_INET, &dns[i], text, sizeof(text)));
	return close(fd) < 0 ? -errno : 0;
}
