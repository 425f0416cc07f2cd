/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The value of ip= in the grammar of Documentation/admin-guide/nfs/nfsroot.rst:
 * CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF:DNS0:DNS1:NTP, each
 * field possibly empty, or the name of a method alone; and what dracut.cmdline(7)
 * has beyond it: DEVICE:METHOD[:MTU], and an MTU in place of DNS0. Called by
 * cmdline.c for kernels that were built without IP_PNP; pure.
 */
#include "client-static/boot.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRAMMAR "CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:dhcp|off:DNS0:DNS1"

enum ip_field {
	CLIENT,
	SERVER, /* of NFS; no use here */
	GATEWAY,
	NETMASK,
	HOST_NAME,
	DEVICE,
	METHOD,
	DNS0,
	DNS1,
	NTP,
	FIELDS
};

static int parse_method(const char *text, enum ip_method *ret)
{
	static const struct {
		const char *name;
		enum ip_method method;
	} methods[] = {
		{"dhcp", IP_DHCP},	  {"on", IP_DHCP}, {"any", IP_DHCP}, {"both", IP_DHCP},
		{"single-dhcp", IP_DHCP}, {"off", IP_OFF}, {"none", IP_OFF}, {"auto6", IP_OFF},
		{"link6", IP_OFF}, /* the kernel asks the router by itself */
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(text, methods[i].name) == 0) {
			*ret = methods[i].method;
			return 0;
		}
	return -EINVAL;
}

/* The kernel takes a dotted mask; dracut's users write the length of the prefix. */
static int parse_netmask(const char *text, struct in_addr *ret)
{
	uint32_t bits;

	if (!strchr(text, '.')) {
		char *end;
		unsigned long length = strtoul(text, &end, 10);

		if (!isdigit((unsigned char)*text) || *end || length < 1 || length > 32)
			return -EINVAL;
		ret->s_addr = htonl(~0U << (32 - length));
		return 0;
	}
	if (inet_pton(AF_INET, text, ret) != 1)
		return -EINVAL;
	bits = ~ntohl(ret->s_addr);
	return bits & (bits + 1) ? -EINVAL : 0;
}

static int parse_text(const char *text, char *ret, size_t size)
{
	if (strlen(text) >= size)
		return -ENAMETOOLONG;
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

static int parse_address(const char *text, struct in_addr *ret)
{
	return inet_pton(AF_INET, text, ret) == 1 ? 0 : -EINVAL;
}

static int parse_field(enum ip_field field, const char *text, struct ip_config *ret,
		       const char **ret_wants)
{
	switch (field) {
	case CLIENT:
		*ret_wants = "an IPv4 address, as the form is " GRAMMAR;
		return parse_address(text, &ret->address);
	case GATEWAY:
		*ret_wants = "an IPv4 address (the gateway)";
		return parse_address(text, &ret->gateway);
	case NETMASK:
		*ret_wants = "a netmask, 255.255.255.0 or 24";
		return parse_netmask(text, &ret->netmask);
	case HOST_NAME:
		*ret_wants = "a host name of at most 64 characters";
		return parse_text(text, ret->host_name, sizeof(ret->host_name));
	case DEVICE:
		*ret_wants = "an interface name of at most 15 characters";
		return parse_text(text, ret->device, sizeof(ret->device));
	case METHOD:
		*ret_wants = "dhcp, on, any, both, off, none or auto6";
		return parse_method(text, &ret->method);
	case DNS0:
	case DNS1:
		*ret_wants = "an IPv4 address (a name server)";
		return parse_address(text, &ret->dns[field - DNS0]);
	case SERVER:
	case NTP:
	case FIELDS:
		break;
	}
	return 0;
}

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

static int parse_mtu(const char *text, struct ip_config *ret, char *why, size_t why_size)
{
	long mtu_bytes = is_number(text) && strlen(text) < 6 ? strtol(text, NULL, 10) : 0;

	if (mtu_bytes < 576 || mtu_bytes > 65535) {
		snprintf(why, why_size, "MTU \"%.40s\", wanted is 576 to 65535", text);
		return -EINVAL;
	}
	ret->mtu_bytes = (int)mtu_bytes;
	return 0;
}

/* What follows the method in dracut's grammar: MTU[:MAC]. The MAC of a card is not changed. */
static int parse_link(const char *text, struct ip_config *ret, char *why, size_t why_size)
{
	char mtu[16];
	size_t length = strcspn(text, ":");

	if (text[length] && text[length + 1]) {
		snprintf(why, why_size,
			 "the MAC address of a card is not changed; leave \"%.40s\" out",
			 text + length + 1);
		return -EINVAL;
	}
	snprintf(mtu, sizeof(mtu), "%.*s", (int)length, text);
	if (length && ret->method != IP_STATIC) {
		snprintf(why, why_size,
			 "with %s the MTU is the network's to say; leave \"%.40s\" out",
			 ret->method == IP_DHCP ? "dhcp" : "that method", mtu);
		return -EINVAL;
	}
	return length ? parse_mtu(mtu, ret, why, why_size) : 0;
}

/* DEVICE:METHOD[:[MTU][:[MAC]]]; 1 when the value is not of this form. */
static int parse_device_first(const char *value, struct ip_config *ret, char *why, size_t why_size)
{
	struct ip_config ip = {.method = IP_UNSET};
	char text[256], *rest = text, *device, *method;
	struct in_addr address;
	int err;

	if (parse_text(value, text, sizeof(text)) < 0)
		return 1;
	device = strsep(&rest, ":");
	method = strsep(&rest, ":");
	if (!*device || !method || parse_method(method, &ip.method) < 0 ||
	    parse_address(device, &address) == 0)
		return 1;
	if (parse_text(device, ip.device, sizeof(ip.device)) < 0) {
		snprintf(why, why_size, "\"%.40s\" is longer than an interface name", device);
		return -EINVAL;
	}
	err = rest ? parse_link(rest, &ip, why, why_size) : 0;
	if (!err)
		*ret = ip;
	return err;
}

/* dracut's forms of IPv6 that no kernel has: DHCPv6, and addresses in brackets. */
static bool is_ipv6(const char *value)
{
	const char *colon = strrchr(value, ':'), *last = colon ? colon + 1 : value;

	return strchr(value, '[') || strcmp(last, "dhcp6") == 0 || strcmp(last, "either6") == 0;
}

int ip_parse(const char *value, struct ip_config *ret, char *why, size_t why_size)
{
	struct ip_config ip = {.method = IP_UNSET};
	char text[256], *rest = text, *field;
	const char *wants = "";
	int err;

	if (parse_text(value, text, sizeof(text)) < 0) {
		snprintf(why, why_size, "longer than %zu characters", sizeof(text) - 1);
		return -EINVAL;
	}
	if (is_ipv6(value)) {
		snprintf(why, why_size,
			 "an IPv6 address comes from a router's announcement alone; leave ip= out, "
			 "or write ip=auto6");
		return -EINVAL;
	}
	if (parse_method(value, &ip.method) == 0) {
		*ret = ip;
		return 0;
	}
	err = parse_device_first(value, ret, why, why_size);
	if (err <= 0)
		return err;
	for (int i = 0; (field = strsep(&rest, ":")); i++) {
		if (i >= FIELDS) {
			snprintf(why, why_size, "more than %d fields; the form is " GRAMMAR,
				 FIELDS);
			return -EINVAL;
		}
		if (i == DNS0 && is_number(field)) {
			ip.method = ip.address.s_addr ? IP_STATIC : ip.method;
			if (rest)
				rest[-1] = ':';
			err = parse_link(field, &ip, why, why_size);
			if (err)
				return err;
			break;
		}
		if (*field && parse_field((enum ip_field)i, field, &ip, &wants) < 0) {
			snprintf(why, why_size, "field %d is \"%.40s\", wanted is %s", i + 1, field,
				 wants);
			return -EINVAL;
		}
	}
	/* As in the kernel, an address that is given is used whatever the method says. */
	if (ip.address.s_addr)
		ip.method = IP_STATIC;
	else if (ip.method == IP_UNSET)
		ip.method = IP_DHCP;
	*ret = ip;
	return 0;
}
