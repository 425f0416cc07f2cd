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
#include <fcntl.h>
#include <unistd.h>

#include "client-static/boot.h"

enum { IMAGE_BYTES = 32 << 20 };

static char path[] = "/tmp/filesystem-test-XXXXXX";

static const struct {
	const char *tool, *command; /* with the image as its last argument */
	const char *name;
	uint64_t size_bytes;
} makers[] = {
	{"mke2fs", "mke2fs -qF -t ext4 -O 64bit", "ext4", IMAGE_BYTES},
	{"mke2fs", "mke2fs -qF -t ext4 -b 1024", "ext4", IMAGE_BYTES},
	{"mke2fs", "mke2fs -qF -t ext2", "ext4", IMAGE_BYTES},
	{"mkfs.xfs", "mkfs.xfs -qf", "xfs", IMAGE_BYTES},
	{"mkfs.btrfs", "mkfs.btrfs -qf", "btrfs", IMAGE_BYTES},
};

static int make_image(void **state)
{
	static int fd;

	strcpy(path, "/tmp/filesystem-test-XXXXXX");
	fd = mkstemp(path);
	*state = &fd;
	return fd < 0 || ftruncate(fd, IMAGE_BYTES) < 0;
}

static int drop_image(void **state)
{
	close(*(int *)*state);
	return unlink(path);
}

/* 0 when the command succeeded. */
static int run(const char *command, const char *argument)
{
	char text[256];

	snprintf(text, sizeof(text), "PATH=$PATH:/sbin:/usr/sbin; %s %s >/dev/null 2>&1", command,
		 argument);
	return system(text);
}

static void test_makers(void **state)
{
	int fd = *(int *)*state;
	struct filesystem found;

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (run("command -v", makers[i].tool) != 0) {
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
	}
}

/* mksquashfs pads to 4 KiB; the superblock counts what is before. */
static void test_squashfs(void **state)
{
	int fd = *(int *)*state;
	struct filesystem found;
	off_t size;
	int made;

	if (run("command -v", "mksquashfs") != 0)
		skip();
	unlink(path);
	assert_int_equal(run("mksquashfs common", path), 0);
	made = open(path, O_RDONLY);
	assert_int_equal(dup2(made, fd), fd);
	close(made);
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
