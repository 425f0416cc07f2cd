// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listening sockets: addresses enter, connections leave to connection.c. Dead
 * peers are found by keepalive and by TCP_USER_TIMEOUT, which also ends a
 * connection whose client takes nothing for that long.
 */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "server/status.h"

enum {
	ACCEPTS_PER_TURN = 64,
	ACCEPT_PAUSE_MS = 200,
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_INTERVAL_S = 20,
	USER_TIMEOUT_MS = 300000,
	INHERITED_FIRST_FD = 3, /* SD_LISTEN_FDS_START */
};

static void set_option(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

static void tune(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

void listen_probe(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
}

bool listen_was_answered(int fd, unsigned int within_ms)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return true;
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	return info.tcpi_last_ack_recv < within_ms || info.tcpi_last_data_recv < within_ms;
}

static void welcome(const struct listener *listener, int fd, const struct sockaddr *address,
		    socklen_t length)
{
	struct server *server = listener->server;
	char peer[PEER_BYTES];
	int r;

	address_format(address, length, peer, sizeof(peer));
	server->counts.accepted++;
	if (server->connection_count >= server->connections_max) {
		server->counts.refused++;
		log_line("%s: refused: %u connections are the limit", peer,
			 server->connections_max);
		close(fd);
		return;
	}
	if (server->handshake_count >= HANDSHAKES_MAX)
		connection_close(TAILQ_FIRST(&server->handshakes) ?: TAILQ_FIRST(&server->claims),
				 "gave way: too many unfinished handshakes");
	r = connection_open(server, fd, peer, listener->oldstyle_name);
	if (r < 0)
		log_line("%s: refused: %s", peer, strerror(-r));
}

static void want_accept(struct server *server, bool wanted)
{
	for (unsigned int i = 0; i < server->listener_count; i++)
		loop_change(server->loop, &server->listeners[i].watch, wanted ? LOOP_READ : 0);
}

static void pause_accept(struct server *server, int error)
{
	log_line("cannot accept: %s; trying again", strerror(error));
	want_accept(server, false);
	server->accept_again_ms = server_now_ms() + ACCEPT_PAUSE_MS;
}

void listen_resume(struct server *server)
{
	server->accept_again_ms = 0;
	want_accept(server, true);
}

static bool is_lack_of_resources(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void listen_accept_status(struct server *server, bool wanted)
{
	for (unsigned int i = 0; i < server->listener_count; i++) {
		if (server->listeners[i].is_status)
			loop_change(server->loop, &server->listeners[i].watch,
				    wanted ? LOOP_READ : 0);
	}
}

static void on_ready(struct watch *watch, unsigned int events)
{
	struct listener *listener = (struct listener *)watch;
	struct server *server = listener->server;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage address;
		socklen_t length = sizeof(address);
		int fd;

		if (listener->is_status && !status_has_room(server)) {
			listen_accept_status(server, false);
			return;
		}
		fd = accept4(watch->fd, (struct sockaddr *)&address, &length,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && is_lack_of_resources(errno))
			pause_accept(server, errno);
		if (fd < 0)
			return;
		if (listener->is_status) {
			status_answer(server, fd);
			continue;
		}
		tune(fd);
		welcome(listener, fd, (struct sockaddr *)&address, length);
	}
}

static int open_socket(const struct addrinfo *info)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	int r;

	if (fd < 0)
		return -errno;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (info->ai_family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Sockets of one address share a port, also when the system chose it. */
static void use_port_of(int fd, struct addrinfo *info)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return;
	/* The port has the same place in both kinds of address. */
	((struct sockaddr_in *)info->ai_addr)->sin_port =
		((struct sockaddr_in *)&address)->sin_port;
}

/* Takes path over; copies oldstyle_name. */
static int add_listener(struct server *server, int fd, char *path, const char *oldstyle_name)
{
	struct listener *listener;
	int r;

	if (server->listener_count == LISTENERS_MAX)
		return -E2BIG;
	listener = &server->listeners[server->listener_count];
	*listener = (struct listener){
		.watch = {fd, LOOP_READ, on_ready},
		.server = server,
		.path = path,
		.oldstyle_name = oldstyle_name ? strdup(oldstyle_name) : NULL,
	};
	if (oldstyle_name && !listener->oldstyle_name)
		return -ENOMEM;
	r = loop_watch(server->loop, &listener->watch);
	if (!r)
		server->listener_count++;
	return r;
}

static struct addrinfo *resolve(const struct listen_address *address)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *list;
	char port[8];
	int r;

	snprintf(port, sizeof(port), "%u", address->port);
	r = getaddrinfo(address->host[0] ? address->host : NULL, port, &hints, &list);
	if (r)
		die(1, "%s: cannot listen: %s", address->host, gai_strerror(r));
	return list;
}

void listen_open(struct server *server, const struct listen_address *address,
		 const char *oldstyle_name)
{
	struct addrinfo *list = resolve(address);
	int r = 0, first = -1;

	for (struct addrinfo *info = list; info; info = info->ai_next) {
		int fd;

		if (first >= 0 && !address->port)
			use_port_of(first, info);
		fd = open_socket(info);
		/* A machine may lack one of IPv4 and IPv6; "every address" is what it has. */
		if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
			r = fd;
			continue;
		}
		r = fd < 0 ? fd : add_listener(server, fd, NULL, oldstyle_name);
		if (r < 0)
			break;
		first = fd;
	}
	freeaddrinfo(list);
	if (r < 0 && (first < 0 || (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL)))
		die(1, "%s:%u: cannot listen: %s", address->host, address->port, strerror(-r));
}

/* A server that was killed leaves its file behind; one that runs takes connections on it. */
static void remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	    errno == ECONNREFUSED)
		unlink(address->sun_path);
	close(fd);
}

/* mode 0: as the umask leaves it */
static int open_unix(const struct sockaddr_un *address, mode_t mode)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	/* Before bind(): nobody comes through while the file has another mode. */
	if (mode && fchmod(fd, mode) < 0)
		goto err;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
err:
	r = -errno;
	close(fd);
	return r;
}

static void listen_on_path(struct server *server, const char *path, mode_t mode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char *copy = strdup(path);
	int fd, r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	remove_stale(&address);
	fd = open_unix(&address, mode);
	r = fd < 0 ? fd : copy ? add_listener(server, fd, copy, NULL) : -ENOMEM;
	if (r < 0)
		die(1, "%s: cannot listen: %s", path, strerror(-r));
}

void listen_open_unix(struct server *server, const char *path)
{
	listen_on_path(server, path, 0);
}

void listen_open_status(struct server *server, const char *path)
{
	listen_on_path(server, path, S_IRUSR | S_IWUSR);
	server->listeners[server->listener_count - 1].is_status = true;
}

int listen_inherited_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

	if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	return (int)strtol(count, NULL, 10);
}

static bool is_listening(int fd)
{
	int listening = 0, type = 0;
	socklen_t length = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

void listen_inherit(struct server *server, int count)
{
	for (int fd = INHERITED_FIRST_FD; fd < INHERITED_FIRST_FD + count; fd++) {
		int r = is_listening(fd) ? 0 : -EINVAL;

		if (!r && (ioctl(fd, FIONBIO, &(int){1}) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0))
			r = -errno;
		if (!r)
			r = add_listener(server, fd, NULL, NULL);
		if (r < 0)
			die(1, "LISTEN_FDS=%d: descriptor %d: %s", count, fd,
			    r == -EINVAL ? "must be a listening stream socket" : strerror(-r));
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
}

static void announce_unix(const struct sockaddr_un *address)
{
	log_line("ready: listening on unix:%.*s", UNIX_PATH_MAX_BYTES, address->sun_path);
}

void listen_announce(const struct server *server)
{
	for (unsigned int i = 0; i < server->listener_count; i++) {
		const struct listener *listener = &server->listeners[i];
		struct sockaddr_storage address;
		socklen_t length = sizeof(address);
		char text[80];

		if (listener->is_status)
			continue;
		getsockname(listener->watch.fd, (struct sockaddr *)&address, &length);
		if (address.ss_family == AF_UNIX) {
			announce_unix((struct sockaddr_un *)&address);
			continue;
		}
		address_format((struct sockaddr *)&address, length, text, sizeof(text));
		if (listener->oldstyle_name)
			log_line("ready: listening on %s, oldstyle, for export \"%s\"", text,
				 listener->oldstyle_name);
		else
			log_line("ready: listening on %s", text);
	}
}

void listen_stop(struct server *server)
{
	for (unsigned int i = 0; i < server->listener_count; i++) {
		loop_forget(server->loop, &server->listeners[i].watch);
		close(server->listeners[i].watch.fd);
		if (server->listeners[i].path)
			unlink(server->listeners[i].path);
		free(server->listeners[i].path);
		free(server->listeners[i].oldstyle_name);
	}
	server->listener_count = 0;
	server->accept_again_ms = 0;
}
