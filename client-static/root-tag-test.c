/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The UUID of a partition is the one that sfdisk gave it, in either kind of table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client-static/boot.h"

#define GUID "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9"

static char path[64];

static int make_disk(void **state)
{
	static int fd;

	fd = memfd_create("root-tag-test", 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	*state = &fd;
	return fd < 0 || ftruncate(fd, 64 << 20) < 0;
}

static int drop_disk(void **state)
{
	return close(*(int *)*state);
}

static void make_table(const char *script)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "PATH=$PATH:/sbin:/usr/sbin; printf '%s' | sfdisk -q --no-reread --no-tell-kernel "
		 "%s",
		 script, path);
	assert_int_equal(system(text), 0);
}

static void test_gpt(void **state)
{
	char uuid[37];

	make_table("label: gpt\nsize=1MiB\nsize=2MiB, uuid=" GUID "\n");
	assert_int_equal(partition_uuid(*(int *)*state, 2, uuid), 0);
	assert_string_equal(uuid, "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9");
}

static void test_dos(void **state)
{
	char uuid[37];

	make_table("label: dos\nlabel-id: 0xc0ffee01\nsize=1MiB\nsize=2MiB\n");
	assert_int_equal(partition_uuid(*(int *)*state, 2, uuid), 0);
	assert_string_equal(uuid, "c0ffee01-02");
}

static void test_short(void **state)
{
	int fd = *(int *)*state;
	char uuid[37];

	assert_int_equal(ftruncate(fd, 700), 0);
	assert_int_equal(partition_uuid(fd, 1, uuid), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gpt, make_disk, drop_disk),
		cmocka_unit_test_setup_teardown(test_dos, make_disk, drop_disk),
		cmocka_unit_test_setup_teardown(test_short, make_disk, drop_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
