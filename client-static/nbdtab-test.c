/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nbdtab: lines that are understood, refused, or not meant; and the file through the command line.
 */
#include <errno.h>
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

#include "client-static/client.h"

static struct command command;
static struct failure why;

/* A line of exact size, for device 0. */
static int take(const char *text)
{
	char *line = strdup(text);
	int r;

	memset(&command, 0, sizeof(command));
	r = nbdtab_take(line, 7, 0, &command, &why);
	free(line);
	return r;
}

static void good(const char *text, const char *uri)
{
	char found[256];

	if (take(text))
		fail_msg("%s: %s", text, why.text);
	uri_format(&command.job.target, found, sizeof(found));
	assert_string_equal(found, uri);
}

static void bad(const char *text, const char *part)
{
	if (take(text) >= 0)
		fail_msg("%s: was not refused", text);
	if (!strstr(why.text, part) || strncmp(why.text, "/etc/nbdtab:7: ", 15))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, why.text, part);
}

static void lines_are_understood(void **state)
{
	(void)state;
	good("nbd0 server export\n", "nbd://server/export");
	good("\tnbd0\t \tserver  export # mine", "nbd://server/export");
	good("nb0 server export", "nbd://server/export");
	good("/dev/nbd0 fd00::1 export port=99", "nbd://[fd00::1]:99/export");
	good("nbd0 a,b:7 export port=99", "nbd://a:99,b:7/export");
	good("nbd0 [fd00::1]:5 export", "nbd://[fd00::1]:5/export");
	good("nbd0 /run/s export unix", "nbd+unix:///export?socket=/run/s");
	good("nbd0 s x swap,persist,_mine,_mine=2,,", "nbd://s/x");
	assert_true(command.job.is_swap);
	assert_string_equal(command.unknown_options, "");
}

static void options_reach_the_job(void **state)
{
	(void)state;
	const struct attach_job *job = &command.job;

	good("nbd0 s x bs=1024,conns=4,timeout=9,dead-timeout=8,tcp-timeout=7,readonly,no_optgo,"
	     "size=1M,identifier=i,reserve=keep,unsupervised,sdp,netlink,systemd-mark,preinit",
	     "nbd://s/x");
	assert_int_equal(job->block_size_bytes, 1024);
	assert_int_equal(job->connections, 4);
	assert_int_equal(job->io_timeout_s, 9);
	assert_int_equal(job->dead_timeout_s, 8);
	assert_int_equal(job->tcp_timeout_s, 7);
	assert_int_equal(job->size_bytes, 1 << 20);
	assert_true(job->is_read_only && job->no_opt_go && job->no_negotiation);
	assert_int_equal(job->reserve, RESERVE_KEEP);
	assert_int_equal(job->supervision, UNSUPERVISED);
}

static void others_are_passed_over(void **state)
{
	(void)state;
	assert_int_equal(take(""), 1);
	assert_int_equal(take("# nbd0 s x"), 1);
	assert_int_equal(take("nbd1 s x"), 1);
	assert_int_equal(take("sda"), 1);
	good("nbd0 s x shiny,new=1,_own", "nbd://s/x");
	assert_string_equal(command.unknown_options, "shiny,new");
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	bad("nbd0", "wants DEVICE HOST EXPORT [OPTIONS]");
	bad("nbd0 s", "wants DEVICE HOST EXPORT [OPTIONS]");
	bad("nbd0 s x swap, persist", "\"persist\" is one field too many");
	bad("nbd0 s x bs=513", "-block-size 513: must be 512");
	bad("nbd0 s x bs", "bs: needs a value behind \"=\"");
	bad("nbd0 s x swap=1", "swap: takes no value");
	bad("nbd0 s x port=http", "port=http: must be a number");
	bad("nbd0 s x port=", "port=: must be a number");
	bad("nbd0 s x port", "port=: must be a number");
	bad("nbd0 s x port=10809/x", "port=10809/x: must be a number");
	bad("nbd0 s x port=65536", "port=65536: must be a number");
	bad("nbd0 s x unix=/s", "unix: takes no value");
	bad("nbd0 s,,t x", "a server is missing");
	bad("nbd0 s x certfile=/f", "certfile: not supported: TLS");
}

static void write_table(const char *root, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/etc", root);
	mkdir(path, 0755);
	strcat(path, "/nbdtab");
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int parse(char *word, char *option)
{
	char *argv[] = {"nbd-client", word, option, NULL};

	return arguments_parse(option ? 3 : 2, argv, &command, &why);
}

/* Writes over what functions before it had there. */
static void use_stack(void)
{
	volatile char bytes[64 << 10];

	memset((char *)bytes, 'x', sizeof(bytes));
}

static void a_device_alone_is_looked_up(void **state)
{
	(void)state;
	char root[] = "/tmp/nbdtab-test-XXXXXX", path[256];

	assert_non_null(mkdtemp(root));
	system_root = root;
	write_table(root,
		    "# devices\nnbd0 s zero timeout=5\nnbd1 t one swap,timeout=5\nnbd1 u two\n"
		    "nbd3 s three identifier=pc7\nnbd4 s four preinit");
	assert_int_equal(parse("nbd1", NULL), 0);
	assert_int_equal(command.action, ACTION_ATTACH);
	assert_int_equal(command.job.device_index, 1);
	assert_string_equal(command.job.target.export_name, "one");
	assert_true(command.job.is_swap);
	assert_int_equal(parse("/dev/nbd1", "-timeout=9"), 0);
	assert_int_equal(command.job.io_timeout_s, 9);
	assert_string_equal(command.job.target.host, "t");
	assert_int_equal(parse("nbd3", NULL), 0);
	use_stack();
	assert_string_equal(command.job.identifier, "pc7");
	assert_int_equal(parse("nbd4", NULL), -EINVAL);
	assert_non_null(strstr(why.text, "-preinit needs -size"));
	assert_int_equal(parse("nbd4", "-size=1M"), 0);
	assert_int_equal(parse("nbd2", NULL), -ENOENT);
	assert_non_null(strstr(why.text, "/etc/nbdtab has no line for it"));
	system_root = "";
	snprintf(path, sizeof(path), "%s/etc/nbdtab", root);
	unlink(path);
	snprintf(path, sizeof(path), "%s/etc", root);
	rmdir(path);
	rmdir(root);
}

/* Every option of the table that belongs to a device is in the manual, and no other. */
static void manual_has_the_options(void **state)
{
	(void)state;
	char line[256], key[64], *value;
	unsigned int in_manual = 0, known = 0;
	FILE *manual = fopen("client-static/nbdtab.5", "r");

	assert_non_null(manual);
	while (fgets(line, sizeof(line), manual)) {
		char tried[128];

		if (sscanf(line, ".It Cm %63s", key) != 1)
			continue;
		in_manual++;
		value = strchr(key, '=');
		snprintf(tried, sizeof(tried), "nbd0 s x %s%s", key, value ? "1024" : "");
		if (take(tried) < 0 && !strstr(why.text, "must be"))
			fail_msg("%s: %s", key, why.text);
		assert_string_equal(command.unknown_options, "");
	}
	fclose(manual);
	for (const struct option_row *row = option_table; row->name; row++) {
		char tried[128];

		snprintf(tried, sizeof(tried), "nbd0 s x %s%s", row->name,
			 row->argument ? "=1024" : "");
		if (row->apply && (take(tried) == 0 || strstr(why.text, "must be")))
			known += !*command.unknown_options;
	}
	assert_int_equal(in_manual, known + 2); /* port=, unix */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_understood),
		cmocka_unit_test(options_reach_the_job),
		cmocka_unit_test(others_are_passed_over),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(a_device_alone_is_looked_up),
		cmocka_unit_test(manual_has_the_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
