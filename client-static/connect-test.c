/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a target to a socket that the kernel can have, on loopback and on a Unix socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "client-static/client.h"

static struct failure why;

/* A listening socket of loopback; *ret_port is its port. */
static int listen_on_loopback(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static struct address_list resolve(const char *host, uint16_t port)
{
	static struct target target;
	struct address_list list;

	memset(&target, 0, sizeof(target));
	snprintf(target.host, sizeof(target.host), "%s", host);
	target.port = port;
	if (resolve_target(&target, &list, &why))
		fail_msg("%s", why.text);
	return list;
}

static int connect_loopback(void)
{
	uint16_t port;
	int listener = listen_on_loopback(&port), fd = -1;
	struct address_list list = resolve("127.0.0.1", port);

	assert_int_equal(connect_address(&list.items[0], &fd, &why), 0);
	close(listener);
	return fd;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

static long time_limit_s(int fd, int name)
{
	struct timeval limit = {.tv_sec = -1};
	socklen_t length = sizeof(limit);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, name, &limit, &length), 0);
	return limit.tv_sec;
}

static void numeric_addresses_need_no_resolver(void **state)
{
	(void)state;
	struct address_list list = resolve("192.0.2.1", 10809);

	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].text, "192.0.2.1:10809");
	list = resolve("2001:db8::1", 99);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].text, "[2001:db8::1]:99");
	assert_int_equal(list.items[0].storage.ss_family, AF_INET6);
}

static void unknown_name_is_permanent(void **state)
{
	(void)state;
	static struct target target = {.host = "256.256.256.256.invalid..", .port = 1};
	struct address_list list;

	assert_int_equal(resolve_target(&target, &list, &why), -ENOENT);
	assert_int_equal(why.exit_code, EXIT_PERMANENT);
	assert_non_null(strstr(why.text, "256.256.256.256.invalid..: cannot find the address"));
}

static void handshake_has_time_limits_and_blocks(void **state)
{
	(void)state;
	int fd = connect_loopback();

	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_in_range(time_limit_s(fd, SO_RCVTIMEO), 1, 60);
	assert_in_range(time_limit_s(fd, SO_SNDTIMEO), 1, 60);
	close(fd);
}

static void kernel_gets_a_socket_that_never_gives_up_early(void **state)
{
	(void)state;
	struct linger linger = {0};
	socklen_t length = sizeof(linger);
	int fd = connect_loopback();

	assert_int_equal(connect_settle(fd, 0, 0, &why), 0);
	assert_int_equal(time_limit_s(fd, SO_RCVTIMEO), 0);
	assert_int_equal(time_limit_s(fd, SO_SNDTIMEO), 0);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 10);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 60 * 1000);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length), 0);
	assert_int_equal(linger.l_onoff, 1);
	assert_int_equal(linger.l_linger, 0);
	assert_int_equal(connect_settle(fd, 0, 15, &why), 0);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 15 * 1000);
	close(fd);
}

static void buffers_are_bounded_when_asked(void **state)
{
	(void)state;
	int fd = connect_loopback(), send_bytes = option(fd, SOL_SOCKET, SO_SNDBUF);
	int receive_bytes = option(fd, SOL_SOCKET, SO_RCVBUF);

	assert_int_equal(connect_settle(fd, 0, 0, &why), 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), send_bytes);
	assert_int_equal(option(fd, SOL_SOCKET, SO_RCVBUF), receive_bytes);
	assert_int_equal(connect_settle(fd, 64 << 10, 0, &why), 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 128 << 10);
	assert_int_equal(option(fd, SOL_SOCKET, SO_RCVBUF), 128 << 10);
	close(fd);
}

static void card_is_the_one_of_the_route(void **state)
{
	(void)state;
	uint16_t port;
	int listener = listen_on_loopback(&port), fd, pair[2];
	struct address_list list = resolve("127.0.0.1", port);
	struct nic nic;

	assert_int_equal(connect_address(&list.items[0], &fd, &why), 0);
	assert_int_equal(nic_of_socket(fd, &nic), 0);
	assert_string_equal(nic.name, "lo");
	assert_true(nic.mtu_bytes >= 1500);
	assert_int_equal(nic.rx_ring * nic.rx_queues, 0);
	assert_true(nic.has_scatter_gather);
	close(fd);
	close(listener);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(nic_of_socket(pair[0], &nic), 0);
	assert_int_equal(nic.mtu_bytes, 0);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(nic_of_socket(-1, &nic), -EBADF);
}

static void refused_connection_is_worth_a_retry(void **state)
{
	(void)state;
	uint16_t port;
	struct address_list list;
	int fd;

	close(listen_on_loopback(&port));
	list = resolve("127.0.0.1", port);
	assert_int_equal(connect_address(&list.items[0], &fd, &why), -ECONNREFUSED);
	assert_int_equal(why.exit_code, EXIT_TEMPORARY);
	assert_string_equal(why.text, "connect: Connection refused");
}

static void unix_socket_is_a_target(void **state)
{
	(void)state;
	char path[] = "/tmp/connect-test.XXXXXX";
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	static struct target target;
	struct address_list list;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	assert_non_null(mkdtemp(path));
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/s", path);
	snprintf(target.unix_path, sizeof(target.unix_path), "%s", name.sun_path);
	assert_int_equal(resolve_target(&target, &list, &why), 0);
	assert_int_equal(connect_address(&list.items[0], &fd, &why), -ENOENT);
	assert_int_equal(why.exit_code, EXIT_TEMPORARY); /* the server may come yet */
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect_address(&list.items[0], &fd, &why), 0);
	assert_int_equal(connect_settle(fd, 128 << 10, 0, &why), 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 256 * 1024);
	close(fd);
	close(listener);
	unlink(name.sun_path);
	rmdir(path);
}

static void every_server_of_a_target_is_resolved(void **state)
{
	static struct target target = {.host = "192.0.2.1",
				       .port = 1,
				       .others = {{"no such host", 2}, {"2001:db8::3", 3}},
				       .other_count = 2};
	struct address_list list;

	(void)state;
	assert_int_equal(resolve_target(&target, &list, &why), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].text, "192.0.2.1:1");
	assert_string_equal(list.items[1].text, "[2001:db8::3]:3");
	strcpy(target.host, "neither this one");
	target.other_count = 1;
	assert_true(resolve_target(&target, &list, &why) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_server_of_a_target_is_resolved),
		cmocka_unit_test(numeric_addresses_need_no_resolver),
		cmocka_unit_test(unknown_name_is_permanent),
		cmocka_unit_test(handshake_has_time_limits_and_blocks),
		cmocka_unit_test(kernel_gets_a_socket_that_never_gives_up_early),
		cmocka_unit_test(buffers_are_bounded_when_asked),
		cmocka_unit_test(card_is_the_one_of_the_route),
		cmocka_unit_test(refused_connection_is_worth_a_retry),
		cmocka_unit_test(unix_socket_is_a_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
