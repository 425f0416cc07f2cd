/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commit limit that is enforced at the end of a machine, and the units that see to it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client-static/boot.h"

static char root[] = "/tmp/swap-keep-test.XXXXXX";

static void set_memory(unsigned int memory_kib, unsigned int swap_kib, unsigned int committed_kib)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "MemTotal: %8u kB\nMemFree: 1 kB\nSwapTotal: %8u kB\nSwapFree: 2 kB\n"
		 "CommitLimit: 3 kB\nCommitted_AS: %8u kB\n",
		 memory_kib, swap_kib, committed_kib);
	assert_int_equal(system_leave_file("/proc/meminfo", text), 0);
	assert_int_equal(system_leave_file("/proc/sys/vm/overcommit_memory", "0"), 0);
	assert_int_equal(system_leave_file("/proc/sys/vm/overcommit_kbytes", "0"), 0);
}

static uint64_t number_in(const char *path)
{
	uint64_t number;

	assert_int_equal(system_read_number(path, &number), 0);
	return number;
}

/* As __vm_enough_memory() decides it of one more page, with this much committed. */
static void expect_limit(uint64_t limit_kib)
{
	assert_int_equal(swap_keep_enforce(), 0);
	assert_int_equal(number_in("/proc/sys/vm/overcommit_kbytes"), limit_kib);
	assert_int_equal(number_in("/proc/sys/vm/overcommit_memory"), 2);
}

static void what_fits_into_half_of_the_memory_may_come_back(void **state)
{
	(void)state;
	set_memory(160000, 240000, 20000);
	expect_limit(80000);
	set_memory(160000, 240000, 100000);
	expect_limit(80000);
}

/* 300000 are committed: swapoff exceeds the limit of 120000, and 60000 more are still to be had. */
static void the_end_itself_is_not_kept_from_memory(void **state)
{
	(void)state;
	set_memory(160000, 240000, 300000);
	expect_limit(120000);
	set_memory(160000, 240000, 260000);
	expect_limit(80000);
}

static void unknown_memory_changes_nothing(void **state)
{
	(void)state;
	set_memory(160000, 240000, 300000);
	assert_int_equal(system_leave_file("/proc/meminfo", "MemTotal: 7 kB\n"), 0);
	assert_int_equal(swap_keep_enforce(), -EPROTO);
	assert_int_equal(number_in("/proc/sys/vm/overcommit_memory"), 0);
}

static void units_start_what_release_has_left(void **state)
{
	char text[1024];

	(void)state;
	swap_keep_prepare();
	assert_int_equal(
		system_read("/run/systemd/system/nbd-swap-keep.service", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\nExecStart=@/run/initramfs/shutdown nbd-swap-keep\n"));
	assert_int_equal(system_read("/run/systemd/system/sysinit.target.d/nbd-client.conf", text,
				     sizeof(text)),
			 0);
	assert_int_equal(
		system_read("/run/systemd/system/swap.d/nbd-client.conf", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "\nDefaultDependencies=no"));
}

static int make_root(void **state)
{
	(void)state;
	system_root = mkdtemp(root);
	return system_root ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_into_half_of_the_memory_may_come_back),
		cmocka_unit_test(the_end_itself_is_not_kept_from_memory),
		cmocka_unit_test(unknown_memory_changes_nothing),
		cmocka_unit_test(units_start_what_release_has_left),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
