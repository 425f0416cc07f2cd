/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -doctor on machines made of files: one that is swap-safe, then the same with
 * one thing wrong at a time, which must be named, and decide the exit code.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client-static/supervise.h"

static char root[] = "/tmp/doctor-test.XXXXXX";
static char printed[16384];
static struct supervision device;

static void put_bytes(const char *path, const void *bytes, size_t length)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static void put_device(void)
{
	put_bytes("/run/nbd-client/nbd1", &device, sizeof(device));
}

/* A machine of 1 GiB that swaps to nbd1, attached by us, with all that it needs. */
static int make_machine(void **state)
{
	static const char cmdline[] = SUPERVISOR_NAME "\0/dev/nb1\0"
						      "3";
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(10809)};

	(void)state;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	put("/proc/meminfo", "MemTotal:        1048576 kB\n");
	put("/proc/sys/vm/min_free_kbytes", "65536\n");
	put("/proc/sys/vm/watermark_boost_factor", "0\n");
	put("/proc/sys/net/ipv4/tcp_wmem", "4096 16384 4194304\n");
	put("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456\n");
	put("/proc/zoneinfo", "Node 0, zone  Normal\n        min      16384\n");
	put("/proc/swaps", "Filename Type Size Used Priority\n/dev/nb1 partition 1 0 -2\n");
	put("/sys/module/nbd/taint", "\n");
	put("/sys/module/zswap/parameters/enabled", "N\n");
	put("/sys/block/nbd1/pid", "42\n");
	put("/sys/block/nbd1/queue/max_sectors_kb", "128\n");
	put_bytes("/proc/42/cmdline", cmdline, sizeof(cmdline));
	put("/proc/42/status", "Name:\t@nbd-client\nVmLck:\t     300 kB\n");
	put("/proc/42/maps", "400000-401000 r-xp 0 00:01 5   /memfd:nbd-client (deleted)\n"
			     "7f00-7f01 rw-p 0 00:00 0\n7f01-7f02 rw-s 0 00:15 9  "
			     "/run/nbd-client/nbd1\n7ffc-7ffd rw-p 0 00:00 0 [stack]\n");
	put("/proc/42/oom_score_adj", "-1000\n");
	put("/sys/block/nbd2/x", "");
	memset(&device, 0, sizeof(device));
	strcpy(device.version, VERSION);
	device.size_bytes = sizeof(device);
	device.job.device_index = 1;
	device.job.is_swap = true;
	device.link_count = 1;
	device.buffer_bytes = 128 << 10;
	device.addresses.count = 1;
	memcpy(&device.addresses.items[0].storage, &server, sizeof(server));
	device.addresses.items[0].length = sizeof(server);
	device.pid = 42;
	put_device();
	return 0;
}

/* Runs it with standard output in printed. */
static int doctor(bool as_json)
{
	int saved = dup(STDOUT_FILENO), r;
	FILE *file = tmpfile();
	size_t length;

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	r = doctor_run(as_json);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	length = fread(printed, 1, sizeof(printed) - 1, file);
	printed[length] = '\0';
	fclose(file);
	return r;
}

static void expect(const char *part, int exit_code)
{
	int r = doctor(false);

	if (!strstr(printed, part))
		fail_msg("no \"%s\" in:\n%s", part, printed);
	if (r != exit_code)
		fail_msg("exit %d, should be %d:\n%s", r, exit_code, printed);
}

static void a_safe_machine_is_called_safe(void **state)
{
	(void)state;
	expect("level L0: this machine is swap-safe", 0);
	assert_null(strstr(printed, "FAIL"));
	expect("ok   driver: nbd, the kernel's own", 0);
	expect("ok   swap: on /dev/nb1", 0);
	expect("ok   /dev/nb1: kept by process 42, 300 KiB locked", 0);
	put("/sys/module/nbd/taint", "OE\n");
	expect("level L1", 0);
	put("/proc/zoneinfo", "Node 0, zone  Normal\n        min      20000\n");
	expect("level L2", 0);
	expect("ok   reserve: the kernel sizes it", 0);
}

static void what_makes_it_unsafe_is_named(void **state)
{
	(void)state;
	put("/proc/sys/vm/min_free_kbytes", "1000\n");
	put("/proc/zoneinfo", "Node 0, zone  Normal\n        min      250\n");
	expect("FAIL reserve: vm.min_free_kbytes is 1000, ", EXIT_PERMANENT);
	expect("sysctl -w vm.min_free_kbytes=", EXIT_PERMANENT);
	expect("level none: this machine is NOT swap-safe", EXIT_PERMANENT);
	make_machine(NULL);
	put("/proc/42/status", "VmLck:\t       0 kB\n");
	expect("FAIL /dev/nb1: process 42 that keeps it is not locked", EXIT_PERMANENT);
	make_machine(NULL);
	put("/proc/42/maps", "400000-401000 r-xp 0 fe:00 5   /usr/sbin/nbd-client\n");
	expect("FAIL /dev/nb1: process 42 that keeps it has pages in /usr/sbin/nbd-client",
	       EXIT_PERMANENT);
	make_machine(NULL);
	put("/proc/42/oom_score_adj", "0\n");
	expect("FAIL /dev/nb1: the OOM killer may end process 42", EXIT_PERMANENT);
	make_machine(NULL);
	put("/proc/42/cmdline", "sh");
	expect("FAIL /dev/nb1: has no supervisor", EXIT_PERMANENT);
	device.by_driver = true;
	put_device();
	expect("warn /dev/nb1: has no supervisor: the driver makes a lost connection again", 0);
	make_machine(NULL);
	put("/sys/block/nbd2/pid", "7\n");
	expect("FAIL /dev/nb2: attached by another program", EXIT_PERMANENT);
}

static void what_was_asked_for_can_be_unsafe(void **state)
{
	(void)state;
	device.job.has_dead_timeout = true;
	device.job.dead_timeout_s = 30;
	put_device();
	expect("FAIL /dev/nb1: I/O is held for 30 s without a server", EXIT_PERMANENT);
	make_machine(NULL);
	device.buffer_bytes = 0;
	put_device();
	expect("FAIL /dev/nb1: the buffers of its connection are not bounded", EXIT_PERMANENT);
	make_machine(NULL);
	device.link_count = 2;
	put_device();
	expect("FAIL /dev/nb1: it has 2 connections", EXIT_PERMANENT);
	make_machine(NULL);
	device.job.io_timeout_s = 5;
	put_device();
	expect("warn /dev/nb1: a request that takes 5 s costs a connection", 0);
}

static void swap_through_a_device_mapper_is_looked_at(void **state)
{
	(void)state;
	put("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-0\tpartition\t1\t0\t-2\n");
	put("/sys/block/dm-0/slaves/nbd1", "");
	device.buffer_bytes = 0;
	put_device();
	expect("ok   swap: on /dev/dm-0", EXIT_PERMANENT);
	expect("FAIL /dev/nb1: the buffers of its connection are not bounded", EXIT_PERMANENT);
}

static void what_is_worth_knowing_is_told(void **state)
{
	(void)state;
	put("/proc/sys/vm/watermark_boost_factor", "15000\n");
	put("/sys/module/zswap/parameters/enabled", "Y\n");
	put("/sys/block/nbd1/queue/max_sectors_kb", "1280\n");
	put("/proc/swaps", "Filename Type Size Used Priority\n/dev/nbd1\tpartition\t1\t0\t-2\n"
			   "/dev/zram0 partition 1 0 100\n/swapfile file 1 0 -3\n");
	expect("warn boost: vm.watermark_boost_factor is 15000", 0);
	expect("note zswap: ", 0);
	expect("warn /dev/nb1: a request for swap may have 1280 KiB", 0);
	expect("note swap: also on /dev/zram0", 0);
	expect("warn swap: on the file /swapfile", 0);
	assert_int_equal(doctor(true), 0);
	assert_non_null(strstr(printed, "\"level\": \"L0\", \"swap_safe\": true}"));
	assert_non_null(strstr(printed, "{\"check\": \"boost\", \"result\": \"warn\", \"text\": "));
}

static int begin(void **state)
{
	(void)state;
	system_root = root;
	return mkdtemp(root) ? 0 : -1;
}

static int forget(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static int clear_others(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/sys/block/nbd2/pid", root);
	unlink(path);
	return make_machine(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_safe_machine_is_called_safe, clear_others),
		cmocka_unit_test_setup(what_makes_it_unsafe_is_named, clear_others),
		cmocka_unit_test_setup(what_was_asked_for_can_be_unsafe, clear_others),
		cmocka_unit_test_setup(swap_through_a_device_mapper_is_looked_at, clear_others),
		cmocka_unit_test_setup(what_is_worth_knowing_is_told, clear_others),
	};

	return cmocka_run_group_tests(tests, begin, forget);
}
