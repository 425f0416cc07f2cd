/* SPDX-License-Identifier: GPL-2.0-only */
/* The loop that keeps a device, between the server and the kernel of supervise-testbed.c. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "client-static/supervise-testbed.h"

static void *restart_twice(void *unused)
{
	(void)unused;
	testbed_hang_up();
	testbed_await_line("connected again (1) to 127.0.0.1:");
	testbed_await_given(1);
	testbed_hang_up();
	testbed_await_line("connected again (2) to 127.0.0.1:");
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void a_lost_link_is_made_again(void **state)
{
	(void)state;
	testbed_attach();
	testbed_run(restart_twice);
	assert_int_equal(testbed_device.reconnects, 2);
	assert_non_null(strstr(testbed_said, "/dev/nb3: lost the connection to 127.0.0.1:"));
	/* Gone is found out before a server is asked. */
	assert_int_equal(testbed_server.accepted, 3);
}

static void *grow_and_shrink(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&testbed_lock);
	testbed_server.size_bytes = TESTBED_SIZE_BYTES + 512;
	pthread_mutex_unlock(&testbed_lock);
	testbed_hang_up();
	testbed_await_line("export \"disk\": REFUSED, it is not what the device was attached to: "
			   "its size in bytes was 1048576, is 1049088");
	pthread_mutex_lock(&testbed_lock);
	testbed_server.size_bytes = TESTBED_SIZE_BYTES;
	testbed_server.flags = TESTBED_FLAGS | 2;
	pthread_mutex_unlock(&testbed_lock);
	testbed_await_line("its transmission flags were 0x5, are 0x7");
	if (testbed_kernel.given)
		strcpy(testbed_kernel.wrong, "another export was given to the kernel");
	pthread_mutex_lock(&testbed_lock);
	testbed_server.flags = TESTBED_FLAGS;
	pthread_mutex_unlock(&testbed_lock);
	testbed_await_line("connected again (1)");
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void another_export_is_refused_until_it_is_the_right_one(void **state)
{
	(void)state;
	testbed_attach();
	testbed_run(grow_and_shrink);
	assert_non_null(strstr(testbed_device.last_error, "its transmission flags were"));
}

static void *go_away(void *unused)
{
	(void)unused;
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void a_detached_device_is_left_alone(void **state)
{
	(void)state;
	testbed_attach();
	testbed_run(go_away);
	assert_int_equal(testbed_server.accepted, 1);
	assert_int_equal(testbed_kernel.given, 0);
	assert_int_equal(testbed_kernel.asked, 1);
	assert_string_equal(testbed_said, "");
}

static void *await_taken_over(void *unused)
{
	(void)unused;
	testbed_await_line("took over with a connection to 127.0.0.1:");
	testbed_hang_up();
	testbed_await_line("connected again (1)");
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

/* A supervisor that is started again has no socket: the kernel gets a spare one. */
static void a_device_without_a_socket_gets_one(void **state)
{
	(void)state;
	testbed_device.fds[0] = -1;
	testbed_run(await_taken_over);
}

static void *tell_of_the_old_link(void *unused)
{
	(void)unused;
	testbed_tell_link_dead(TESTBED_INDEX);
	testbed_await_given(1);
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

/* The driver drops a socket that comes before it has noticed the end of the old one. */
static void link_dead_of_a_link_that_stands_gives_it_again(void **state)
{
	(void)state;
	testbed_attach();
	testbed_run(tell_of_the_old_link);
	assert_int_equal(testbed_server.accepted, 1);
}

static void *lose_answers(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&testbed_lock);
	testbed_kernel.error = -ENOBUFS;
	testbed_kernel.errors = 2;
	pthread_mutex_unlock(&testbed_lock);
	testbed_hang_up();
	testbed_await_line("connected again (1)");
	testbed_await_given(3);
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void a_socket_is_given_again_and_again(void **state)
{
	(void)state;
	testbed_attach();
	testbed_run(lose_answers);
	assert_int_equal(testbed_server.accepted, 2);
}

static void *lose_one_of_two(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&testbed_lock);
	testbed_server.size_bytes = TESTBED_SIZE_BYTES + 512;
	pthread_mutex_unlock(&testbed_lock);
	testbed_hang_up();
	testbed_await_line("its size in bytes was 1048576, is 1049088");
	testbed_tell_link_dead(TESTBED_INDEX);
	testbed_await_asked(4);
	pthread_mutex_lock(&testbed_lock);
	testbed_server.size_bytes = TESTBED_SIZE_BYTES;
	pthread_mutex_unlock(&testbed_lock);
	testbed_await_line("connected again (1)");
	testbed_tell_link_dead(TESTBED_INDEX);
	testbed_await_given(3);
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

/* The driver would put it in the place of the other one too, and send over it from both. */
static void a_link_that_stands_is_not_given_in_the_place_of_another(void **state)
{
	int stands[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, stands), 0);
	testbed_attach();
	testbed_device.fds[1] = testbed_device.fds[0];
	testbed_device.fds[0] = stands[0];
	testbed_device.link_count = 2;
	testbed_kernel.has_fd = stands[0];
	testbed_run(lose_one_of_two);
	close(stands[1]);
}

static void *await_second_address(void *unused)
{
	(void)unused;
	testbed_hang_up();
	testbed_await_line("connect: Connection refused");
	testbed_await_line("connected again (1)");
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void the_next_address_is_tried(void **state)
{
	struct address gone;

	(void)state;
	testbed_attach();
	close(testbed_listen(&gone));
	testbed_device.addresses.items[1] = testbed_device.addresses.items[0];
	testbed_device.addresses.items[0] = gone;
	testbed_device.addresses.count = 2;
	testbed_run(await_second_address);
	assert_int_equal(testbed_device.address, 1);
}

static void *bounce(void *unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++) {
		char line[32];

		testbed_hang_up();
		snprintf(line, sizeof(line), "connected again (%d)", i + 1);
		testbed_await_line(line);
	}
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void a_link_that_falls_at_once_is_made_ever_slower(void **state)
{
	struct timespec from, to;

	(void)state;
	testbed_attach();
	clock_gettime(CLOCK_MONOTONIC, &from);
	testbed_run(bounce);
	clock_gettime(CLOCK_MONOTONIC, &to);
	/* 200 + 400 + 800 + 1600 ms, less what rounding to seconds may take */
	assert_in_range(to.tv_sec - from.tv_sec, 2, TESTBED_DEADLINE_S);
}

static void attach_by_driver(void)
{
	testbed_attach();
	testbed_device.by_driver = true;
}

static void *lose_and_connect(void *unused)
{
	(void)unused;
	testbed_driver_loses(LINK_CONNECTING);
	testbed_await_line("lost the connection to 127.0.0.1:");
	testbed_await_state(SUPERVISE_LOST);
	testbed_driver_connects();
	testbed_await_line("connected again (1) to 127.0.0.1:");
	testbed_await_state(SUPERVISE_CONNECTED);
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void what_the_driver_does_is_told_and_counted(void **state)
{
	(void)state;
	attach_by_driver();
	testbed_run(lose_and_connect);
	assert_int_equal(testbed_device.reconnects, 1);
	assert_int_equal(testbed_server.accepted, 1);
	assert_int_equal(testbed_kernel.given, 0);
	assert_non_null(strstr(testbed_said, "the kernel holds I/O and connects again"));
}

static void *connect_at_once(void *unused)
{
	const struct timespec longer_than_back_off = {.tv_nsec = 300 * 1000 * 1000};

	(void)unused;
	for (int i = 0; i < 2; i++) {
		char line[32];

		nanosleep(&longer_than_back_off, NULL);
		testbed_tell_link_dead(TESTBED_INDEX);
		testbed_driver_connects();
		snprintf(line, sizeof(line), "connected again (%d)", i + 1);
		testbed_await_line(line);
		testbed_driver_connects(); /* late news of the same */
	}
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void a_driver_that_is_quick_is_counted_too(void **state)
{
	(void)state;
	attach_by_driver();
	testbed_run(connect_at_once);
	assert_int_equal(testbed_device.reconnects, 2);
	assert_null(strstr(testbed_said, "lost the connection"));
}

static void *refuse_a_good_server(void *unused)
{
	(void)unused;
	testbed_driver_loses(LINK_REFUSED);
	testbed_await_line("connected again (1) to 127.0.0.1:");
	testbed_await_state(SUPERVISE_CONNECTED);
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

/* It words its answers otherwise than the one before it. */
static void a_good_server_that_the_driver_refuses_is_given_to_it(void **state)
{
	(void)state;
	attach_by_driver();
	testbed_run(refuse_a_good_server);
	assert_int_equal(testbed_kernel.given, 1);
	assert_int_equal(testbed_server.accepted, 2);
}

static void *refuse_another_export(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&testbed_lock);
	testbed_server.size_bytes = TESTBED_SIZE_BYTES + 512;
	pthread_mutex_unlock(&testbed_lock);
	testbed_driver_loses(LINK_REFUSED);
	testbed_await_line("export \"disk\": REFUSED, it is not what the device was attached to: "
			   "its size in bytes was 1048576, is 1049088");
	testbed_await_state(SUPERVISE_LOST);
	testbed_driver_connects();
	testbed_await_line("connected again (1)");
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void why_the_driver_refuses_is_said(void **state)
{
	(void)state;
	attach_by_driver();
	testbed_run(refuse_another_export);
	assert_int_equal(testbed_kernel.given, 0);
	assert_non_null(strstr(testbed_device.last_error, "its size in bytes was"));
}

static void *connect_in_vain(void *unused)
{
	(void)unused;
	testbed_driver_loses(LINK_CONNECTING);
	testbed_await_given(1);
	testbed_await_line("connected again (1)");
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

static void a_driver_that_does_not_get_on_is_helped(void **state)
{
	struct timespec from, to;

	(void)state;
	attach_by_driver();
	clock_gettime(CLOCK_MONOTONIC, &from);
	testbed_run(connect_in_vain);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_in_range(to.tv_sec - from.tv_sec, 4, TESTBED_DEADLINE_S);
}

static void *be_faster(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&testbed_lock);
	testbed_kernel.connects = true;
	pthread_mutex_unlock(&testbed_lock);
	testbed_driver_loses(LINK_REFUSED);
	testbed_await_line("connected again (1)");
	testbed_detach();
	testbed_tell_link_dead(TESTBED_INDEX);
	return NULL;
}

static void a_driver_that_was_faster_keeps_its_connection(void **state)
{
	(void)state;
	attach_by_driver();
	testbed_run(be_faster);
	assert_int_equal(testbed_server.accepted, 2);
	assert_int_equal(testbed_kernel.given, 0);
	assert_int_equal(testbed_device.reconnects, 1);
}

static void a_device_of_the_driver_that_is_detached_is_left_alone(void **state)
{
	struct timespec from, to;

	(void)state;
	attach_by_driver();
	clock_gettime(CLOCK_MONOTONIC, &from);
	testbed_run(go_away);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_int_equal(testbed_server.accepted, 1);
	assert_int_equal(testbed_kernel.asked, 1);
	assert_string_equal(testbed_said, "");
	assert_in_range(to.tv_sec - from.tv_sec, 0, 2); /* it ends the connection, which tells */
}

static void *take_over_from_driver(void *unused)
{
	(void)unused;
	testbed_await_line("took over with a connection to 127.0.0.1:");
	testbed_driver_loses(LINK_CONNECTING);
	testbed_await_line("lost the connection");
	testbed_driver_connects();
	testbed_await_line("connected again (1)");
	testbed_detach();
	testbed_tell_link_dead(TESTBED_INDEX);
	return NULL;
}

static void a_device_of_the_driver_is_taken_over_without_a_connection(void **state)
{
	(void)state;
	testbed_device.fds[0] = -1;
	testbed_device.by_driver = true;
	testbed_run(take_over_from_driver);
	assert_int_equal(testbed_server.accepted, 0);
	assert_int_equal(testbed_kernel.given, 0);
}

static void *move(void *unused)
{
	(void)unused;
	testbed_tell_link_dead(TESTBED_INDEX);
	testbed_driver_loses(LINK_CONNECTING);
	testbed_await_line("lost the connection to 192.0.2.1:10809");
	testbed_driver_connects();
	testbed_await_line("connected again (1) to 127.0.0.1:");
	testbed_detach();
	testbed_hang_up();
	return NULL;
}

/* The socket that the driver has connected again knows where to. */
static void the_address_that_the_driver_chose_is_told(void **state)
{
	(void)state;
	attach_by_driver();
	testbed_device.addresses.items[1] = testbed_device.addresses.items[0];
	testbed_device.addresses.items[0] =
		(struct address){.length = sizeof(struct sockaddr_in), .text = "192.0.2.1:10809"};
	testbed_device.addresses.count = 2;
	testbed_run(move);
	assert_int_equal(testbed_device.address, 1);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, testbed_set_up, testbed_tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		STAGED(a_lost_link_is_made_again),
		STAGED(another_export_is_refused_until_it_is_the_right_one),
		STAGED(a_detached_device_is_left_alone),
		STAGED(a_device_without_a_socket_gets_one),
		STAGED(link_dead_of_a_link_that_stands_gives_it_again),
		STAGED(a_socket_is_given_again_and_again),
		STAGED(a_link_that_stands_is_not_given_in_the_place_of_another),
		STAGED(the_next_address_is_tried),
		STAGED(a_link_that_falls_at_once_is_made_ever_slower),
		STAGED(what_the_driver_does_is_told_and_counted),
		STAGED(a_driver_that_is_quick_is_counted_too),
		STAGED(a_good_server_that_the_driver_refuses_is_given_to_it),
		STAGED(why_the_driver_refuses_is_said),
		STAGED(a_driver_that_does_not_get_on_is_helped),
		STAGED(a_driver_that_was_faster_keeps_its_connection),
		STAGED(a_device_of_the_driver_that_is_detached_is_left_alone),
		STAGED(a_device_of_the_driver_is_taken_over_without_a_connection),
		STAGED(the_address_that_the_driver_chose_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
