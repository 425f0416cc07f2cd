// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd-server --status: the JSON object of a running server enters, tables for people or
 * the object itself leave.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "server/server.h"
#include "server/status.h"

enum { ANSWER_TIMEOUT_S = 10, KIB = 1024, NAME_COLUMN = 32 };

static int connect_to(const char *path)
{
	static const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static size_t receive(void *buffer, size_t size, void *arg)
{
	ssize_t n;

	do
		n = read(*(int *)arg, buffer, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? (size_t)-1 : (size_t)n;
}

static int ask(const char *path, json_t **ret)
{
	json_error_t error;
	int fd = connect_to(path);

	if (fd < 0) {
		log_line("--status: %s: %s; a server answers there when it has "
			 "--status-socket or statussock",
			 path, strerror(-fd));
		return fd;
	}
	*ret = json_load_callback(receive, &fd, JSON_REJECT_DUPLICATES, &error);
	close(fd);
	if (*ret)
		return 0;
	log_line("--status: %s: no whole answer: %s", path, error.text);
	return -EPROTO;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "-";
}

static intmax_t number_of(const json_t *object, const char *key)
{
	return (intmax_t)json_integer_value(json_object_get(object, key));
}

static const char *time_of(const json_t *object, const char *key, char text[32])
{
	time_t time_s = (time_t)number_of(object, key);
	struct tm tm;

	strftime(text, 32, "%Y-%m-%d %H:%M:%S", gmtime_r(&time_s, &tm));
	return text;
}

static void print_server(const json_t *root)
{
	char since[32];

	printf("nbd-server %s, process %jd, since %s UTC, reads by %s\n", text_of(root, "version"),
	       number_of(root, "pid"), time_of(root, "since_s", since), text_of(root, "io"));
	printf("connections: %jd of %jd, %jd of them in the handshake; since the start: "
	       "%jd accepted, %jd attached, %jd refused, %jd fenced\n",
	       number_of(root, "connections"), number_of(root, "connections_max"),
	       number_of(root, "handshakes"), number_of(root, "accepted"),
	       number_of(root, "attached"), number_of(root, "refused"), number_of(root, "fenced"));
}

static void print_traffic(const json_t *object)
{
	printf(" %10jd %10jd %10jd %10jd %8jd %7jd", number_of(object, "reads"),
	       number_of(object, "read_bytes") / KIB, number_of(object, "writes"),
	       number_of(object, "written_bytes") / KIB, number_of(object, "flushes"),
	       number_of(object, "errors"));
}

static void print_traffic_head(void)
{
	printf(" %10s %10s %10s %10s %8s %7s", "READS", "READ-KIB", "WRITES", "WRITE-KIB",
	       "FLUSHES", "ERRORS");
}

static void print_exports(const json_t *exports)
{
	const json_t *export;
	size_t i;

	printf("\n%-*s %4s %12s %5s", NAME_COLUMN, "EXPORT", "KIND", "SIZE-KIB", "CONNS");
	print_traffic_head();
	printf(" %8s %8s %8s\n", "P50-US", "P99-US", "MAX-US");
	json_array_foreach(exports, i, export)
	{
		const char *name = text_of(export, "name"), *kind = text_of(export, "per_client");

		printf("%-*s %4s %12jd %5jd", NAME_COLUMN, *name ? name : "(default)",
		       strcmp(kind, "none") ? kind : "-", number_of(export, "size_bytes") / KIB,
		       number_of(export, "connections"));
		print_traffic(export);
		printf(" %8jd %8jd %8jd", number_of(export, "latency_p50_us"),
		       number_of(export, "latency_p99_us"), number_of(export, "latency_max_us"));
		if (*text_of(export, "flush_error"))
			printf("  cannot flush: %s", text_of(export, "flush_error"));
		printf("%s\n", json_is_true(json_object_get(export, "retired")) ? "  retired" : "");
	}
}

static void print_clients(const json_t *clients)
{
	const json_t *client;
	char since[32];
	size_t i;

	if (!json_array_size(clients))
		return;
	printf("\n%-24s %-*s %-19s %4s", "CLIENT", NAME_COLUMN, "EXPORT", "SINCE-UTC", "BUSY");
	print_traffic_head();
	printf(" %8s %8s\n", "MEAN-US", "MAX-US");
	json_array_foreach(clients, i, client)
	{
		printf("%-24s %-*s %-19s %4jd", text_of(client, "peer"), NAME_COLUMN,
		       text_of(client, "export"), time_of(client, "since_s", since),
		       number_of(client, "in_flight"));
		print_traffic(client);
		printf(" %8jd %8jd\n", number_of(client, "latency_mean_us"),
		       number_of(client, "latency_max_us"));
	}
}

static void print_machines(const json_t *exports)
{
	const json_t *export, *machine;
	char used[32];
	size_t i, k;

	json_array_foreach(exports, i, export)
	{
		const json_t *machines = json_object_get(export, "machines");

		if (!json_array_size(machines))
			continue;
		printf("\n%-*s %12s %12s  %-19s\n", NAME_COLUMN, text_of(export, "name"),
		       "SIZE-KIB", "TAKES-KIB", "LAST-USED-UTC");
		json_array_foreach(machines, k, machine)
		{
			printf("  %-*s %12jd %12jd  %s\n", NAME_COLUMN - 2,
			       text_of(machine, "identity"), number_of(machine, "size_bytes") / KIB,
			       number_of(machine, "taken_bytes") / KIB,
			       time_of(machine, "last_used_s", used));
		}
	}
}

int status_show(const char *path, bool as_json)
{
	json_t *root;
	int r = ask(path, &root);

	if (r < 0)
		return r;
	if (as_json) {
		json_dumpf(root, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		print_server(root);
		print_exports(json_object_get(root, "exports"));
		print_clients(json_object_get(root, "clients"));
		print_machines(json_object_get(root, "exports"));
	}
	json_decref(root);
	return fflush(stdout) ? -EIO : 0;
}
