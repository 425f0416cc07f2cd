/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines: the forms that scripts use, what is refused, and that the manual has every option.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client-static/client.h"

enum {
	WORDS = 24,
};

static struct command command;
static struct failure why;

/* Parses a line cut at its blanks. */
static int parse(const char *line)
{
	static char text[8192];
	char *argv[WORDS + 1] = {"nbd-client"};
	int argc = 1;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word && argc < WORDS; word = strtok(NULL, " "))
		argv[argc++] = word;
	return arguments_parse(argc, argv, &command, &why);
}

static const struct attach_job *good(const char *line)
{
	if (parse(line))
		fail_msg("%s: %s", line, why.text);
	return &command.job;
}

static void bad(const char *line, const char *text)
{
	if (!parse(line))
		fail_msg("%s: was not refused", line);
	assert_int_equal(why.exit_code, EXIT_PERMANENT);
	if (!strstr(why.text, text))
		fail_msg("%s: \"%s\" does not say \"%s\"", line, why.text, text);
}

static void expect(const struct attach_job *job, const char *host, uint16_t port, const char *name,
		   uint32_t index)
{
	assert_int_equal(command.action, ACTION_ATTACH);
	assert_string_equal(job->target.host, host);
	assert_int_equal(job->target.port, port);
	assert_string_equal(job->target.export_name, name);
	assert_int_equal(job->device_index, index);
}

static void documented_form(void **state)
{
	(void)state;
	expect(good("server1 1234 /dev/nb0"), "server1", 1234, "", 0);
	expect(good("server1 1234 /dev/nb1 -swap"), "server1", 1234, "", 1);
	assert_true(command.job.is_swap);
	expect(good("bs=1024 timeout=30 server1 1234 /dev/nb0"), "server1", 1234, "", 0);
	assert_int_equal(command.job.block_size_bytes, 1024);
	assert_int_equal(command.job.io_timeout_s, 30);
	expect(good("::1 nbd7"), "::1", 10809, "", 7);
}

static void forms_of_boot_scripts(void **state)
{
	(void)state;
	expect(good("192.168.1.1 -N export /dev/nbd0 -swap -persist -systemd-mark"), "192.168.1.1",
	       10809, "export", 0);
	assert_true(command.job.is_swap);
	expect(good("192.168.1.1 -N export 2000 /dev/nbd0 -swap -persist -systemd-mark -b 512"),
	       "192.168.1.1", 2000, "export", 0);
	expect(good("-p -systemd-mark 192.168.50.1 -name raw /dev/nbd0"), "192.168.50.1", 10809,
	       "raw", 0);
	expect(good("-p -systemd-mark 192.168.50.1 2000 /dev/nbd0 -swap -C 4"), "192.168.50.1",
	       2000, "", 0);
	assert_int_equal(command.job.connections, 4);
	good("-check /dev/nbd0");
	assert_int_equal(command.action, ACTION_CHECK);
	good("-d /dev/nbd3");
	assert_int_equal(command.action, ACTION_DISCONNECT);
	assert_int_equal(command.job.device_index, 3);
	expect(good("-b 4096 -N x -t 5 -p host 99 /dev/nbd1"), "host", 99, "x", 1);
}

static void options_have_many_forms(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"-name x -timeout 9 -readonly h nb0",
		"--name x --timeout 9 --readonly h nb0",
		"--name=x --timeout=9 -R h nb0",
		"-name=x -t=9 -R h nb0",
		"-N x -t 9 -R h nb0",
		"-Nx -t9 -R h nb0",
		"h nb0 -Rt9 -Nx",
		"--nam x --timeo 9 --reado h nb0",
		"-N x -t 9 -R -- h nb0",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		expect(good(lines[i]), "h", 10809, "x", 0);
		assert_int_equal(command.job.io_timeout_s, 9);
		assert_true(command.job.is_read_only);
	}
}

static void values_reach_the_job(void **state)
{
	(void)state;
	const struct attach_job *job = good("-B 2G -T 0 -i id -g -b 2048 h nb0");

	assert_int_equal(job->size_bytes, 2ULL << 30);
	assert_true(job->has_dead_timeout);
	assert_int_equal(job->dead_timeout_s, 0);
	assert_string_equal(job->identifier, "id");
	assert_true(job->no_opt_go);
	assert_int_equal(job->block_size_bytes, 2048);
	job = good("-unix /run/nbd.sock -preinit -size 4096 nb2");
	assert_string_equal(job->target.unix_path, "/run/nbd.sock");
	assert_string_equal(job->target.host, "");
	assert_true(job->no_negotiation);
	assert_int_equal(job->device_index, 2);
	assert_false(good("h nb0")->has_dead_timeout);
	assert_int_equal(good("h nb0 -swap")->reserve, RESERVE_AUTO);
	assert_int_equal(good("h nb0 -swap --reserve=keep")->reserve, RESERVE_KEEP);
	assert_int_equal(good("h nb0 -reserve keep -reserve auto")->reserve, RESERVE_AUTO);
	assert_int_equal(good("-netlink -persist -sdp -S -m h nb0")->supervision, SUPERVISED);
	assert_true(good("-L h nb0")->by_ioctl);
	assert_true(good("--nonetlink h nb0")->by_ioctl);
	assert_int_equal(good("-nofork h nb0")->supervision, SUPERVISED_IN_FOREGROUND);
	assert_int_equal(good("h nb0 -n")->supervision, SUPERVISED_IN_FOREGROUND);
	assert_int_equal(good("--unsupervised h nb0")->supervision, UNSUPERVISED);
}

static void uris_name_server_and_export(void **state)
{
	(void)state;
	expect(good("nbd://[::1]:99/x /dev/nb1"), "::1", 99, "x", 1);
	expect(good("-N y nbd://h/ nb1"), "h", 10809, "y", 1);
	assert_string_equal(good("nbd+unix:///x?socket=/s nb1")->target.unix_path, "/s");
	good("-status");
	assert_int_equal(command.action, ACTION_STATUS);
	assert_false(command.as_json);
	good("--status --json");
	assert_true(command.as_json);
	good("-doctor -json");
	assert_int_equal(command.action, ACTION_DOCTOR);
	good("-boot claim");
	assert_int_equal(command.action, ACTION_BOOT);
	good("-boot /sysroot");
	assert_string_equal(command.boot_stage, "/sysroot");
	bad("-boot sysroot", "-boot sysroot: wants claim, release or a directory");
	bad("-boot release /dev/nb0", "\"/dev/nb0\" is one word too many");
	good("-explain x y z");
	assert_string_equal(command.explain.line, "x");
	assert_string_equal(command.explain.next_server, "z");
	bad("-explain w x y z", "\"z\" is one word too many");
	bad("-json h nb0", "-json goes with -status or -doctor");
	bad("-status -d nb0", "do not go together");
	good("-l nbd://h");
	assert_int_equal(command.action, ACTION_LIST);
	bad("nbds://h/x nb0", "nbds://h/x: nbds:// is not supported");
	bad("-N y nbd://h/x nb0", "names an export, and so does -name");
	bad("nbd://h/x 99 nb0", "\"99\" is one word too many");
	bad("-u /s nbd://h/x nb0", "-unix and a URI");
}

static void lists_and_other_actions(void **state)
{
	(void)state;
	good("-l host");
	assert_int_equal(command.action, ACTION_LIST);
	assert_int_equal(command.job.target.port, 10809);
	good("-list host 99");
	assert_int_equal(command.job.target.port, 99);
	good("-l -u /s");
	good("--help");
	assert_int_equal(command.action, ACTION_HELP);
	good("-V");
	assert_int_equal(command.action, ACTION_VERSION);
	bad("-l", "the server is missing");
	bad("-l host 99 nb0", "one word too many");
	bad("-c nb0 -d nb0", "do not go together");
	bad("-d nb0 nb1", "\"nb1\" is one word too many");
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	bad("", "the server is missing");
	system_root = "/nonexistent";
	bad("nbd1", "nbd1 alone: /etc/nbdtab: No such file or directory; write HOST [PORT] nbd1");
	system_root = "";
	bad("-tcp-timeout 4 h nb0", "-tcp-timeout 4: must be seconds, from 5 to 86400");
	bad("server1", "the device is missing");
	bad("server1 1234", "1234: is not an NBD device: write /dev/nbN");
	bad("server1 1234 /dev/sda", "/dev/sda: is not an NBD device");
	bad("server1 http nb0", "port \"http\"");
	bad("server1 0 nb0", "port \"0\"");
	bad("server1 65536 nb0", "port \"65536\"");
	bad("server1 1234 nb0 swap", "\"swap\" is one word too many after server1 1234 nb0");
	bad("-b 513 h nb0", "-block-size 513: must be 512");
	bad("bs=0 h nb0", "-block-size 0");
	bad("-b 8192 h nb0", "-block-size 8192");
	bad("-t soon h nb0", "-timeout soon");
	bad("-t -1 h nb0", "-timeout -1");
	bad("-T 99999999999999999999 h nb0", "-dead-timeout 99999999999999999999");
	bad("-C 0 h nb0", "-connections 0: must be from 1 to 16");
	bad("-C 17 h nb0", "-connections 17");
	bad("-B 0 h nb0", "-size 0");
	bad("-B 1X h nb0", "-size 1X");
	bad("-reserve on h nb0", "-reserve on: must be auto or keep");
	bad("-B 16777216T h nb0", "-size 16777216T");
	bad("-preinit h nb0", "-preinit needs -size");
	bad("-u /s host nb0", "-unix takes the place of HOST");
	bad("--frobnicate h nb0", "option --frobnicate is not known");
	bad("-Z h nb0", "option -Z is not known");
	bad("- h nb0", "option - is not known");
	bad("--no h nb0", "ambiguous");
	bad("h nb0 -N", "-name needs a value: -name EXPORT");
	bad("-swap=yes h nb0", "-swap takes no value");
	bad("-d sda", "sda: is not an NBD device");
	bad("-x h nb0", "-enable-tls: not supported: TLS");
	bad("-certfile f h nb0", "-certfile: not supported: TLS");
}

static void long_values_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *format;
		int longest;
	} cases[] = {
		{"-N %.*s h nb0", TARGET_EXPORT_BYTES - 1},
		{"%.*s nb0", TARGET_HOST_BYTES - 1},
		{"-u %.*s nb0", TARGET_UNIX_BYTES - 1},
	};
	char name[TARGET_EXPORT_BYTES + 1], line[TARGET_EXPORT_BYTES + 64];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(line, sizeof(line), cases[i].format, cases[i].longest, name);
		good(line);
		snprintf(line, sizeof(line), cases[i].format, cases[i].longest + 1, name);
		bad(line, "longer than");
	}
}

static void help_has_every_option(void **state)
{
	(void)state;
	static char text[16384];
	int ends[2];
	ssize_t length;

	assert_int_equal(pipe(ends), 0);
	options_help(ends[1]);
	close(ends[1]);
	length = 0;
	for (ssize_t n; (n = read(ends[0], text + length, sizeof(text) - 1 - (size_t)length)) > 0;)
		length += n;
	close(ends[0]);
	for (const struct option_row *row = option_table; row->name; row++) {
		char wanted[96];

		snprintf(wanted, sizeof(wanted), "-%s %s", row->name,
			 row->argument ? row->argument : "");
		assert_non_null(strstr(text, wanted));
	}
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		assert_true(strcspn(line, "\n") <= 100);
	}
}

/* The option list of the manual, in order: the lines ".It Fl name [Ar x] [, Fl L [Ar x]]". */
static void manual_has_the_options_of_the_table(void **state)
{
	(void)state;
	const struct option_row *row = option_table;
	FILE *manual = fopen("client-static/nbd-client.8", "r");
	char line[256];

	assert_non_null(manual);
	while (fgets(line, sizeof(line), manual)) {
		char expected[256], argument[64] = "";
		size_t used;

		if (strncmp(line, ".It Fl ", strlen(".It Fl ")))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (!row->name)
			fail_msg("the manual has \"%s\", --help has not", line);
		if (row->argument)
			snprintf(argument, sizeof(argument), " Ar %s", row->argument);
		for (char *c = argument + 3; row->argument && *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c;
		if (row->argument)
			argument[1] = 'A';
		used = (size_t)snprintf(expected, sizeof(expected), ".It Fl %s%s", row->name,
					argument);
		if (row->letter)
			snprintf(expected + used, sizeof(expected) - used, " , Fl %c%s",
				 row->letter, argument);
		assert_string_equal(line, expected);
		row++;
	}
	fclose(manual);
	if (row->name)
		fail_msg("--help has -%s, the manual has not, or not in its place", row->name);
}

static void names_and_letters_are_unique(void **state)
{
	(void)state;
	for (const struct option_row *a = option_table; a->name; a++) {
		for (const struct option_row *b = a + 1; b->name; b++) {
			assert_string_not_equal(a->name, b->name);
			assert_false(a->letter && a->letter == b->letter);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documented_form),
		cmocka_unit_test(forms_of_boot_scripts),
		cmocka_unit_test(options_have_many_forms),
		cmocka_unit_test(values_reach_the_job),
		cmocka_unit_test(uris_name_server_and_export),
		cmocka_unit_test(lists_and_other_actions),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(long_values_are_refused),
		cmocka_unit_test(help_has_every_option),
		cmocka_unit_test(manual_has_the_options_of_the_table),
		cmocka_unit_test(names_and_letters_are_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
