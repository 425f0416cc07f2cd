/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rule for the memory reserve: the numbers that docs/swap-safety.md shows, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client-static/client.h"

static const struct nic plain_card = {"eth0", 1500, 256, 1, false};
static const struct nic good_card = {"eth0", 1500, 256, 1, true};

static void numbers_of_the_document(void **state)
{
	(void)state;
	static const struct {
		struct reserve_needs needs;
		uint64_t wanted_kib;
		bool is_capped;
	} cases[] = {
		/* root and swap of a machine of 256 MiB: QEMU's user network, then a real card */
		{{229376, 2, plain_card, 2, 0, 0, 0}, 8416, false},
		{{229376, 2, good_card, 2, 0, 0, 0}, 4096, false},
		/* root was attached by another program */
		{{229376, 2, good_card, 1, 1, 2048, 2048}, 11232, false},
		/* little memory */
		{{70000, 1, plain_card, 2, 0, 0, 0}, 5296, false},
		{{40000, 1, plain_card, 2, 0, 0, 0}, 5000, true},
		/* a server: 8 rings of 1024 */
		{{16 << 20, 16, {"eth0", 1500, 1024, 8, true}, 2, 0, 0, 0}, 39424, false},
		{{16 << 20, 16, {"eth0", 9000, 1024, 8, true}, 2, 0, 0, 0}, 154112, false},
		/* a Unix socket, loopback */
		{{229376, 2, {"", 0, 0, 0, false}, 1, 0, 0, 0}, 4096, false},
		{{229376, 2, {"lo", 65536, 0, 0, true}, 1, 0, 0, 0}, 4096, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(reserve_rule_kib(&cases[i].needs), cases[i].wanted_kib);
		assert_int_equal(reserve_rule_is_capped(&cases[i].needs), cases[i].is_capped);
	}
}

static void buffers_follow_the_memory(void **state)
{
	(void)state;
	assert_int_equal(reserve_rule_buffer_kib(0), 64);
	assert_int_equal(reserve_rule_buffer_kib((128 << 10) - 1), 64);
	assert_int_equal(reserve_rule_buffer_kib(128 << 10), 128);
	assert_int_equal(reserve_rule_buffer_kib(16 << 20), 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_the_document),
		cmocka_unit_test(buffers_follow_the_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
