// SPDX-License-Identifier: GPL-2.0-or-later
/* Swaps of machines as files: made whole or not at all, counted, locked, and removed when old. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"
#include "server/export.h"
#include "server/machine-file.h"

enum { MIB = 1 << 20 };

static char directory[] = "/tmp/swap-file-test.XXXXXX";
static char why[WHY_BYTES], logged[WHY_BYTES];
static int folder_fd, fallocate_error, fsync_error;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_posix_fallocate(int fd, off_t offset, off_t length);

int __wrap_posix_fallocate(int fd, off_t offset, off_t length)
{
	if (fallocate_error)
		return fallocate_error;
	return ftruncate(fd, offset + length) < 0 ? errno : 0;
}

int __wrap_fsync(int fd)
{
	if (!fsync_error)
		return __real_fsync(fd);
	errno = fsync_error;
	return -1;
}

static int open_swap(const char *identity, uint64_t size_bytes, uint64_t quota_bytes, int *fd)
{
	struct export_settings set = {
		.per_client = PER_CLIENT_SWAP,
		.size_bytes = size_bytes,
		.quota_bytes = quota_bytes,
	};

	why[0] = '\0';
	return swap_file_open(folder_fd, &set, identity, fd, why, sizeof(why));
}

static bool is_there(const char *name)
{
	return faccessat(folder_fd, name, F_OK, 0) == 0;
}

static void age(const char *name, time_t seconds)
{
	struct timespec times[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};

	assert_int_equal(utimensat(folder_fd, name, times, 0), 0);
}

static void keep_line(const char *line)
{
	snprintf(logged, sizeof(logged), "%s", line);
}

static void a_swap_is_made_once(void **state)
{
	struct stat st;
	char byte = 'x';
	int fd;

	(void)state;
	assert_int_equal(open_swap("pc1", MIB, 0, &fd), 0);
	assert_int_equal(pwrite(fd, &byte, 1, 5), 1);
	close(fd);
	byte = 0;
	assert_int_equal(open_swap("pc1", 2 * MIB, 0, &fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, MIB);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(pread(fd, &byte, 1, 5), 1);
	assert_int_equal(byte, 'x');
	close(fd);
}

static void one_that_is_not_whole_is_never_seen(void **state)
{
	int fd;

	(void)state;
	fallocate_error = ENOSPC;
	assert_int_equal(open_swap("pc2", MIB, 0, &fd), -ENOSPC);
	assert_non_null(strstr(why, "cannot reserve 1048576 bytes"));
	fallocate_error = 0;
	fsync_error = EIO;
	assert_int_equal(open_swap("pc2", MIB, 0, &fd), -EIO);
	fsync_error = 0;
	assert_false(is_there("pc2.swap"));
	assert_false(is_there(".new.pc2.swap"));
	/* What a server that was killed leaves behind is made anew. */
	close(openat(folder_fd, ".new.pc2.swap", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_swap("pc2", MIB, 0, &fd), 0);
	assert_false(is_there(".new.pc2.swap"));
	close(fd);
}

static void a_link_is_no_swap(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(symlinkat("pc1.swap", folder_fd, "link.swap"), 0);
	assert_int_equal(open_swap("link", MIB, 0, &fd), -ELOOP);
	assert_int_equal(mkfifoat(folder_fd, "fifo.swap", 0600), 0);
	assert_int_equal(open_swap("fifo", MIB, 0, &fd), -EINVAL);
	assert_int_equal(unlinkat(folder_fd, "link.swap", 0), 0);
	assert_int_equal(unlinkat(folder_fd, "fifo.swap", 0), 0);
}

static void the_quota_counts_every_swap(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(open_swap("pc3", MIB, 3 * MIB, &fd), 0); /* after pc1 and pc2 */
	close(fd);
	assert_int_equal(open_swap("pc4", MIB, 3 * MIB, &fd), -EDQUOT);
	assert_non_null(strstr(why, "3145728 of the quota of 3145728 are taken"));
	assert_false(is_there("pc4.swap"));
	assert_int_equal(open_swap("pc3", MIB, 1, &fd), 0); /* it has its own already */
	close(fd);
}

static void what_is_open_belongs_to_one_process(void **state)
{
	int first, second;

	(void)state;
	assert_int_equal(open_swap("pc1", MIB, 0, &first), 0);
	assert_int_equal(open_swap("pc1", MIB, 0, &second), -EBUSY);
	assert_non_null(strstr(why, "in use by another process"));
	assert_int_equal(swap_file_remove(folder_fd, "pc1", ANY_AGE, why, sizeof(why)), -EBUSY);
	assert_true(is_there("pc1.swap"));
	close(first);
	assert_int_equal(swap_file_remove(folder_fd, "pc1", ANY_AGE, why, sizeof(why)), 0);
	assert_false(is_there("pc1.swap"));
}

static void only_what_nobody_used_is_removed(void **state)
{
	int fd;

	(void)state;
	log_to(keep_line);
	assert_int_equal(open_swap("used", MIB, 0, &fd), 0);
	age("used.swap", 1000);
	age("pc2.swap", 1000);
	age("pc3.swap", 10);
	assert_int_equal(
		machine_file_expire(folder_fd, SWAP_SUFFIX, swap_file_remove, time(NULL) - 100), 0);
	assert_true(is_there("used.swap"));
	assert_false(is_there("pc2.swap"));
	assert_true(is_there("pc3.swap"));
	assert_non_null(strstr(logged, "pc2.swap: removed"));
	close(fd);
	/* To open it is to use it. */
	assert_int_equal(open_swap("used", MIB, 0, &fd), 0);
	close(fd);
	assert_int_equal(
		machine_file_expire(folder_fd, SWAP_SUFFIX, swap_file_remove, time(NULL) - 100), 0);
	assert_true(is_there("used.swap"));
	log_to(NULL);
}

static int open_folder(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	folder_fd = open(directory, O_RDONLY | O_DIRECTORY);
	return folder_fd < 0 ? -1 : 0;
}

static void unlink_one(int fd, const char *name, void *arg)
{
	(void)arg;
	unlinkat(fd, name, 0);
}

static int remove_folder(void **state)
{
	(void)state;
	machine_file_each(folder_fd, SWAP_SUFFIX, unlink_one, NULL);
	close(folder_fd);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_swap_is_made_once),
		cmocka_unit_test(one_that_is_not_whole_is_never_seen),
		cmocka_unit_test(a_link_is_no_swap),
		cmocka_unit_test(the_quota_counts_every_swap),
		cmocka_unit_test(what_is_open_belongs_to_one_process),
		cmocka_unit_test(only_what_nobody_used_is_removed),
	};

	return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
