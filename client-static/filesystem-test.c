/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images that the file systems' own tools made are recognised, with their size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client-static/boot.h"

#define UUID "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

enum { IMAGE_BYTES = 512 << 20 };

static char path[64]; /* of the image, for the tools */

static const struct {
	const char *tool, *command;
	const char *name;
	uint64_t size_bytes;
	const char *label, *uuid; /* NULL: made by the tool */
} makers[] = {
	{"mke2fs", "mke2fs -qF -t ext4 -O 64bit -L sixteen-letters- -U " UUID " $image", "ext4",
	 IMAGE_BYTES, "sixteen-letters-", UUID},
	{"mke2fs", "mke2fs -qF -t ext4 -b 1024 $image", "ext4", IMAGE_BYTES, "", NULL},
	{"mke2fs", "mke2fs -qF -t ext2 -L small $image", "ext4", IMAGE_BYTES, "small", NULL},
	{"mkfs.xfs", "mkfs.xfs -qf -L twelve-signs -m uuid=" UUID " $image", "xfs", IMAGE_BYTES,
	 "twelve-signs", UUID},
	{"mkfs.btrfs", "mkfs.btrfs -qf -L room -U " UUID " $image", "btrfs", IMAGE_BYTES, "room",
	 UUID},
};

static int make_image(void **state)
{
	static int fd;

	fd = memfd_create("filesystem-test", 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	*state = &fd;
	return fd < 0 || ftruncate(fd, IMAGE_BYTES) < 0;
}

static int drop_image(void **state)
{
	return close(*(int *)*state);
}

/* 0 when the command succeeded. */
static int run(const char *command, const char *image)
{
	char text[256];

	snprintf(text, sizeof(text), "PATH=$PATH:/sbin:/usr/sbin image=%s; %s >/dev/null 2>&1",
		 image, command);
	return system(text);
}

static void test_makers(void **state)
{
	int fd = *(int *)*state;
	struct filesystem found;

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (run("command -v $image", makers[i].tool) != 0) {
			print_message("skip: no %s\n", makers[i].tool);
			continue;
		}
		assert_int_equal(ftruncate(fd, 0) | ftruncate(fd, IMAGE_BYTES), 0);
		if (run(makers[i].command, path) != 0) {
			print_message("skip: %s refuses\n", makers[i].command);
			continue;
		}
		assert_int_equal(filesystem_probe(fd, &found), 0);
		assert_non_null(found.name);
		assert_string_equal(found.name, makers[i].name);
		assert_int_equal(found.size_bytes, makers[i].size_bytes);
		assert_string_equal(found.label, makers[i].label);
		if (makers[i].uuid)
			assert_string_equal(found.uuid, makers[i].uuid);
	}
}

/* mksquashfs pads to 4 KiB; the superblock counts what is before. */
static void test_squashfs(void **state)
{
	int fd = *(int *)*state;
	struct filesystem found;
	off_t size;

	if (run("command -v $image", "mksquashfs") != 0)
		skip();
	assert_int_equal(run("mksquashfs common $image -noappend", path), 0);
	size = lseek(fd, 0, SEEK_END);
	assert_int_equal(filesystem_probe(fd, &found), 0);
	assert_string_equal(found.name, "squashfs");
	assert_true(found.size_bytes > 0 && found.size_bytes <= (uint64_t)size);
	assert_true((uint64_t)size - found.size_bytes < 4096);
}

static void test_unknown(void **state)
{
	int fd = *(int *)*state;
	struct filesystem found = {.name = "stale"};

	assert_int_equal(filesystem_probe(fd, &found), 0);
	assert_null(found.name);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(filesystem_probe(fd, &found), 0);
	assert_null(found.name);
	assert_int_equal(filesystem_probe(-1, &found), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_makers, make_image, drop_image),
		cmocka_unit_test_setup_teardown(test_squashfs, make_image, drop_image),
		cmocka_unit_test_setup_teardown(test_unknown, make_image, drop_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
