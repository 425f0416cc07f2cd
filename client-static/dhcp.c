/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DHCP: busybox udhcpc speaks it; its "script" is this program again, under the
 * name EVENT_PROGRAM, which reads the lease from the environment (the names are
 * those of busybox's networking/udhcp/dhcpc.c) and sets it. In an image without
 * busybox a child of /init speaks it by lease.c, and goes on as that script.
 */
#include "client-static/boot.h"
#include "client-static/lease.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENT_PROGRAM	 "/sbin/udhcpc-event"
#define ROOT_PATH_FILE	 "/run/nbd-client/root-path"
#define NEXT_SERVER_FILE "/run/nbd-client/next-server"

enum { NAME_SERVERS = 3 /* MAXNS of resolv.conf(5) */ };

static const char *given(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

/* The first count addresses of a list that blanks separate; the others are 0. */
static void parse_addresses(const char *list, struct in_addr *ret, int count)
{
	char text[256], *rest = text, *word;
	int i = 0;

	memset(ret, 0, sizeof(*ret) * (size_t)count);
	snprintf(text, sizeof(text), "%s", list);
	while (i < count && (word = strsep(&rest, " ")))
		if (inet_pton(AF_INET, word, &ret[i]) == 1)
			i++;
}

/* One text for /init, which waits for udhcpc to end; it may hold any byte but 0. */
static int keep_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), r = 0;
	size_t length = strlen(text);

	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != (ssize_t)length)
		r = -EIO;
	close(fd);
	return r;
}

static int keep_root(void)
{
	const char *server = given("siaddr");
	int r = keep_text(ROOT_PATH_FILE, given("rootpath"));

	return r < 0 ? r : keep_text(NEXT_SERVER_FILE, *server ? server : given("serverid"));
}

void dhcp_root(char *ret_root_path, size_t root_path_size, char *ret_next_server,
	       size_t next_server_size)
{
	if (system_read(ROOT_PATH_FILE, ret_root_path, root_path_size) < 0)
		*ret_root_path = '\0';
	if (system_read(NEXT_SERVER_FILE, ret_next_server, next_server_size) < 0)
		*ret_next_server = '\0';
}

static int set_lease(const char *interface)
{
	struct ip_address address = {.mtu = atoi(given("mtu"))};
	struct in_addr dns[NAME_SERVERS];
	int r;

	if (inet_pton(AF_INET, given("ip"), &address.address) != 1)
		return -EBADMSG;
	if (inet_pton(AF_INET, given("subnet"), &address.netmask) != 1)
		address.netmask = address_class_netmask(address.address);
	parse_addresses(given("router"), &address.gateway, 1);
	parse_addresses(given("dns"), dns, NAME_SERVERS);
	r = address_set(interface, &address);
	if (r < 0)
		return r;
	if (*given("hostname") && sethostname(given("hostname"), strlen(given("hostname"))) < 0)
		log_line("%s: host name \"%s\" of the lease: %s", interface, given("hostname"),
			 strerror(errno));
	r = address_write_resolv_conf(given("domain"), dns, NAME_SERVERS);
	return r < 0 ? r : keep_root();
}

int dhcp_event_main(int argc, char **argv)
{
	const char *event = argc > 1 ? argv[1] : "", *interface = given("interface");
	int r = 0;

	log_init("init");
	if (strcmp(event, "deconfig") == 0)
		r = address_link_up(interface);
	else if (strcmp(event, "bound") == 0 || strcmp(event, "renew") == 0)
		r = set_lease(interface);
	else if (strcmp(event, "nak") == 0)
		log_line("%s: the DHCP server refused: %s", interface, given("message"));
	if (r < 0) {
		log_line("%s: lease of %s/%s, gateway %s: %s", interface, given("ip"),
			 given("subnet"), given("router"), strerror(-r));
		return EXIT_TEMPORARY;
	}
	return 0;
}

static void give(const char *name, const char *value)
{
	if (*value)
		setenv(name, value, 1);
}

static void give_address(const char *name, struct in_addr address)
{
	char text[INET_ADDRSTRLEN];

	if (address.s_addr)
		give(name, inet_ntop(AF_INET, &address, text, sizeof(text)));
}

static void give_name_servers(const struct lease *lease)
{
	char list[LEASE_NAME_SERVERS * (INET_ADDRSTRLEN + 1)] = "", text[INET_ADDRSTRLEN];

	for (int i = 0; i < LEASE_NAME_SERVERS && lease->dns[i].s_addr; i++) {
		strcat(list, inet_ntop(AF_INET, &lease->dns[i], text, sizeof(text)));
		strcat(list, " ");
	}
	give("dns", list);
}

static void give_lease(const char *interface, const struct lease *lease)
{
	char mtu[8];

	snprintf(mtu, sizeof(mtu), "%u", lease->mtu);
	give("interface", interface);
	give_address("ip", lease->address);
	give_address("subnet", lease->netmask);
	give_address("router", lease->gateway);
	give_address("siaddr", lease->next_server);
	give_address("serverid", lease->server);
	give_name_servers(lease);
	give("mtu", mtu);
	give("hostname", lease->host_name);
	give("domain", lease->domain);
	give("rootpath", lease->root_path);
	give("message", lease->message);
}

/* Asks and sets, in a child, whose environment ends with it. */
static int ask_and_set(const char *interface)
{
	static struct lease lease;
	char *event[] = {EVENT_PROGRAM, "bound", NULL};
	int r = lease_ask(interface, &lease);

	give_lease(interface, &lease);
	if (r == -ECONNREFUSED)
		event[1] = "nak";
	else if (r == -ETIMEDOUT)
		return EXIT_TEMPORARY;
	else if (r < 0) {
		log_line("%s: DHCP: %s", interface, strerror(-r));
		return EXIT_TEMPORARY;
	}
	return dhcp_event_main(2, event) || r ? EXIT_TEMPORARY : 0;
}

static int run_without_busybox(const char *interface)
{
	pid_t pid = fork(), ended;
	int status = 0;

	if (pid == 0)
		_exit(ask_and_set(interface));
	if (pid < 0)
		return -errno;
	do
		ended = waitpid(-1, &status, 0); /* PID 1 reaps whatever ends */
	while (ended != pid && (ended > 0 || errno == EINTR));
	return ended == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int dhcp_run(const char *interface)
{
	char device[IFNAMSIZ];
	char *argv[] = {"udhcpc", "-i", device,	       "-f", "-q",  "-n", "-t",	      "5", "-T",
			"3",	  "-s", EVENT_PROGRAM, "-O", "mtu", "-O", "rootpath", NULL};
	int r;

	snprintf(device, sizeof(device), "%s", interface);
	r = rescue_busybox(argv);
	if (r == -ENOENT)
		r = run_without_busybox(interface);
	return r > 0 ? -ETIMEDOUT : r;
}
