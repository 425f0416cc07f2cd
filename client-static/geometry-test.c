/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Block size and size: what is chosen from what the user, the server and the kernel want. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client-static/client.h"

static const struct good {
	uint64_t export_bytes;
	uint32_t minimum, maximum; /* of the server */
	uint32_t asked_block;
	uint64_t asked_bytes;
	uint32_t block;
	uint64_t bytes;
	uint32_t cut;
} good[] = {
	{1 << 20, 1, 0, 0, 0, 512, 1 << 20, 0},
	{1 << 20, 512, 32 << 20, 0, 0, 512, 1 << 20, 0},
	{1 << 20, 4096, 32 << 20, 0, 0, 4096, 1 << 20, 0},
	{1 << 20, 1, 0, 2048, 0, 2048, 1 << 20, 0},
	{1 << 20, 1, 4096, 0, 0, 512, 1 << 20, 0},
	{1000001, 1, 0, 0, 0, 512, 999936, 65},
	{1 << 20, 1, 0, 0, 4096, 512, 4096, 0},
	{1 << 20, 1, 0, 1024, 5000, 1024, 4096, 904},
	{512, 1, 0, 0, 0, 512, 512, 0},
	{INT64_MAX, 1, 0, 0, 0, 512, INT64_MAX - 511, 511},
};

static const struct bad {
	uint64_t export_bytes;
	uint32_t minimum, maximum;
	uint32_t asked_block;
	uint64_t asked_bytes;
	const char *text;
} bad[] = {
	{0, 1, 0, 0, 0, "the export is empty (0 bytes)"},
	{0, 1, 0, 0, 4096, "the export is empty (0 bytes)"},
	{511, 1, 0, 0, 0, "511 bytes, less than one block of 512"},
	{4095, 1, 0, 4096, 0, "4095 bytes, less than one block of 4096"},
	{1 << 20, 1, 0, 0, (1 << 20) + 1, "size 1048577: the export has only 1048576"},
	{(uint64_t)INT64_MAX + 1, 1, 0, 0, 0, "more than a device of this kernel"},
	{UINT64_MAX, 1, 0, 0, 0, "more than a device of this kernel"},
	{1 << 20, 8192, 32 << 20, 0, 0, "the server wants blocks of 8192"},
	{1 << 20, 65536, 32 << 20, 4096, 0, "the server wants blocks of 65536"},
	{1 << 20, 4096, 32 << 20, 512, 0, "block size 512: the server wants at least 4096"},
	{1 << 20, 1, 2048, 0, 0, "the server takes at most 2048"},
};

static void chosen(void **state)
{
	(void)state;
	for (const struct good *g = good; g < good + sizeof(good) / sizeof(*good); g++) {
		struct attach_job job = {.block_size_bytes = g->asked_block,
					 .size_bytes = g->asked_bytes};
		struct export_info export = {.size_bytes = g->export_bytes,
					     .minimum_block_bytes = g->minimum,
					     .maximum_block_bytes = g->maximum};
		struct geometry geometry;
		struct failure why;

		if (geometry_choose(&job, &export, &geometry, &why))
			fail_msg("row %zu: %s", (size_t)(g - good), why.text);
		assert_int_equal(geometry.block_size_bytes, g->block);
		assert_int_equal(geometry.size_bytes, g->bytes);
		assert_int_equal(geometry.cut_bytes, g->cut);
	}
}

static void refused(void **state)
{
	(void)state;
	for (const struct bad *b = bad; b < bad + sizeof(bad) / sizeof(*bad); b++) {
		struct attach_job job = {.block_size_bytes = b->asked_block,
					 .size_bytes = b->asked_bytes};
		struct export_info export = {.size_bytes = b->export_bytes,
					     .minimum_block_bytes = b->minimum,
					     .maximum_block_bytes = b->maximum};
		struct geometry geometry;
		struct failure why = {0};

		assert_true(geometry_choose(&job, &export, &geometry, &why) < 0);
		assert_int_equal(why.exit_code, EXIT_PERMANENT);
		if (!strstr(why.text, b->text))
			fail_msg("\"%s\" does not say \"%s\"", why.text, b->text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
