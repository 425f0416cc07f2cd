// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for the transmission phase: a server with one export, and a client that
 * has attached by the book and then sends what the fuzzer made. The first byte says what
 * the client has negotiated, how the data is reached, and whether the loop that shakes hands
 * serves it or another one. Whatever comes, the connection ends and its buffers are back.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/server.h"

enum { SIZE_BYTES = 1 << 20, SEND_MAX_BYTES = 64 << 10, WORKERS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server servers[2]; /* with one loop, and with WORKERS */

static void be_silent(const char *line)
{
	(void)line;
}

static void open_server(struct server *server, unsigned int workers)
{
	char path[] = "/dev/shm/transmission-fuzz.XXXXXX", why[TEXT_MAX];
	struct export_settings set;
	struct export *export;
	int fd = mkstemp(path);

	server->io = IO_EPOLL;
	server->worker_count = workers;
	server->connections_max = 1;
	server->one_client = true; /* the loop ends with it */
	if (fd < 0 || ftruncate(fd, SIZE_BYTES) < 0 || server_open(server) < 0 ||
	    server_start(server, 1) < 0 || export_settings_init(&set, "", path) < 0 ||
	    export_open(&set, &export, why, sizeof(why)) < 0 ||
	    export_table_add(&server->exports, export) < 0)
		abort();
	unlink(path);
	close(fd);
}

/* libFuzzer ends by a signal that the loop of the server would take. */
static void leave_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *read_to_the_end(void *arg)
{
	static uint8_t waste[1 << 16];
	int fd = *(int *)arg;

	while (read(fd, waste, sizeof(waste)) > 0)
		;
	return NULL;
}

static void put(uint8_t *buffer, size_t *used, const void *data, size_t length)
{
	memcpy(buffer + *used, data, length);
	*used += length;
}

static void put_option(uint8_t *buffer, size_t *used, uint32_t option, const void *data,
		       uint32_t length)
{
	*used += wire_put_option(buffer + *used, &(struct wire_option){option, length});
	put(buffer, used, data, length);
}

static size_t put_handshake(uint8_t *buffer, uint8_t how)
{
	static const uint8_t query[] = "\0\0\0\0\0\0\0\1\0\0\0\17base:allocation";
	static const uint8_t go[6];
	size_t used = wire_put_client_flags(buffer, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);

	if (how & 1)
		put_option(buffer, &used, NBD_OPT_STRUCTURED_REPLY, "", 0);
	if (how & 2)
		put_option(buffer, &used, NBD_OPT_SET_META_CONTEXT, query, sizeof(query) - 1);
	put_option(buffer, &used, NBD_OPT_GO, go, sizeof(go));
	return used;
}

static bool is_clean(const struct server *server)
{
	for (unsigned int i = 0; i < server->worker_count; i++) {
		const struct worker *worker = &server->workers[i];

		if (worker->client_count || worker->payload.free_count != worker->payload.count ||
		    worker->pipes.free_count != worker->pipes.count)
			return false;
	}
	return !server->connection_count;
}

static void open_servers(void)
{
	log_to(be_silent);
	open_server(&servers[0], 1);
	open_server(&servers[1], WORKERS);
	leave_signals();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buffer[SEND_MAX_BYTES + 512];
	struct server *server;
	pthread_t reader;
	size_t used;
	int fds[2];

	if (!servers[0].loop)
		open_servers();
	if (!size || size > SEND_MAX_BYTES)
		return 0;
	server = &servers[(data[0] & 8) != 0];
	server->exports.list[0]->in_memory = !(data[0] & 4); /* else by the storage thread */
	used = put_handshake(buffer, data[0]);
	put(buffer, &used, data + 1, size - 1);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
	    write(fds[0], buffer, used) != (ssize_t)used || shutdown(fds[0], SHUT_WR) < 0 ||
	    connection_open(server, fds[1], "fuzz", NULL) < 0 ||
	    pthread_create(&reader, NULL, read_to_the_end, &fds[0]) != 0)
		abort();
	if (server_run(server) < 0 || !is_clean(server))
		abort();
	pthread_join(reader, NULL);
	close(fds[0]);
	return 0;
}
