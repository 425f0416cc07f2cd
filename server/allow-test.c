// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of addresses: who is in them, who is not, and the line that names each mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/server.h"

static char path[] = "/tmp/allow-test.XXXXXX";

static int read_text(const char *text, struct allow_list **ret, char why[TEXT_MAX])
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return allow_read(path, ret, why, TEXT_MAX);
}

static void peers_are_in_or_not(void **state)
{
	static const struct {
		const char *text, *peer;
		bool in;
	} rows[] = {
		{"10.0.0.7\n", "10.0.0.7:4321", true},
		{"10.0.0.7\n", "10.0.0.70:4321", false},
		{"10.0.0.7", "10.0.0.7:1", true},
		{"# a room\n\n 10.0.0.0/24 # all of it\r\n", "10.0.0.255:1", true},
		{"10.0.0.0/24\n", "10.0.1.0:1", false},
		{"10.0.0.128/25\n", "10.0.0.127:1", false},
		{"10.0.0.128/25\n", "10.0.0.128:1", true},
		{"10.64.0.0/10\n", "10.127.255.255:1", true},
		{"10.64.0.0/10\n", "10.128.0.0:1", false},
		{"0.0.0.0/0\n", "255.255.255.255:1", true},
		{"0.0.0.0/0\n", "[::1]:1", false},
		{"::/0\n", "10.0.0.1:1", false},
		{"::1\n", "[::1]:10809", true},
		{"::1\n", "[::2]:10809", false},
		{"fe80::/10\n", "[fe80::5054:ff:fe12:3456%eth0]:1", true},
		{"2001:db8::/33\n", "[2001:db8:7fff::1]:1", true},
		{"2001:db8::/33\n", "[2001:db8:8000::1]:1", false},
		{"1.2.3.4\n10.0.0.7\n", "10.0.0.7:1", true},
		{"", "10.0.0.7:1", false},
		{"# nobody\n", "127.0.0.1:1", false},
		{"", "local client", true},
		{"0.0.0.0/0\n", "?:1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[TEXT_MAX] = "";
		struct allow_list *list;

		assert_int_equal(read_text(rows[i].text, &list, why), 0);
		if (allow_peer(list, rows[i].peer) != rows[i].in)
			fail_msg("%s in %s", rows[i].peer, rows[i].text);
		free(list);
	}
	assert_true(allow_peer(NULL, "10.0.0.7:1"));
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"10.0.0\n", ":1: is not an IPv4 or IPv6 address"},
		{"10.0.0.1\nlocalhost\n", ":2: is not an IPv4 or IPv6 address"},
		{"10.0.0.256\n", ":1: is not an"},
		{"10.0.0.0/33\n", ":1: has no prefix length"},
		{"::/129\n", ":1: has no prefix length"},
		{"10.0.0.0/\n", ":1: has no prefix length"},
		{"10.0.0.0/-1\n", ":1: has no prefix length"},
		{"10.0.0.0/8x\n", ":1: has no prefix length"},
		{"\n#\n10.0.0.7/24\n", ":3: has bits set behind its prefix"},
		{"10.0.0.1/31\n", ":1: has bits set behind its prefix"},
		{"/8\n", ":1: is not an"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[TEXT_MAX] = "";
		struct allow_list *list;

		assert_int_not_equal(read_text(rows[i].text, &list, why), 0);
		if (strncmp(why, path, strlen(path)) != 0 ||
		    strncmp(why + strlen(path), rows[i].why, strlen(rows[i].why)) != 0)
			fail_msg("%s: %s", rows[i].text, why);
	}
}

static void lists_are_compared(void **state)
{
	struct allow_list *a, *b, *c;
	char why[TEXT_MAX];

	(void)state;
	assert_int_equal(read_text("10.0.0.0/24\n", &a, why), 0);
	assert_int_equal(read_text(" 10.0.0.0/24 # the same\n", &b, why), 0);
	assert_int_equal(read_text("10.0.0.0/25\n", &c, why), 0);
	assert_true(allow_same(a, b));
	assert_false(allow_same(a, c));
	assert_false(allow_same(a, NULL));
	assert_true(allow_same(NULL, NULL));
	free(a);
	free(b);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers_are_in_or_not),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(lists_are_compared),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
