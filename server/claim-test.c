// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may use an export: machines are addresses of loopback. pwritev() is wrapped
 * to hold a write in the storage, listen_was_answered() to play a machine that is
 * gone, and time() to stand still but where a test lets hours pass.
 */
#include "server/testbed.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/nbd-proto.h"

enum { MIB = 1 << 20, QUIET_MS = 300 };

static atomic_bool hold_writes;
static sem_t write_entered, write_released;
static atomic_bool peers_are_gone;
static time_t began_s;
static atomic_int clock_offset_s;

ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
bool __real_listen_was_answered(int fd, unsigned int within_ms);
bool __wrap_listen_was_answered(int fd, unsigned int within_ms);
time_t __real_time(time_t *ret);
time_t __wrap_time(time_t *ret);

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	if (atomic_exchange(&hold_writes, false)) {
		sem_post(&write_entered);
		sem_wait(&write_released);
	}
	return __real_pwritev(fd, iov, count, offset);
}

bool __wrap_listen_was_answered(int fd, unsigned int within_ms)
{
	return !atomic_load(&peers_are_gone) && __real_listen_was_answered(fd, within_ms);
}

time_t __wrap_time(time_t *ret)
{
	(void)ret;
	return began_s + atomic_load(&clock_offset_s);
}

static void start(struct testbed *bed, const char *name, enum exclusive exclusive)
{
	bed->on_tcp = true;
	bed->name = name;
	bed->exclusive = exclusive;
	testbed_start(bed, MIB, 0);
}

/* Connects from an address and asks for the export; the reason when it is refused is in text. */
static uint32_t attach(const struct testbed *bed, const char *from, const char *name, int *ret_fd,
		       char text[REPLY_TEXT_BYTES])
{
	*ret_fd = testbed_connect(bed, from);
	return client_try_go(*ret_fd, name, text);
}

static void expect_attached(const struct testbed *bed, const char *from, const char *name,
			    int *ret_fd)
{
	char text[REPLY_TEXT_BYTES];

	if (attach(bed, from, name, ret_fd, text) != NBD_REP_ACK)
		fail_msg("%s is refused: %s", from, text);
}

static void expect_refused(const struct testbed *bed, const char *from, const char *name,
			   const char *why)
{
	char text[REPLY_TEXT_BYTES];
	int fd;

	assert_int_equal(attach(bed, from, name, &fd, text), NBD_REP_ERR_POLICY);
	if (!strstr(text, why))
		fail_msg("\"%s\" does not say \"%s\"", text, why);
	close(fd);
}

/* Says NBD_CMD_DISC and waits until the server has seen it. */
static void leave(int fd)
{
	client_request(fd, NBD_CMD_DISC, 0, 0, 0);
	assert_true(client_sees_end(fd));
	close(fd);
}

/* Goes without a word; returns when the server has seen that. */
static void vanish(int fd)
{
	shutdown(fd, SHUT_WR);
	assert_true(client_sees_end(fd));
	close(fd);
}

static bool is_alive(int fd)
{
	uint8_t data[512];

	return client_read(fd, data, 0, sizeof(data)) == 0;
}

static bool is_quiet(int fd)
{
	struct pollfd poll_fd = {fd, POLLIN, 0};

	return poll(&poll_fd, 1, QUIET_MS) == 0;
}

static void a_writable_export_serves_one_machine(void **state)
{
	struct testbed bed = {0};
	int first, second, other;

	(void)state;
	start(&bed, "", EXCLUSIVE_MACHINE);
	expect_attached(&bed, "127.0.0.1", "", &first);
	expect_attached(&bed, "127.0.0.1", "", &second);
	expect_refused(&bed, "127.0.0.2", "", "in use by 127.0.0.1 since 20");
	assert_true(is_alive(first) && is_alive(second));
	leave(first);
	expect_refused(&bed, "127.0.0.2", "", "in use by 127.0.0.1 since 20");
	vanish(second);
	expect_attached(&bed, "127.0.0.2", "", &other);
	close(other);
	testbed_stop(&bed);
}

static void what_nobody_writes_serves_everybody(void **state)
{
	struct testbed bed = {.readonly = true}, shared = {0};
	int one, two;

	(void)state;
	start(&bed, "", EXCLUSIVE_MACHINE);
	expect_attached(&bed, "127.0.0.1", "", &one);
	expect_attached(&bed, "127.0.0.2", "", &two);
	assert_true(is_alive(one) && is_alive(two));
	close(one);
	close(two);
	testbed_stop(&bed);

	start(&shared, "", EXCLUSIVE_OFF);
	expect_attached(&shared, "127.0.0.1", "", &one);
	expect_attached(&shared, "127.0.0.2", "", &two);
	assert_true(is_alive(one) && is_alive(two));
	close(one);
	close(two);
	testbed_stop(&shared);
}

static void a_new_connection_fences_the_old_one(void **state)
{
	struct testbed bed = {0};
	int old, new;

	(void)state;
	start(&bed, "", EXCLUSIVE_ON);
	assert_false(bed.export->flags & NBD_FLAG_CAN_MULTI_CONN);
	expect_attached(&bed, "127.0.0.1", "", &old);
	expect_refused(&bed, "127.0.0.2", "", "in use by 127.0.0.1 since 20");
	assert_true(is_alive(old));
	expect_attached(&bed, "127.0.0.1", "", &new);
	assert_true(client_sees_end(old));
	assert_true(is_alive(new));
	close(old);
	close(new);
	testbed_stop(&bed);
}

/* What the old connection had begun lands before the new one is answered, and nothing after. */
static void the_old_writes_are_over_before_the_new_ones(void **state)
{
	static uint8_t old_data[4096], new_data[4096], found[4096];
	struct testbed bed = {.hold_s = 3600};
	char text[REPLY_TEXT_BYTES];
	int old, new;

	(void)state;
	start(&bed, "", EXCLUSIVE_ON);
	memset(old_data, 'o', sizeof(old_data));
	memset(new_data, 'n', sizeof(new_data));
	expect_attached(&bed, "127.0.0.1", "", &old);
	atomic_store(&hold_writes, true);
	client_request(old, NBD_CMD_WRITE, 0, 0, sizeof(old_data));
	client_send(old, old_data, sizeof(old_data));
	sem_wait(&write_entered);
	/* Half of a write: must never be stored. */
	client_request(old, NBD_CMD_WRITE, 0, 8192, sizeof(old_data));
	client_send(old, old_data, sizeof(old_data) / 2);

	new = testbed_connect(&bed, "127.0.0.1");
	client_ask_go(new, "");
	assert_true(client_sees_end(old));
	assert_true(is_quiet(new));
	expect_refused(&bed, "127.0.0.2", "", "held by 127.0.0.1 since 20");
	sem_post(&write_released);
	assert_int_equal(client_answer_go(new, text), NBD_REP_ACK);
	assert_int_equal(client_read(new, found, 0, sizeof(found)), 0);
	assert_memory_equal(found, old_data, sizeof(found));
	assert_int_equal(client_write(new, 0, new_data, 0, sizeof(new_data)), 0);
	assert_int_equal(client_read(new, found, 0, sizeof(found)), 0);
	assert_memory_equal(found, new_data, sizeof(found));
	assert_int_equal(client_read(new, found, 8192, sizeof(found)), 0);
	assert_int_equal(found[0], 0);
	close(old);
	close(new);
	testbed_stop(&bed);
}

/* Not fenced, but what a lost connection of a writable export has begun is waited for. */
static void writes_of_a_lost_connection_are_waited_for(void **state)
{
	static uint8_t data[4096];
	struct testbed bed = {0};
	char text[REPLY_TEXT_BYTES];
	int old, new;

	(void)state;
	start(&bed, "", EXCLUSIVE_MACHINE);
	expect_attached(&bed, "127.0.0.1", "", &old);
	atomic_store(&hold_writes, true);
	client_request(old, NBD_CMD_WRITE, 0, 0, sizeof(data));
	client_send(old, data, sizeof(data));
	sem_wait(&write_entered);
	setsockopt(old, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(old); /* with a reset, which the server sees at once */
	new = testbed_connect(&bed, "127.0.0.2");
	client_ask_go(new, "");
	assert_true(is_quiet(new));
	sem_post(&write_released);
	assert_int_equal(client_answer_go(new, text), NBD_REP_ACK);
	close(new);
	testbed_stop(&bed);
}

static void a_lost_holder_keeps_its_export(void **state)
{
	struct testbed bed = {.hold_s = 3600};
	int fd;

	(void)state;
	start(&bed, "", EXCLUSIVE_ON);
	expect_attached(&bed, "127.0.0.1", "", &fd);
	vanish(fd);
	expect_refused(&bed, "127.0.0.2", "", "held by 127.0.0.1 since 20");
	expect_refused(&bed, "127.0.0.2", "", "; its connection was lost 20");
	atomic_store(&clock_offset_s, 3599);
	expect_refused(&bed, "127.0.0.2", "", "held by");
	expect_attached(&bed, "127.0.0.1", "", &fd);
	leave(fd);
	expect_attached(&bed, "127.0.0.2", "", &fd);
	vanish(fd);
	expect_refused(&bed, "127.0.0.1", "", "held by 127.0.0.2");
	atomic_store(&clock_offset_s, 2 * 3600);
	expect_attached(&bed, "127.0.0.1", "", &fd);
	close(fd);
	testbed_stop(&bed);
	atomic_store(&clock_offset_s, 0);
}

static void identities_of_one_address_are_machines(void **state)
{
	struct testbed bed = {.hold_s = 3600};
	char text[REPLY_TEXT_BYTES];
	int one, two;

	(void)state;
	start(&bed, "swap/*", EXCLUSIVE_ON);
	expect_attached(&bed, "127.0.0.1", "swap/52:54:00:00:00:01", &one);
	expect_refused(&bed, "127.0.0.1", "swap/52:54:00:00:00:02",
		       "in use by 52:54:00:00:00:01 at 127.0.0.1 since 20");
	assert_true(is_alive(one));
	expect_attached(&bed, "127.0.0.1", "swap/52:54:00:00:00:01", &two);
	assert_true(client_sees_end(one));
	vanish(two);
	expect_refused(&bed, "127.0.0.1", "swap/52:54:00:00:00:02", "held by 52:54:00:00:00:01");
	close(one);
	assert_int_equal(attach(&bed, "127.0.0.1", "swap/../x", &one, text), NBD_REP_ERR_UNKNOWN);
	assert_non_null(strstr(text, "letters, digits"));
	close(one);
	testbed_stop(&bed);
}

/* A machine that answers is another one; one that is gone has moved to the new address. */
static void an_identity_at_another_address_is_examined(void **state)
{
	struct testbed bed = {.hold_s = 3600};
	int old, new;

	(void)state;
	start(&bed, "swap/*", EXCLUSIVE_ON);
	expect_attached(&bed, "127.0.0.1", "swap/pc1", &old);
	expect_refused(&bed, "127.0.0.2", "swap/pc1", "in use by pc1 at 127.0.0.1 since 20");
	assert_true(is_alive(old));
	atomic_store(&peers_are_gone, true);
	expect_attached(&bed, "127.0.0.2", "swap/pc1", &new);
	assert_true(client_sees_end(old));
	assert_true(is_alive(new));
	vanish(new);
	atomic_store(&peers_are_gone, false);
	close(old);
	expect_attached(&bed, "127.0.0.3", "swap/pc1", &new);
	close(new);
	testbed_stop(&bed);
}

static void a_client_that_leaves_while_it_waits_is_forgotten(void **state)
{
	struct testbed bed = {0};
	int old, new;

	(void)state;
	start(&bed, "swap/*", EXCLUSIVE_ON);
	expect_attached(&bed, "127.0.0.1", "swap/pc1", &old);
	new = testbed_connect(&bed, "127.0.0.2");
	client_ask_go(new, "swap/pc1");
	assert_true(is_quiet(new));
	close(new);
	expect_attached(&bed, "127.0.0.1", "swap/pc1", &new);
	close(old);
	assert_true(is_alive(new));
	close(new);
	testbed_stop(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writable_export_serves_one_machine),
		cmocka_unit_test(what_nobody_writes_serves_everybody),
		cmocka_unit_test(a_new_connection_fences_the_old_one),
		cmocka_unit_test(the_old_writes_are_over_before_the_new_ones),
		cmocka_unit_test(writes_of_a_lost_connection_are_waited_for),
		cmocka_unit_test(a_lost_holder_keeps_its_export),
		cmocka_unit_test(identities_of_one_address_are_machines),
		cmocka_unit_test(an_identity_at_another_address_is_examined),
		cmocka_unit_test(a_client_that_leaves_while_it_waits_is_forgotten),
	};

	began_s = __real_time(NULL);
	sem_init(&write_entered, 0, 0);
	sem_init(&write_released, 0, 0);
	return testbed_run_with_threads(tests, sizeof(tests) / sizeof(tests[0]));
}
