/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of devices, and what is read from and written to /sys, /proc and /dev in a copy of them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "client-static/client.h"

static char root[] = "/tmp/names-test.XXXXXX";

static const char *below(const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

static void write_file(const char *path, const char *text)
{
	char *full = strdup(below(path));
	FILE *file;

	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	free(full);
}

static void expect_file(const char *path, const char *text)
{
	char found[256];

	assert_int_equal(system_read(path, found, sizeof(found)), 0);
	assert_string_equal(found, text);
}

static void every_spelling_is_the_same_device(void **state)
{
	(void)state;
	static const char *const names[] = {"/dev/nb7", "/dev/nbd7", "/dev/nbd/7",
					    "nb7",	"nbd7",	     "nbd/7"};
	struct failure why;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint32_t index = 99;

		assert_int_equal(names_parse(names[i], &index, &why), 0);
		assert_int_equal(index, 7);
	}
}

static void other_names_are_refused(void **state)
{
	(void)state;
	static const char *const names[] = {
		"",	 "nbd",	      "/dev/nbd", "/dev/sda", "nb01",	   "nbdx",	    "nbd1x",
		"nbd-1", "/dev/nbd/", "7",	  "nbd+1",    "nb1048576", "nbd99999999999"};
	struct failure why;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint32_t index = 99;

		assert_int_equal(names_parse(names[i], &index, &why), -EINVAL);
		assert_int_equal(index, 99);
		assert_int_equal(why.exit_code, EXIT_PERMANENT);
		assert_non_null(strstr(why.text, "write /dev/nbN"));
	}
}

static void largest_index_is_the_last_minor(void **state)
{
	(void)state;
	struct failure why;
	uint32_t index;

	assert_int_equal(names_parse("nb1048575", &index, &why), 0);
	assert_int_equal(index, 1048575);
	assert_int_equal(names_parse("nb0", &index, &why), 0);
	assert_int_equal(index, 0);
}

static void partition_is_told_apart(void **state)
{
	(void)state;
	struct failure why;
	uint32_t index;

	assert_int_equal(names_parse("/dev/nbd3p1", &index, &why), -EINVAL);
	assert_non_null(strstr(why.text, "name the device, /dev/nb3"));
}

static void node_has_the_numbers_of_sysfs(void **state)
{
	(void)state;
	struct failure why;
	struct stat node;

	if (geteuid() != 0)
		skip();
	write_file("/sys/block/nbd20/dev", "43:320\n");
	write_file("/dev/.keep", "");
	for (int again = 0; again < 2; again++) {
		assert_int_equal(names_make(20, &why), 0);
		assert_int_equal(lstat(below("/dev/nb20"), &node), 0);
		assert_true(S_ISBLK(node.st_mode));
		assert_int_equal(node.st_rdev, makedev(43, 320));
	}
	write_file("/sys/block/nbd20/dev", "43:20\n"); /* the driver came back with max_part=0 */
	assert_int_equal(names_make(20, &why), 0);
	assert_int_equal(lstat(below("/dev/nb20"), &node), 0);
	assert_int_equal(node.st_rdev, makedev(43, 20));
}

static void node_takes_owner_and_mode_of_the_kernels(void **state)
{
	(void)state;
	struct failure why;
	struct stat node;

	if (geteuid() != 0)
		skip();
	write_file("/sys/block/nbd4/dev", "43:64\n");
	assert_int_equal(mknod(below("/dev/nbd4"), S_IFBLK | 0640, makedev(43, 64)), 0);
	assert_int_equal(chown(below("/dev/nbd4"), 0, 6), 0);
	assert_int_equal(names_make(4, &why), 0);
	assert_int_equal(lstat(below("/dev/nb4"), &node), 0);
	assert_int_equal(node.st_gid, 6);
	assert_int_equal(node.st_mode & 07777, 0640);
}

static void what_is_not_a_node_is_left_alone(void **state)
{
	(void)state;
	struct failure why;

	write_file("/sys/block/nbd5/dev", "43:80\n");
	write_file("/dev/nb5", "precious");
	assert_int_equal(names_make(5, &why), -EEXIST);
	expect_file("/dev/nb5", "precious");
}

static void device_that_is_not_there_has_no_node(void **state)
{
	(void)state;
	struct failure why;

	assert_int_equal(names_make(77, &why), -ENOENT);
	assert_int_equal(access(below("/dev/nb77"), F_OK), -1);
	write_file("/sys/block/nbd78/dev", "fortythree\n");
	assert_int_equal(names_make(78, &why), -EPROTO);
}

static void check_has_the_exit_codes_of_nbd_client(void **state)
{
	(void)state;
	uint64_t pid = 0;

	write_file("/sys/block/nbd0/pid", "1234\n");
	assert_int_equal(check_attached(0, &pid), 0);
	assert_int_equal(pid, 1234);
	assert_int_equal(check_run(1), 1);
	write_file("/sys/block/nbd2/pid", "no number\n");
	assert_int_equal(check_run(2), 2);
	system_root = "/nonexistent";
	assert_int_equal(check_run(0), 2);
	system_root = root;
}

static void reserve_rule_never_lowers(void **state)
{
	(void)state;
	static const struct {
		uint64_t ram_kib, current_kib, wanted_kib;
	} cases[] = {
		{32 << 10, 700, 8192},	 {128 << 10, 1539, 8192},   {512 << 10, 2900, 8192},
		{1 << 20, 4096, 16384},	 {2 << 20, 5792, 32768},    {64 << 20, 32768, 32768},
		{128 << 10, 8192, 8192}, {128 << 10, 20000, 20000}, {64 << 20, 67584, 67584},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(reserve_rule_kib(cases[i].ram_kib, cases[i].current_kib),
				 cases[i].wanted_kib);
}

static void reserve_is_raised_and_told(void **state)
{
	(void)state;
	char changes[RESERVE_CHANGES_BYTES] = "";
	struct failure why;

	write_file("/proc/meminfo", "MemTotal:         188000 kB\nMemFree: 1 kB\n");
	write_file("/proc/sys/vm/min_free_kbytes", "1539\n");
	assert_int_equal(reserve_memory(changes, &why), 0);
	assert_string_equal(changes, "vm.min_free_kbytes 1539 -> 8192");
	expect_file("/proc/sys/vm/min_free_kbytes", "8192");
	*changes = '\0';
	assert_int_equal(reserve_memory(changes, &why), 0);
	assert_string_equal(changes, "");
}

static void unreadable_reserve_is_a_failure(void **state)
{
	(void)state;
	char changes[RESERVE_CHANGES_BYTES] = "";
	struct failure why;

	write_file("/proc/sys/vm/min_free_kbytes", "lots\n");
	assert_int_equal(reserve_memory(changes, &why), -EINVAL);
	write_file("/proc/meminfo", "Nonsense: 3\n");
	assert_int_equal(reserve_memory(changes, &why), -EPROTO);
}

static void set_queue(const char *max_sectors_kb, const char *scheduler)
{
	write_file("/sys/block/nbd9/queue/max_sectors_kb", max_sectors_kb);
	write_file("/sys/block/nbd9/queue/read_ahead_kb", "4096\n");
	write_file("/sys/block/nbd9/queue/scheduler", scheduler);
}

static void requests_for_swap_are_bounded(void **state)
{
	(void)state;
	char changes[RESERVE_CHANGES_BYTES] = "first";
	struct failure why;

	set_queue("1280\n", "none [bfq] mq-deadline\n");
	assert_int_equal(reserve_queue(9, true, 0, changes, &why), 0);
	assert_string_equal(changes, "first, max_sectors_kb 1280 -> 128, "
				     "read_ahead_kb 4096 -> 128, scheduler bfq -> none");
	expect_file("/sys/block/nbd9/queue/scheduler", "none");
}

static void other_queues_follow_the_server_alone(void **state)
{
	(void)state;
	char changes[RESERVE_CHANGES_BYTES] = "";
	struct failure why;

	set_queue("1280\n", "none [bfq]\n");
	assert_int_equal(reserve_queue(9, false, 0, changes, &why), 0);
	assert_int_equal(reserve_queue(9, false, 32 << 20, changes, &why), 0);
	assert_string_equal(changes, "");
	assert_int_equal(reserve_queue(9, false, 1 << 20, changes, &why), 0);
	assert_string_equal(changes, "max_sectors_kb 1280 -> 1024");
}

static void queue_that_is_small_already_stays(void **state)
{
	(void)state;
	char changes[RESERVE_CHANGES_BYTES] = "";
	struct failure why;

	set_queue("64\n", "[mq-deadline] none\n");
	write_file("/sys/block/nbd9/queue/read_ahead_kb", "0\n");
	assert_int_equal(reserve_queue(9, true, 0, changes, &why), 0);
	assert_string_equal(changes, "");
}

static int make_root(void **state)
{
	(void)state;
	system_root = mkdtemp(root);
	return system_root ? mkdir(below("/sys"), 0755) | mkdir(below("/sys/block"), 0755) : -1;
}

static int remove_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_is_the_same_device),
		cmocka_unit_test(other_names_are_refused),
		cmocka_unit_test(largest_index_is_the_last_minor),
		cmocka_unit_test(partition_is_told_apart),
		cmocka_unit_test(node_has_the_numbers_of_sysfs),
		cmocka_unit_test(node_takes_owner_and_mode_of_the_kernels),
		cmocka_unit_test(what_is_not_a_node_is_left_alone),
		cmocka_unit_test(device_that_is_not_there_has_no_node),
		cmocka_unit_test(check_has_the_exit_codes_of_nbd_client),
		cmocka_unit_test(reserve_rule_never_lowers),
		cmocka_unit_test(reserve_is_raised_and_told),
		cmocka_unit_test(unreadable_reserve_is_a_failure),
		cmocka_unit_test(requests_for_swap_are_bounded),
		cmocka_unit_test(other_queues_follow_the_server_alone),
		cmocka_unit_test(queue_that_is_small_already_stays),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
