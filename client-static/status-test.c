/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -status prints, from files as supervisors leave them, below a root of the test. */
#include <fcntl.h>
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

static char root[] = "/tmp/status-test.XXXXXX";
static char printed[16384];

static void write_file(const char *path, const void *bytes, size_t length)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static struct supervision *device(uint32_t index, const char *export_name)
{
	static struct supervision s;

	memset(&s, 0, sizeof(s));
	strcpy(s.version, VERSION);
	s.size_bytes = sizeof(s);
	s.job.device_index = index;
	strcpy(s.job.target.export_name, export_name);
	s.addresses.count = 1;
	strcpy(s.addresses.items[0].text, "192.0.2.1:10809");
	s.export.size_bytes = 4096;
	s.reconnects = 7;
	s.pid = 42;
	return &s;
}

static void write_device(const struct supervision *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/run/nbd-client/nbd%u", s->job.device_index);
	write_file(path, s, sizeof(*s));
}

/* Process 42 is its supervisor. */
static void write_supervisor(uint32_t index)
{
	char command[64];
	int length = snprintf(command, sizeof(command), SUPERVISOR_NAME "%c/dev/nb%u%c3", '\0',
			      index, '\0');

	write_file("/proc/42/cmdline", command, (size_t)length + 1);
}

static void print(bool as_json)
{
	int out = dup(STDOUT_FILENO), ends[2], code;
	ssize_t n;

	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	code = status_run(as_json);
	dup2(out, STDOUT_FILENO);
	close(out);
	close(ends[1]);
	n = read(ends[0], printed, sizeof(printed) - 1);
	printed[n < 0 ? 0 : n] = '\0';
	close(ends[0]);
	assert_int_equal(code, 0);
}

static void expect(const char *text)
{
	if (!strstr(printed, text))
		fail_msg("\"%s\" does not have \"%s\"", printed, text);
}

static void no_device_is_an_empty_answer(void **state)
{
	(void)state;
	print(false);
	assert_string_equal(printed, "");
	print(true);
	assert_string_equal(printed, "[]\n");
}

static void devices_are_shown_in_order_with_state_and_bytes(void **state)
{
	static const char stat[] = "  10 0 8 5 20 0 16 7 0 0 0\n";
	struct supervision *s;

	(void)state;
	write_device(device(10, "ten"));
	s = device(2, "two");
	strcpy(s->last_error, "192.0.2.1:10809: connect: Connection refused");
	write_device(s);
	write_supervisor(2);
	write_file("/sys/block/nbd2/stat", stat, strlen(stat));
	write_file("/run/nbd-client/nbd3", "of another version", 18);
	write_file("/run/nbd-client/resolv.conf", "", 0);
	print(false);
	expect("/dev/nb2: connected for ");
	expect(" s: 192.0.2.1:10809 export \"two\", reconnects 7, process 42, 4096 bytes read, "
	       "8192 written; last error: 192.0.2.1:10809: connect: Connection refused\n"
	       "/dev/nb10: unsupervised for ");
	assert_null(strstr(printed, "nb3"));
	s->state = SUPERVISE_LOST;
	s->by_driver = true;
	strcpy(s->last_error, "it said \"\x1b[2J\"");
	write_device(s);
	print(false);
	expect("/dev/nb2: reconnecting for ");
	expect("reconnects 7 by the driver, process 42, ");
	expect("it said \"\\x1b[2J\"\n");
}

static void json_is_an_array_of_objects(void **state)
{
	(void)state;
	write_device(device(2, "a\"b\\c\n\xe9"));
	write_supervisor(2);
	print(true);
	expect("[{\"device\": \"/dev/nb2\", \"server\": \"192.0.2.1:10809\", "
	       "\"export\": \"a\\\"b\\\\c\\u000a\\u00e9\", \"state\": \"connected\", "
	       "\"since_s\": ");
	expect("\"reconnects\": 7, \"pid\": 42, \"size_bytes\": 4096, ");
	expect("\"reconnects_by\": \"process\", \"last_error\": \"\"},\n{\"device\": "
	       "\"/dev/nb10\"");
	expect("}]\n");
}

static int make_root(void **state)
{
	static const char *const folders[] = {
		"/run", "/run/nbd-client", "/proc",	     "/proc/42",
		"/sys", "/sys/block",	   "/sys/block/nbd2"};
	char path[256];

	(void)state;
	system_root = mkdtemp(root);
	for (size_t i = 0; system_root && i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		if (mkdir(path, 0755))
			return -1;
	}
	return system_root ? 0 : -1;
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
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_device_is_an_empty_answer),
		cmocka_unit_test(devices_are_shown_in_order_with_state_and_bytes),
		cmocka_unit_test(json_is_an_array_of_objects),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
