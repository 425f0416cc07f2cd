/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of an export that is named as swap: a blank one gets a header
 * that mkswap's readers understand, one with data keeps every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client-static/boot.h"

enum { SIZE_BYTES = 8 << 20, PAGE_BYTES = 4096 };

static uint8_t before[SIZE_BYTES], after[SIZE_BYTES];

static int make_device(void **state)
{
	static int fd;

	fd = memfd_create("swap-test", 0);
	*state = &fd;
	return fd < 0 || ftruncate(fd, SIZE_BYTES) < 0;
}

static int drop_device(void **state)
{
	return close(*(int *)*state);
}

static uint32_t word(size_t offset)
{
	uint32_t value;

	memcpy(&value, after + offset, sizeof(value));
	return value;
}

static void test_blank(void **state)
{
	int fd = *(int *)*state;

	assert_int_equal(swap_prepare("device", fd, SIZE_BYTES), 0);
	assert_int_equal(pread(fd, after, SIZE_BYTES, 0), SIZE_BYTES);
	assert_memory_equal(after + PAGE_BYTES - 10, "SWAPSPACE2", 10);
	assert_int_equal(word(1024), 1);
	assert_int_equal(word(1028), SIZE_BYTES / PAGE_BYTES - 1);
	assert_int_equal(word(1032), 0);
	assert_string_equal((char *)after + 1052, "nbdswap");
	memcpy(before, after, SIZE_BYTES);
	assert_int_equal(swap_prepare("device", fd, SIZE_BYTES), 0);
	assert_int_equal(pread(fd, after, SIZE_BYTES, 0), SIZE_BYTES);
	assert_memory_equal(before, after, SIZE_BYTES);
}

/* Superblocks live at these places: every one must be seen, and kept. */
static void test_data(void **state)
{
	static const long places[] = {0,
				      512,
				      1024,
				      4095,
				      32769,
				      65536,
				      (1 << 20) - 1,
				      SIZE_BYTES - (1 << 20),
				      SIZE_BYTES - 65536,
				      SIZE_BYTES - 4096,
				      SIZE_BYTES - 512,
				      SIZE_BYTES - 1};
	int fd = *(int *)*state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		memset(before, 0, SIZE_BYTES);
		before[places[i]] = 1;
		assert_int_equal(pwrite(fd, before, SIZE_BYTES, 0), SIZE_BYTES);
		assert_int_equal(swap_prepare("device", fd, SIZE_BYTES), EXIT_PERMANENT);
		assert_int_equal(pread(fd, after, SIZE_BYTES, 0), SIZE_BYTES);
		assert_memory_equal(before, after, SIZE_BYTES);
	}
}

static void test_truncated(void **state)
{
	int fd = *(int *)*state;

	assert_int_equal(swap_prepare("device", fd, SIZE_BYTES), 0);
	assert_int_equal(swap_prepare("device", fd, SIZE_BYTES - PAGE_BYTES), EXIT_PERMANENT);
	assert_int_equal(swap_prepare("device", fd, SIZE_BYTES), 0);
}

static void test_size(void **state)
{
	int fd = *(int *)*state;

	assert_int_equal(swap_prepare("device", fd, 0), EXIT_PERMANENT);
	assert_int_equal(swap_prepare("device", fd, 10 * PAGE_BYTES - 1), EXIT_PERMANENT);
	assert_int_equal(swap_prepare("device", fd, 10 * PAGE_BYTES), 0);
}

static void test_unreadable(void **state)
{
	int fd = *(int *)*state;

	assert_int_equal(swap_prepare("device", fd, 2 * SIZE_BYTES), EXIT_TEMPORARY);
	assert_int_equal(pread(fd, after, SIZE_BYTES, 0), SIZE_BYTES);
	memset(before, 0, SIZE_BYTES);
	assert_memory_equal(before, after, SIZE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blank, make_device, drop_device),
		cmocka_unit_test_setup_teardown(test_data, make_device, drop_device),
		cmocka_unit_test_setup_teardown(test_truncated, make_device, drop_device),
		cmocka_unit_test_setup_teardown(test_size, make_device, drop_device),
		cmocka_unit_test_setup_teardown(test_unreadable, make_device, drop_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
