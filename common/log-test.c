/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log line: its form, what a peer cannot do to a terminal, and its bounds. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"

static char captured[4096];

/* Runs log_line("%s", text) with stderr on a pipe; the bytes land in captured. */
static ssize_t capture(const char *text)
{
	int ends[2], saved_stderr = dup(STDERR_FILENO);

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	log_line("%s", text);
	assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
	close(saved_stderr);
	close(ends[1]);

	ssize_t n = read(ends[0], captured, sizeof(captured) - 1);
	assert_true(n >= 0);
	captured[n] = '\0';
	close(ends[0]);
	return n;
}

static void line_begins_with_the_program(void **state)
{
	(void)state;
	log_init("nbd-client");
	capture("192.0.2.1:10809: export \"root\": not found");
	assert_string_equal(captured, "nbd-client: 192.0.2.1:10809: export \"root\": not found\n");
}

static void control_bytes_of_a_peer_are_escaped(void **state)
{
	(void)state;
	log_init("");
	capture("a\nb\x1b[2J\x7f\xc3\xa4");
	assert_string_equal(captured, "a\\x0ab\\x1b[2J\\x7f\\xc3\\xa4\n");
}

static void long_lines_are_cut(void **state)
{
	(void)state;
	char text[3000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init("p");
	assert_int_equal(capture(text), 1024);
	assert_memory_equal(captured, "p: xxx", 6);
	assert_string_equal(captured + 1020, "...\n");

	memset(text, '\n', sizeof(text) - 1);
	assert_in_range(capture(text), 1000, 1024);
	assert_memory_equal(strchr(captured, '\n') - 3, "...\n", 5);
}

static char sunk[1024];

static void sink(const char *line)
{
	strcpy(sunk, line);
	errno = EIO;
}

static void a_sink_takes_the_place_of_stderr(void **state)
{
	(void)state;
	log_init("p");
	log_to(sink);
	errno = ENOSPC;
	assert_int_equal(capture("a\nb"), 0);
	assert_int_equal(errno, ENOSPC);
	log_to(NULL);
	assert_string_equal(sunk, "p: a\\x0ab");
	capture("c");
	assert_string_equal(captured, "p: c\n");
}

static void errno_is_kept(void **state)
{
	(void)state;
	errno = ENOSPC;
	capture("x");
	assert_int_equal(errno, ENOSPC);
}

static void die_exits_with_its_status(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();

	if (child == 0) {
		close(STDERR_FILENO);
		die(111, "server: %s", "away");
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 111);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_begins_with_the_program),
		cmocka_unit_test(control_bytes_of_a_peer_are_escaped),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(a_sink_takes_the_place_of_stderr),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(die_exits_with_its_status),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
