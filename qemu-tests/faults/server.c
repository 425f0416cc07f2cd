// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connections: a thread for each reads requests and treats them as the fault
 * of the connection says. There is no handshake, which is no business of the
 * driver. The receive buffers are small, so that a connection that does not read
 * keeps requests in the send queue of the driver.
 */
#include "qemu-tests/faults/faults.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/nbd-proto.h"
#include "common/wire.h"

enum { RECEIVE_BUFFER_BYTES = 8192 };

struct connection {
	pthread_t thread;
	int fd;
	enum fault fault;
	bool is_ended;
};

static pthread_mutex_t lock;
static pthread_cond_t changed;
static struct connection connections[FAULTS_CONNECTIONS_MAX];
static size_t connection_count, first; /* first: has the number 0 */
static uint8_t image[FAULTS_SIZE_BYTES];

static struct connection *newest(void)
{
	return &connections[connection_count - 1];
}

static struct connection *chosen(const char *number)
{
	size_t n = first + (number ? strtoul(number, NULL, 10) : 0);

	return number && n < connection_count ? &connections[n] : newest();
}

/* The fault of the connection, once it is not FAULT_DEAF. */
static enum fault hear(struct connection *c)
{
	enum fault fault;

	pthread_mutex_lock(&lock);
	while (c->fault == FAULT_DEAF)
		pthread_cond_wait(&changed, &lock);
	fault = c->fault;
	pthread_mutex_unlock(&lock);
	return fault;
}

static int answer(struct connection *c, const struct wire_request *request, enum fault fault)
{
	struct wire_reply reply = {.cookie = request->cookie};
	uint32_t length = request->type == NBD_CMD_READ ? request->length_bytes : 0;
	uint8_t header[WIRE_SIMPLE_REPLY_BYTES];
	int err;

	if (fault == FAULT_HOLD)
		return 0;
	if (fault == FAULT_SHUTDOWN) {
		reply.error = NBD_ESHUTDOWN;
		length = 0;
	}
	wire_put_simple_reply(header, &reply);
	err = wire_write_full(c->fd, header, sizeof(header));
	if (fault == FAULT_HALF)
		length /= 2;
	return err ? err : wire_write_full(c->fd, image + request->offset_bytes, length);
}

static int serve_request(struct connection *c)
{
	uint8_t header[WIRE_REQUEST_BYTES];
	struct wire_request request;
	enum fault fault;
	int err;

	hear(c);
	err = wire_read_full(c->fd, header, sizeof(header));
	if (!err)
		err = wire_get_request(header, &request);
	if (err)
		return err;
	fault = hear(c);
	if (request.type == NBD_CMD_DISC)
		return -ESHUTDOWN;
	if (request.offset_bytes > FAULTS_SIZE_BYTES ||
	    request.length_bytes > FAULTS_SIZE_BYTES - request.offset_bytes)
		return -EINVAL;
	if (request.type == NBD_CMD_WRITE)
		err = wire_read_full(c->fd, image + request.offset_bytes, request.length_bytes);
	return err ? err : answer(c, &request, fault);
}

static void *serve(void *argument)
{
	struct connection *c = argument;

	while (serve_request(c) == 0)
		;
	shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_lock(&lock);
	c->is_ended = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int listen_on_loopback(struct sockaddr_in *ret)
{
	static const int receive_buffer_bytes = RECEIVE_BUFFER_BYTES;
	socklen_t length = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	*ret = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
		       sizeof(receive_buffer_bytes)) == 0 &&
	    bind(fd, (struct sockaddr *)ret, sizeof(*ret)) == 0 && listen(fd, 1) == 0 &&
	    getsockname(fd, (struct sockaddr *)ret, &length) == 0)
		return fd;
	close(fd);
	return -errno;
}

static int start_connection(int fd)
{
	struct connection *c;

	if (fd < 0)
		return -errno;
	if (connection_count == FAULTS_CONNECTIONS_MAX) {
		close(fd);
		return -ENOSPC;
	}
	c = &connections[connection_count++];
	c->fd = fd;
	return -pthread_create(&c->thread, NULL, serve, c);
}

void server_begin(void)
{
	pthread_mutex_init(&lock, NULL);
	pthread_cond_init(&changed, NULL);
}

int server_connect(void)
{
	static const int on = 1;
	struct sockaddr_in address;
	int listener, fd, err;

	listener = listen_on_loopback(&address);
	if (listener < 0)
		return listener;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	else
		err = start_connection(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	if (!err && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
		return fd;
	close(fd);
	return err ? err : -errno;
}

void server_count_anew(void)
{
	first = connection_count;
}

void server_set_fault(enum fault fault, const char *connection)
{
	pthread_mutex_lock(&lock);
	chosen(connection)->fault = fault;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void server_close(const char *connection)
{
	struct connection *c = chosen(connection);

	shutdown(c->fd, SHUT_RDWR);
	pthread_join(c->thread, NULL);
}

bool server_is_ended(void)
{
	uint8_t byte;

	return newest()->is_ended || recv(newest()->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void server_drain_old(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i + 1 < connection_count; i++)
		connections[i].fault = FAULT_NONE;
	pthread_cond_broadcast(&changed);
	for (size_t i = 0; i + 1 < connection_count; i++) {
		while (!connections[i].is_ended)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
}
