/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NBD URIs: a table of what is understood, and one of what is refused and with which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client-static/client.h"

static const struct good {
	const char *text;
	const char *host;
	uint16_t port;
	const char *unix_path;
	const char *export_name;
} good[] = {
	{"nbd://10.0.2.2/swap", "10.0.2.2", 10809, "", "swap"},
	{"nbd://server.example:1234/root", "server.example", 1234, "", "root"},
	{"nbd://server", "server", 10809, "", ""},
	{"nbd://server/", "server", 10809, "", ""},
	{"nbd://server:/x", "server", 10809, "", "x"},
	{"nbd://server:65535/x", "server", 65535, "", "x"},
	{"nbd:///x", "localhost", 10809, "", "x"},
	{"nbd://server//x", "server", 10809, "", "/x"},
	{"nbd://server/swap/52:54:00:12:34:56", "server", 10809, "", "swap/52:54:00:12:34:56"},
	{"nbd://[::1]/x", "::1", 10809, "", "x"},
	{"nbd://[fe80::1%25eth0]:99/x", "fe80::1%eth0", 99, "", "x"},
	{"nbd://server/a%20b%2fc%3F%25", "server", 10809, "", "a b/c?%"},
	{"nbd://server/%m-%u-%h-%i", "server", 10809, "", "%m-%u-%h-%i"},
	{"nbd+unix:///x?socket=/run/nbd.sock", "", 0, "/run/nbd.sock", "x"},
	{"nbd+unix:///?socket=a%20b", "", 0, "a b", ""},
	{"nbd+unix://?socket=s", "", 0, "s", ""},
};

static const struct bad {
	const char *text;
	int err;
	const char *why; /* part of the clause */
} bad[] = {
	{"", -EINVAL, "write nbd://HOST[:PORT]/EXPORT"},
	{"server/x", -EINVAL, "\"server/x\" is not an NBD URI"},
	{"nbd:server:2000", -EINVAL, "not an NBD URI"},
	{"http://server/x", -EINVAL, "scheme \"http\" is not known"},
	{"NBD://server/x", -EINVAL, "scheme \"NBD\" is not known"},
	{"nbds://server/x", -EPROTONOSUPPORT, "nbds:// is not supported"},
	{"nbds+unix:///x?socket=s", -EPROTONOSUPPORT, "nbds+unix:// is not supported"},
	{"nbd+vsock://2/x", -EPROTONOSUPPORT, "nbd+vsock:// is not supported"},
	{"nbd://user@server/x", -EINVAL, "leave out \"user@server\""},
	{"nbd://server:0/x", -EINVAL, "port \"0\""},
	{"nbd://server:65536/x", -EINVAL, "port \"65536\""},
	{"nbd://server:99999999999999999999/x", -EINVAL, "port \"99999999999999999999\""},
	{"nbd://server:12a/x", -EINVAL, "port \"12a\""},
	{"nbd://::1/x", -EINVAL, "stands in brackets"},
	{"nbd://a,/x", -EINVAL, "missing after the comma"},
	{"nbd://,a/x", -EINVAL, "missing before the comma"},
	{"nbd://a,,b/x", -EINVAL, "missing after the comma"},
	{"nbd://a,b:0/x", -EINVAL, "port \"0\""},
	{"nbd://a,u@b/x", -EINVAL, "leave out \"a,u@b\""},
	{"nbd://a,b,c,d,e/x", -EINVAL, "more than 4 servers"},
	{"nbd://[::1/x", -EINVAL, "ends with \"]\""},
	{"nbd://[]/x", -EINVAL, "ends with \"]\""},
	{"nbd://[::1]99/x", -EINVAL, "\"99\" after the address"},
	{"nbd://server/100%", -EINVAL, "\"%\" in the export name is no escape"},
	{"nbd://server/%2", -EINVAL, "\"%2\""},
	{"nbd://server/%zz", -EINVAL, "write %25"},
	{"nbd://server/a%00b", -EINVAL, "\"%00\""},
	{"nbd://ser%mver/x", -EINVAL, "host name"},
	{"nbd://server/x?socket=s", -EINVAL, "takes no parameter"},
	{"nbd://server/x#y", -EINVAL, "no fragment"},
	{"nbd+unix:///x", -EINVAL, "the socket is missing"},
	{"nbd+unix:///x?socket=", -EINVAL, "the socket is missing"},
	{"nbd+unix://server/x?socket=s", -EINVAL, "has no host"},
	{"nbd+unix:///x?sock=s", -EINVAL, "parameter \"sock\" is not known"},
};

static void understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct target target = {0};
		char why[256] = "";

		if (uri_parse(good[i].text, &target, why, sizeof(why)))
			fail_msg("%s: %s", good[i].text, why);
		assert_string_equal(target.host, good[i].host);
		assert_int_equal(target.port, good[i].port);
		assert_string_equal(target.unix_path, good[i].unix_path);
		assert_string_equal(target.export_name, good[i].export_name);
		assert_true(uri_is_meant(good[i].text));
	}
}

static void refused_with_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct target target, before;
		char why[256] = "";

		memset(&before, 0x5a, sizeof(before));
		target = before;
		if (uri_parse(bad[i].text, &target, why, sizeof(why)) != bad[i].err)
			fail_msg("%s: was not refused as expected", bad[i].text);
		if (!strstr(why, bad[i].why))
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, why, bad[i].why);
		assert_memory_equal(&target, &before, sizeof(target));
	}
}

/* A part of exactly the allowed length is taken, one byte more is refused. */
static void lengths_are_bounded(void **state)
{
	(void)state;
	static const struct {
		const char *format;
		int longest;
	} cases[] = {
		{"nbd://server/%.*s", TARGET_EXPORT_BYTES - 1},
		{"nbd://%.*s/x", TARGET_HOST_BYTES - 1},
		{"nbd+unix:///x?socket=%.*s", TARGET_UNIX_BYTES - 1},
	};
	char name[TARGET_EXPORT_BYTES + 1], text[TARGET_EXPORT_BYTES + 64], why[256];
	struct target target;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text), cases[i].format, cases[i].longest, name);
		assert_int_equal(uri_parse(text, &target, why, sizeof(why)), 0);
		snprintf(text, sizeof(text), cases[i].format, cases[i].longest + 1, name);
		assert_int_equal(uri_parse(text, &target, why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, "longer than"));
	}
}

static void several_servers_stand_between_commas(void **state)
{
	struct target target;
	char why[256];

	(void)state;
	assert_int_equal(
		uri_parse("nbd://a:1,[::2],c.example:3,d:/x/%m", &target, why, sizeof(why)), 0);
	assert_string_equal(target.host, "a");
	assert_int_equal(target.port, 1);
	assert_int_equal(target.other_count, 3);
	assert_string_equal(target.others[0].host, "::2");
	assert_int_equal(target.others[0].port, 10809);
	assert_string_equal(target.others[1].host, "c.example");
	assert_int_equal(target.others[1].port, 3);
	assert_string_equal(target.others[2].host, "d");
	assert_string_equal(target.export_name, "x/%m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_servers_stand_between_commas),
		cmocka_unit_test(understood),
		cmocka_unit_test(refused_with_a_reason),
		cmocka_unit_test(lengths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
