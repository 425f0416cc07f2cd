// SPDX-License-Identifier: GPL-2.0-or-later
/* What people write for an address and a size, and what it means. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "server/server.h"

static void addresses_are_understood(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned int port;
	} rows[] = {
		{"1234", "", 1234},
		{"0", "", 0},
		{":1234", "", 1234},
		{"@1234", "", 1234},
		{"10.0.0.1:1234", "10.0.0.1", 1234},
		{"10.0.0.1@1234", "10.0.0.1", 1234},
		{"localhost:65535", "localhost", 65535},
		{"[::1]:1234", "::1", 1234},
		{"[fe80::1%eth0]:1234", "fe80::1%eth0", 1234},
		{"::1@1234", "::1", 1234},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listen_address address;
		char why[TEXT_MAX] = "";

		assert_int_equal(address_parse(rows[i].text, &address, why, sizeof(why)), 0);
		assert_string_equal(address.host, rows[i].host);
		assert_int_equal(address.port, rows[i].port);
		assert_string_equal(why, "");
	}
}

static void wrong_addresses_are_explained(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "is not a port"},
		{"x", "is not a port"},
		{"12 ", "is not a port"},
		{"-1", "is not a port"},
		{"+1", "is not a port"},
		{"65536", "is not a port"},
		{"10.0.0.1:", "is not a port"},
		{"10.0.0.1:nbd", "is not a port"},
		{"99999999999999999999", "is not a port"},
		{"::1:1234", "[IP]:PORT"},
		{"[::1]", "[IP]:PORT"},
		{"[::1:1234", "[IP]:PORT"},
		{"[::1]1234", "[IP]:PORT"},
	};
	char long_host[400];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listen_address address = {"untouched", 7};
		char why[TEXT_MAX] = "";

		assert_int_equal(address_parse(rows[i].text, &address, why, sizeof(why)), -EINVAL);
		if (!strstr(why, rows[i].why))
			fail_msg("%s: %s", rows[i].text, why);
		assert_string_equal(address.host, "untouched");
	}
	memset(long_host, 'a', sizeof(long_host));
	strcpy(long_host + 390, ":1");
	assert_int_equal(address_parse(long_host, &(struct listen_address){0}, (char[99]){0}, 99),
			 -EINVAL);
}

static void addresses_are_printed(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(10809)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
	struct sockaddr local = {.sa_family = AF_UNIX};
	char text[80];

	(void)state;
	address_format((struct sockaddr *)&in, sizeof(in), text, sizeof(text));
	assert_string_equal(text, "0.0.0.0:10809");
	address_format((struct sockaddr *)&in6, sizeof(in6), text, sizeof(text));
	assert_string_equal(text, "[::]:1");
	address_format(&local, sizeof(local), text, sizeof(text));
	assert_string_equal(text, "local client");
}

static void sizes_are_understood(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{"0", 0},
		{"512", 512},
		{"1000003", 1000003},
		{"1k", 1024},
		{"1K", 1024},
		{"3m", 3 << 20},
		{"3M", 3 << 20},
		{"4g", UINT64_C(4) << 30},
		{"4G", UINT64_C(4) << 30},
		{"9223372036854775807", INT64_MAX},
		{"8589934591G", UINT64_C(8589934591) << 30},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t bytes;

		assert_int_equal(size_parse(rows[i].text, &bytes), 0);
		assert_int_equal(bytes, rows[i].bytes);
	}
}

static void wrong_sizes_are_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{"", -EINVAL},
		{"k", -EINVAL},
		{"-1", -EINVAL},
		{" 1", -EINVAL},
		{"1 k", -EINVAL},
		{"1kB", -EINVAL},
		{"1T", -EINVAL},
		{"0x10", -EINVAL},
		{"1.5G", -EINVAL},
		{"9223372036854775808", -ERANGE},
		{"8589934592G", -ERANGE},
		{"18446744073709551616", -ERANGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t bytes = 7;

		assert_int_equal(size_parse(rows[i].text, &bytes), rows[i].error);
		assert_int_equal(bytes, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		cmocka_unit_test(wrong_addresses_are_explained),
		cmocka_unit_test(addresses_are_printed),
		cmocka_unit_test(sizes_are_understood),
		cmocka_unit_test(wrong_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
