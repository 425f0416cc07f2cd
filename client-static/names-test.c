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
	unlink(below("/sys/block/nbd0/pid"));
	unlink(below("/sys/block/nbd2/pid"));
	system_root = "/nonexistent";
	assert_int_equal(check_run(0), 2);
	system_root = root;
}

static const struct nic card = {"eth0", 1500, 256, 1, false};
static char changes[RESERVE_CHANGES_BYTES];
static struct failure why;

/* A machine of 256 MiB whose numbers are what the kernel chooses. */
static void set_memory(const char *min_free_kbytes)
{
	write_file("/proc/meminfo", "MemTotal:         229376 kB\nMemFree: 1 kB\n");
	write_file("/proc/sys/vm/min_free_kbytes", min_free_kbytes);
	write_file("/proc/sys/vm/page-cluster", "3\n");
	write_file("/proc/sys/vm/watermark_boost_factor", "0\n");
	write_file("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t2097152\n");
	write_file("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t2097152\n");
	*changes = '\0';
}

static uint64_t number_in(const char *path)
{
	uint64_t number;

	assert_int_equal(system_read_number(path, &number), 0);
	return number;
}

static uint64_t raised_to_kib(uint32_t index)
{
	set_memory("1539\n");
	assert_int_equal(reserve_memory(index, 1, &card, changes, &why), 0);
	return number_in("/proc/sys/vm/min_free_kbytes");
}

static void reserve_is_raised_and_told(void **state)
{
	(void)state;
	uint64_t kib = raised_to_kib(5);
	char wanted[RESERVE_CHANGES_BYTES];

	snprintf(wanted, sizeof(wanted),
		 "vm.min_free_kbytes 1539 -> %llu (connections 1; eth0: MTU 1500, receive ring "
		 "256, no scatter-gather)",
		 (unsigned long long)kib);
	assert_string_equal(changes, wanted);
	*changes = '\0';
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), 0);
	assert_string_equal(changes, "");
}

static void reserve_of_the_administrator_stays(void **state)
{
	(void)state;
	set_memory("60000\n");
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), 0);
	assert_string_equal(changes, "");
	assert_int_equal(number_in("/proc/sys/vm/min_free_kbytes"), 60000);
	write_file("/proc/sys/vm/page-cluster", "0\n");
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), 0);
	assert_int_equal(number_in("/proc/sys/vm/page-cluster"), 0);
	write_file("/proc/sys/vm/page-cluster", "8\n");
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), 0);
	assert_string_equal(changes, "vm.page-cluster 8 -> 5");
	write_file("/proc/sys/vm/watermark_boost_factor", "10000\n");
	*changes = '\0';
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), 0);
	assert_string_equal(changes, "");
	write_file("/proc/sys/vm/watermark_boost_factor", "15000\n");
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), 0);
	assert_string_equal(changes, "vm.watermark_boost_factor 15000 -> 0");
	assert_int_equal(number_in("/proc/sys/vm/page-cluster"), 5);
}

static void kernel_that_sizes_the_reserve_is_left_alone(void **state)
{
	(void)state;
	static const char zoneinfo[] = "Node 0, zone      DMA\n"
				       "  pages free     2000\n"
				       "        boost    0\n"
				       "        min      %d\n"
				       "        low      900\n"
				       "        managed  3840\n"
				       "Node 0, zone    DMA32\n"
				       "  pages free     60000\n"
				       "        min      %d\n"
				       "        protection: (0, 0, 0, 0)\n"
				       "      nr_free_pages 2000\n";
	char text[sizeof(zoneinfo) + 32];

	snprintf(text, sizeof(text), zoneinfo, 16, 360);
	write_file("/proc/zoneinfo", text);
	assert_true(raised_to_kib(5) > 1539);
	snprintf(text, sizeof(text), zoneinfo, 40, 640);
	write_file("/proc/zoneinfo", text);
	assert_int_equal(raised_to_kib(5), 1539);
	unlink(below("/proc/zoneinfo"));
}

static void devices_that_are_there_need_their_share(void **state)
{
	(void)state;
	uint64_t alone_kib = raised_to_kib(5), beside_own_kib, beside_other_kib;
	char pid[32];

	snprintf(pid, sizeof(pid), "%d\n", getpid());
	write_file("/sys/block/nbd6/pid", pid);
	beside_own_kib = raised_to_kib(5);
	assert_true(beside_own_kib > alone_kib);
	assert_null(strstr(changes, "unbounded"));
	write_file("/sys/block/nbd6/pid", "1\n");
	beside_other_kib = raised_to_kib(5);
	assert_true(beside_other_kib >= beside_own_kib + 2 * 2 * 1024);
	assert_non_null(strstr(changes, "(connections 2, 1 of them unbounded;"));
	write_file("/sys/block/nbd6/mq/0/cpu_list", "0\n");
	write_file("/sys/block/nbd6/mq/1/cpu_list", "1\n");
	assert_true(raised_to_kib(5) > beside_other_kib);
	assert_int_equal(raised_to_kib(6), alone_kib);
	unlink(below("/sys/block/nbd6/pid"));
}

static void buffers_are_bounded_where_swap_is_remote(void **state)
{
	(void)state;
	static struct attach_job job;

	set_memory("1539\n");
	write_file("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n");
	assert_int_equal(reserve_buffer_bytes(&job), 0);
	job.is_swap = true;
	assert_int_equal(reserve_buffer_bytes(&job), 128 << 10);
	job.reserve = RESERVE_KEEP;
	assert_int_equal(reserve_buffer_bytes(&job), 0);
	job = (struct attach_job){0};
	write_file("/proc/swaps", "Filename Type Size Used Priority\n/dev/nb1 partition 1 0 -2\n");
	assert_int_equal(reserve_buffer_bytes(&job), 128 << 10);
	write_file("/proc/meminfo", "MemTotal:          70000 kB\n");
	assert_int_equal(reserve_buffer_bytes(&job), 64 << 10);
}

/* nbdopts=crypt, or LUKS: /proc/swaps shows the device mapper's device. */
static void swap_through_a_device_mapper_is_remote_too(void **state)
{
	(void)state;
	static struct attach_job job;

	set_memory("1539\n");
	write_file("/sys/block/dm-0/slaves/sda2", "");
	write_file("/sys/block/dm-1/slaves/nbd1", "");
	write_file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-0\tpartition\t1\n");
	assert_int_equal(reserve_buffer_bytes(&job), 0);
	write_file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-1\tpartition\t1\n");
	assert_int_equal(reserve_buffer_bytes(&job), 128 << 10);
	assert_true(reserve_swaps_to(1, 1));
	assert_false(reserve_swaps_to(2, 9));
	write_file("/proc/swaps", "Filename Type Size Used Priority\n/dev/nbd12p1\tpartition\t1\n");
	assert_true(reserve_swaps_to(12, 12));
	assert_false(reserve_swaps_to(1, 1));
}

static void unreadable_reserve_is_a_failure(void **state)
{
	(void)state;
	set_memory("lots\n");
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), -EINVAL);
	assert_non_null(strstr(why.text, "cannot size vm.min_free_kbytes"));
	write_file("/sys/block/nbd6/pid", "1\n");
	write_file("/proc/sys/net/ipv4/tcp_wmem", "a b\n");
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), -EPROTO);
	unlink(below("/sys/block/nbd6/pid"));
	write_file("/proc/meminfo", "Nonsense: 3\n");
	assert_int_equal(reserve_memory(5, 1, &card, changes, &why), -EPROTO);
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
	strcpy(changes, "first");

	set_queue("1280\n", "none [bfq] mq-deadline\n");
	assert_int_equal(reserve_queue(9, true, 0, changes, &why), 0);
	assert_string_equal(changes, "first, max_sectors_kb 1280 -> 128, "
				     "read_ahead_kb 4096 -> 128, scheduler bfq -> none");
	expect_file("/sys/block/nbd9/queue/scheduler", "none");
}

static void other_queues_follow_the_server_alone(void **state)
{
	(void)state;
	*changes = '\0';

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
	*changes = '\0';

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
		cmocka_unit_test(reserve_is_raised_and_told),
		cmocka_unit_test(reserve_of_the_administrator_stays),
		cmocka_unit_test(kernel_that_sizes_the_reserve_is_left_alone),
		cmocka_unit_test(devices_that_are_there_need_their_share),
		cmocka_unit_test(buffers_are_bounded_where_swap_is_remote),
		cmocka_unit_test(swap_through_a_device_mapper_is_remote_too),
		cmocka_unit_test(unreadable_reserve_is_a_failure),
		cmocka_unit_test(requests_for_swap_are_bounded),
		cmocka_unit_test(other_queues_follow_the_server_alone),
		cmocka_unit_test(queue_that_is_small_already_stays),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
