/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address becomes a connected socket, with a deadline, and later a socket
 * that the kernel can have. Once the kernel has it nothing may be set on it any
 * more: setsockopt() takes the socket's lock and may allocate under it, and
 * freeing memory may need that very socket.
 */
#include "client-static/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	CONNECT_TIMEOUT_S = 10,
	HANDSHAKE_TIMEOUT_S = 10, /* of one receive or send */
	SYN_RETRIES = 3,	  /* SYN after 1, 2 and 4 s: three tries in CONNECT_TIMEOUT_S */

	/* Notice a server that vanished while nothing is in flight. */
	KEEPALIVE_IDLE_S = 10,
	KEEPALIVE_INTERVAL_S = 5,
	KEEPALIVE_PROBES = 3,

	/*
	 * How long TCP keeps a connection whose peer does not answer, or takes no
	 * data (it also overrules KEEPALIVE_PROBES); the supervisor then makes a new
	 * one. Shorter finds a returning server sooner. Longer is safer with a
	 * server that only pauses: one that does not fence may still execute writes
	 * of the old connection after newer ones of the new.
	 */
	TCP_TIMEOUT_DEFAULT_S = 60,
};

struct setting {
	int level;
	int name;
	int value;
	const char *text;
};

static int apply(int fd, const struct setting *settings, size_t count, struct failure *why)
{
	for (const struct setting *s = settings; s < settings + count; s++) {
		if (setsockopt(fd, s->level, s->name, &s->value, sizeof(s->value)) < 0)
			return failure_set(why, EXIT_PERMANENT, errno, "set %s: %s", s->text,
					   strerror(errno));
	}
	return 0;
}

static int set_time_limits(int fd, long seconds, struct failure *why)
{
	struct timeval limit = {.tv_sec = seconds};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return failure_set(why, EXIT_PERMANENT, errno, "set SO_RCVTIMEO: %s",
				   strerror(errno));
	return 0;
}

/* Errors that no waiting mends; a server that is not up yet is none of them. */
static int connect_exit_code(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
	case EAFNOSUPPORT:
	case EINVAL:
	case ENOTSOCK:
	case EPROTOTYPE:
		return EXIT_PERMANENT;
	default:
		return EXIT_TEMPORARY;
	}
}

static int connect_refused(int error, struct failure *why)
{
	return failure_set(why, connect_exit_code(error), error, "connect: %s", strerror(error));
}

/* Waits for a connect() in progress and returns its errno. */
static int await_connect(int fd)
{
	struct pollfd event = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t length = sizeof(error);
	int n;

	do {
		n = poll(&event, 1, CONNECT_TIMEOUT_S * 1000);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	if (n == 0)
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return errno;
	return error;
}

static int start_connect(int fd, const struct address *address)
{
	int retries = SYN_RETRIES;

	if (address->storage.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof(retries));
	if (connect(fd, (const struct sockaddr *)&address->storage, address->length) == 0)
		return 0;
	return errno == EINPROGRESS ? await_connect(fd) : errno;
}

int connect_address(const struct address *address, int *ret_fd, struct failure *why)
{
	int fd, error, err;

	fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return connect_refused(errno, why);
	error = start_connect(fd, address);
	if (error) {
		err = connect_refused(error, why);
		goto err_close;
	}
	if (fcntl(fd, F_SETFL, 0) < 0) {
		err = failure_set(why, EXIT_PERMANENT, errno, "fcntl: %s", strerror(errno));
		goto err_close;
	}
	err = set_time_limits(fd, HANDSHAKE_TIMEOUT_S, why);
	if (err)
		goto err_close;
	*ret_fd = fd;
	return 0;

err_close:
	close(fd);
	return err;
}

/*
 * With a linger of 0 a connection that the kernel drops is reset and its unsent
 * data thrown away. Without it TCP would go on sending old writes for minutes,
 * after newer ones have arrived by another connection.
 */
static int set_linger(int fd, struct failure *why)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
		return failure_set(why, EXIT_PERMANENT, errno, "set SO_LINGER: %s",
				   strerror(errno));
	return 0;
}

static int settle_tcp(int fd, uint32_t tcp_timeout_s, struct failure *why)
{
	const int tcp_timeout_ms =
		(int)(tcp_timeout_s ? tcp_timeout_s : TCP_TIMEOUT_DEFAULT_S) * 1000;
	const struct setting settings[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"},
		{SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S, "TCP_KEEPIDLE"},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S, "TCP_KEEPINTVL"},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES, "TCP_KEEPCNT"},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, tcp_timeout_ms, "TCP_USER_TIMEOUT"},
	};
	int err = apply(fd, settings, sizeof(settings) / sizeof(*settings), why);

	return err ? err : set_linger(fd, why);
}

int connect_settle(int fd, uint32_t buffer_bytes, uint32_t tcp_timeout_s, struct failure *why)
{
	const struct setting buffers[] = {
		{SOL_SOCKET, SO_SNDBUF, (int)buffer_bytes, "SO_SNDBUF"},
		{SOL_SOCKET, SO_RCVBUF, (int)buffer_bytes, "SO_RCVBUF"},
	};
	int family, err;
	socklen_t length = sizeof(family);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0)
		return failure_set(why, EXIT_PERMANENT, errno, "SO_DOMAIN: %s", strerror(errno));
	err = set_time_limits(fd, 0, why);
	if (!err && family != AF_UNIX)
		err = settle_tcp(fd, tcp_timeout_s, why);
	if (!err && buffer_bytes)
		err = apply(fd, buffers, sizeof(buffers) / sizeof(*buffers), why);
	return err;
}
