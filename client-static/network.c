/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stage 3: from cards to an address. Takes what the kernel's own ip= has
 * set; otherwise brings the cards up, waits for a link and sets the address of
 * ip= or asks by DHCP. Leaves: an interface with an address, the host name,
 * resolv.conf, and the MAC for %m.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CARDS_MAX = 8,
	LINK_TIMEOUT_MS = 30000, /* spanning tree without portfast forwards after 30 s */
	IPV6_TIMEOUT_MS = 10000,
	SYSFS_VALUE_BYTES = 64,
};

static char leased[IFNAMSIZ]; /* the interface whose address came by DHCP, or "" */

struct cards {
	char names[CARDS_MAX][IFNAMSIZ];
	int count;
	const struct boot_line *line; /* ip= and BOOTIF= say which cards are meant */
};

/* /sys/class/net/INTERFACE/FILE; "" when there is none, or the card is down. */
static void read_attribute(const char *interface, const char *file, char *ret, size_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", interface, file);
	if (system_read(path, ret, size) < 0)
		*ret = '\0';
}

static bool is_meant(const struct boot_line *line, const char *interface)
{
	const char *top = links_top(line);
	char mac[SYSFS_VALUE_BYTES];

	if (line->ip.device[0])
		return strcmp(line->ip.device, interface) == 0;
	if (*top)
		return strcmp(top, interface) == 0;
	read_attribute(interface, "address", mac, sizeof(mac));
	return !line->boot_mac[0] || strcmp(line->boot_mac, mac) == 0;
}

/*
 * A card is an Ethernet interface (ARPHRD 1) with a device behind it: no lo, dummy, bridge. Or it
 * is what the line puts over one.
 */
static int add_card(int dir_fd, const char *interface, void *data)
{
	struct cards *cards = data;
	char path[IFNAMSIZ + 16], type[SYSFS_VALUE_BYTES];

	snprintf(path, sizeof(path), "%.15s/device", interface);
	read_attribute(interface, "type", type, sizeof(type));
	if (strcmp(type, "1") != 0 ||
	    (faccessat(dir_fd, path, F_OK, 0) < 0 &&
	     strcmp(interface, links_top(cards->line)) != 0) ||
	    !is_meant(cards->line, interface) || cards->count == CARDS_MAX)
		return 0;
	snprintf(cards->names[cards->count++], IFNAMSIZ, "%s", interface);
	return 0;
}

/* Names change while drivers come up: the list is made anew each time. */
static void find_cards(struct cards *cards)
{
	int fd = open("/sys/class/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cards->count = 0;
	if (fd < 0)
		return;
	directory_each(fd, add_card, cards);
	close(fd);
}

/* The card that has an IPv4 address already, from the kernel or an earlier attempt. */
static const char *find_configured(struct cards *cards)
{
	struct in_addr address;

	find_cards(cards);
	for (int i = 0; i < cards->count; i++)
		if (address_get(cards->names[i], &address) == 0)
			return cards->names[i];
	return NULL;
}

/* Leaves in cards those with a link, after each is told to come up. */
static bool find_links(struct cards *cards)
{
	char carrier[SYSFS_VALUE_BYTES];
	int linked = 0;

	find_cards(cards);
	for (int i = 0; i < cards->count; i++) {
		address_link_up(cards->names[i]);
		read_attribute(cards->names[i], "carrier", carrier, sizeof(carrier));
		if (strcmp(carrier, "1") == 0)
			memmove(cards->names[linked++], cards->names[i], IFNAMSIZ);
	}
	if (linked)
		cards->count = linked;
	return linked > 0;
}

/*
 * Any address that reaches beyond the link; /proc/net/if_inet6 has rows of
 * address index length scope flags name.
 */
static bool has_ipv6(struct cards *cards)
{
	enum {
		SCOPE_HOST_OR_LINK = 0x30,  /* IPV6_ADDR_LOOPBACK | IPV6_ADDR_LINKLOCAL */
		TENTATIVE_OR_FAILED = 0x48, /* IFA_F_TENTATIVE | IFA_F_DADFAILED */
	};
	char text[2048], *rest = text, *row;

	(void)cards;
	if (system_read("/proc/net/if_inet6", text, sizeof(text)) < 0)
		return false;
	while ((row = strsep(&rest, "\n"))) {
		unsigned int scope, flags;

		if (sscanf(row, "%*32s %*x %*x %x %x", &scope, &flags) == 2 &&
		    !(scope & SCOPE_HOST_OR_LINK) && !(flags & TENTATIVE_OR_FAILED))
			return true;
	}
	return false;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for ready(cards), which is asked again after each change that the kernel reports. */
static int wait_until(bool (*ready)(struct cards *), struct cards *cards, int timeout_ms)
{
	struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
				     .nl_groups = RTMGRP_LINK | RTMGRP_IPV6_IFADDR};
	int64_t deadline_ms = now_ms() + timeout_ms, left_ms;
	struct pollfd changes = {.events = POLLIN};
	char event[4096];
	int r = 0;

	changes.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (changes.fd < 0)
		return -errno;
	if (bind(changes.fd, (struct sockaddr *)&groups, sizeof(groups)) < 0)
		r = -errno;
	while (r == 0 && !ready(cards)) {
		left_ms = deadline_ms - now_ms();
		if (left_ms <= 0)
			r = -ETIMEDOUT;
		else
			poll(&changes, 1, (int)left_ms);
		while (recv(changes.fd, event, sizeof(event), 0) > 0)
			;
	}
	close(changes.fd);
	return r;
}

static const char *list_names(const struct cards *cards, char *ret, size_t size)
{
	size_t used = 0;

	*ret = '\0';
	for (int i = 0; i < cards->count && used < size; i++)
		used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? ", " : "",
					 cards->names[i]);
	return ret;
}

static int wait_for_link(struct cards *cards)
{
	char names[CARDS_MAX * (IFNAMSIZ + 2)];

	if (find_links(cards))
		return 0;
	log_line("network: waiting for a link, at most %d s", LINK_TIMEOUT_MS / 1000);
	if (wait_until(find_links, cards, LINK_TIMEOUT_MS) == 0)
		return 0;
	if (cards->count)
		log_line("network: %s: no link: is the cable in?",
			 list_names(cards, names, sizeof(names)));
	else if (cards->line->ip.device[0] || cards->line->boot_mac[0])
		log_line("network: %s%s: no such card; correct ip= or BOOTIF=",
			 cards->line->ip.device, cards->line->boot_mac);
	else
		log_line("network: no card: the kernel or the image has no driver for it");
	return EXIT_TEMPORARY;
}

static int set_static(const char *interface, const struct ip_config *ip)
{
	struct ip_address address = {
		.address = ip->address,
		.netmask = ip->netmask.s_addr ? ip->netmask : address_class_netmask(ip->address),
		.gateway = ip->gateway,
		.mtu = ip->mtu_bytes};
	int r = address_set(interface, &address);

	if (r == 0)
		return 0;
	address_clear(interface);
	log_line("%s: address of ip=: %s%s", interface, strerror(-r),
		 r == -ENETUNREACH ? " (the gateway is not in the network of the address)" : "");
	return EXIT_PERMANENT;
}

/* What the line says of them goes before what a lease, or the kernel, said. */
static int set_names(const struct ip_config *ip)
{
	int r = 0;

	if (ip->dns[0].s_addr || ip->dns[1].s_addr)
		r = address_write_resolv_conf("", ip->dns, 2);
	if (r == 0 && ip->host_name[0] && sethostname(ip->host_name, strlen(ip->host_name)) < 0)
		r = -errno;
	if (r < 0)
		log_line("network: host name and name servers of ip=: %s", strerror(-r));
	return r < 0 ? EXIT_PERMANENT : 0;
}

/* Asks on each card that has a link, until one gets an address. */
static int get_lease(struct cards *cards)
{
	char names[CARDS_MAX * (IFNAMSIZ + 2)];
	struct in_addr address;

	for (int i = 0; i < cards->count; i++) {
		int r = dhcp_run(cards->names[i]);

		if (r == 0 && address_get(cards->names[i], &address) == 0) {
			memcpy(leased, cards->names[i], IFNAMSIZ);
			return 0;
		}
	}
	log_line("network: %s: no DHCP lease", list_names(cards, names, sizeof(names)));
	return EXIT_TEMPORARY;
}

static int configure(struct cards *cards, bool need_ipv4)
{
	enum ip_method method = cards->line->ip.method;
	int r = wait_for_link(cards);

	if (r)
		return r;
	if (method == IP_STATIC)
		return set_static(cards->names[0], &cards->line->ip);
	if (method == IP_DHCP || (method == IP_UNSET && need_ipv4))
		return get_lease(cards);
	if (!need_ipv4 && wait_until(has_ipv6, cards, IPV6_TIMEOUT_MS) < 0) {
		log_line("%s: no router gave an IPv6 address within %d s", cards->names[0],
			 IPV6_TIMEOUT_MS / 1000);
		return EXIT_TEMPORARY;
	}
	return 0;
}

/* The kernel's ip= leaves its name servers in /proc/net/pnp, in the form of resolv.conf(5). */
static void take_kernel_name_servers(void)
{
	char text[1024], *rest = text, *row, domain[256] = "", server[INET_ADDRSTRLEN];
	struct in_addr dns[3];
	int count = 0;

	if (system_read("/proc/net/pnp", text, sizeof(text)) < 0)
		return;
	while ((row = strsep(&rest, "\n"))) {
		sscanf(row, "domain %255s", domain);
		if (count < 3 && sscanf(row, "nameserver %15s", server) == 1 &&
		    inet_pton(AF_INET, server, &dns[count]) == 1)
			count++;
	}
	if (count)
		address_write_resolv_conf(domain, dns, count);
}

static void say_address(const char *interface, const char *how)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	if (address_get(interface, &address) == 0)
		log_line("%s: address %s (%s)", interface,
			 inet_ntop(AF_INET, &address, text, sizeof(text)), how);
}

void network_drop_lease(void)
{
	if (leased[0])
		address_clear(leased);
	leased[0] = '\0';
}

int network_up(const struct boot_line *line, bool need_ipv4, struct boot_identity *ret)
{
	struct cards cards = {.line = line};
	const char *interface;
	int r = address_link_up("lo");

	if (r < 0)
		log_line("lo: %s", strerror(-r));
	r = links_make(line);
	if (r)
		return r;
	interface = find_configured(&cards);
	if (interface) {
		take_kernel_name_servers();
		say_address(interface, "set before");
	} else {
		r = configure(&cards, need_ipv4);
		if (r)
			return r;
		interface = find_configured(&cards);
		if (!interface) /* IPv6, or ip=off: the first with a link */
			interface = find_links(&cards) ? cards.names[0] : "";
		say_address(interface, line->ip.method == IP_STATIC ? "ip=" : "DHCP");
	}
	r = set_names(&line->ip);
	if (r)
		return r;
	read_attribute(interface, "address", ret->mac, sizeof(ret->mac));
	if (*ret->mac)
		network_keep(ret->mac);
	gethostname(ret->host_name, sizeof(ret->host_name));
	if (strcmp(ret->host_name, "(none)") == 0)
		ret->host_name[0] = '\0';
	return 0;
}
