// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration files: what they set, and the one line that names each mistake. */
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

#include "server/server.h"

static char directory[] = "/tmp/config-test.XXXXXX";
static char messages[64 << 10];

static const char *write_file(const char *name, const char *text)
{
	static char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* config_read() with what it logs in messages. */
static int read_config(const char *path, struct config *ret)
{
	int saved = dup(STDERR_FILENO), fds[2], r;
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	r = config_read(path, ret);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], messages, sizeof(messages) - 1);
	messages[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	return r;
}

static int read_text(const char *text, struct config *ret)
{
	return read_config(write_file("config", text), ret);
}

static void a_whole_file_is_read(void **state)
{
	struct config config;
	struct export_settings *set;

	(void)state;
	assert_int_equal(read_text("# a comment\n; another\n"
				   "[generic]\n"
				   "\tport = 1234\n"
				   "\tlistenaddr = 127.0.0.1, ::1 10.0.0.1\n"
				   "  allowlist = true\n"
				   "max_threads=8\n"
				   "user = nbd\n"
				   "group=disk\n"
				   "splice = true\n"
				   "force_tls = false\n"
				   "workers = 2\n"
				   "[root]\n"
				   "exportname = /srv/a path/root=1.img\n"
				   "readonly = true\n"
				   "flush = false\n"
				   "description = the root of room 5\n"
				   "maxconnections = 200\n"
				   "[swap/52:54:00:12:34:56]\n"
				   "  exportname=swap.img\n"
				   "  filesize = 2G\n"
				   "  trim=false\n  fua = false\n  rotational = true\n  sync = 1\n"
				   "  copyonwrite = false\n  temporary = 0\n"
				   "  exclusive = true\n  hold = 12h\n"
				   "[swap/*]\nexportname = /srv/swap\nper_client = swap\n"
				   "size = 512M\nquota = 20G\nexpire = 30d\nsparse = true\n"
				   "[root/*]\nexportname = debian.img\nper_client = cow\n"
				   "cowdir = /srv/layers\n",
				   &config),
			 0);
	assert_int_equal(config.listen_count, 3);
	assert_string_equal(config.listen[1].host, "::1");
	assert_int_equal(config.listen[2].port, 1234);
	assert_true(config.allow_list);
	assert_int_equal(config.storage_threads, 8);
	assert_int_equal(config.workers, 2);
	assert_string_equal(config.user, "nbd");
	assert_string_equal(config.group, "disk");
	assert_int_equal(config.export_count, 4);

	set = &config.exports[0].set;
	assert_string_equal(set->name, "root");
	assert_string_equal(set->path, "/srv/a path/root=1.img");
	assert_string_equal(set->description, "the root of room 5");
	assert_int_equal(set->max_connections, 200);
	assert_true(set->readonly && set->fua && set->trim);
	assert_false(set->flush || set->rotational || set->sync);

	set = &config.exports[1].set;
	assert_string_equal(set->name, "swap/52:54:00:12:34:56");
	assert_string_equal(set->path, "swap.img");
	assert_int_equal(set->size_bytes, UINT64_C(2) << 30);
	assert_false(set->readonly || set->fua || set->trim);
	assert_true(set->flush && set->rotational && set->sync);
	assert_int_equal(set->exclusive, EXCLUSIVE_ON);
	assert_int_equal(set->hold_s, 12 * 60 * 60);
	assert_int_equal(config.exports[0].set.exclusive, EXCLUSIVE_MACHINE);
	assert_int_equal(config.exports[0].set.hold_s, HOLD_DEFAULT_S);
	set = &config.exports[2].set;
	assert_int_equal(set->per_client, PER_CLIENT_SWAP);
	assert_int_equal(set->exclusive, EXCLUSIVE_ON);
	assert_int_equal(set->size_bytes, 512 << 20);
	assert_int_equal(set->quota_bytes, UINT64_C(20) << 30);
	assert_int_equal(set->expire_s, 30 * 24 * 60 * 60);
	assert_true(set->sparse);
	set = &config.exports[3].set;
	assert_int_equal(set->per_client, PER_CLIENT_COW);
	assert_int_equal(set->exclusive, EXCLUSIVE_ON);
	assert_string_equal(set->cow_dir, "/srv/layers");
	assert_non_null(strstr(messages, "config:10: splice has no effect"));
	config_free(&config);
}

static void an_empty_file_is_no_config(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(read_text("", &config), 0);
	assert_int_equal(config.export_count, 0);
	assert_int_equal(config.port, 10809);
	assert_false(config.allow_list);
	config_free(&config);
	assert_int_equal(read_config("/dev/null", &config), 0);
	assert_int_equal(config.export_count, 0);
	config_free(&config);
	assert_int_equal(read_config("/nonexistent/config", &config), -ENOENT);
	assert_non_null(strstr(messages, "/nonexistent/config: cannot read"));
}

static void long_names_are_kept_and_long_lines_refused(void **state)
{
	static char name[4098], path[300], text[9000];
	struct config config;

	(void)state;
	memset(name, 'n', 4096);
	memset(path, 'p', 185);
	snprintf(text, sizeof(text), "# %s\n[%s]\nexportname = %s\n", name, name, path);
	assert_int_equal(read_text(text, &config), 0);
	assert_int_equal(config.export_count, 1);
	assert_string_equal(config.exports[0].set.name, name);
	assert_string_equal(config.exports[0].set.path, path);
	config_free(&config);

	memset(path, 'p', 186);
	snprintf(text, sizeof(text), "[a]\nexportname = %s\nfoo = 1\n", path);
	assert_int_equal(read_text(text, &config), -EINVAL);
	assert_non_null(strstr(messages, "config:2: the line is longer than 199 bytes"));
	assert_non_null(strstr(messages, "config:3: unknown key foo"));

	name[4096] = 'n';
	snprintf(text, sizeof(text), "[%s]\nexportname = x\n", name);
	assert_int_equal(read_text(text, &config), -EINVAL);
	assert_non_null(strstr(messages, "config:1: the name of the export is longer than 4096"));
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"[generic]\nfoo = 1\n", "config:2: unknown key foo in [generic]; nbd-server(5)"},
		{"[a]\nexportname = x\nport = 1\n",
		 "config:3: port is not implemented without oldstyle = true"},
		{"[a]\nexportname = x\nbar = 1\n", "config:3: unknown key bar in the section"},
		{"[a]\nexportname = x\nreadonly = yes\n",
		 "config:3: readonly = yes: must be true or"},
		{"[a]\nexportname = x\nreadonly =\n",
		 "config:3: readonly = : must be true or false"},
		{"[a]\nexportname = x\nreadonly\n", "config:3: neither [SECTION] nor KEY = VALUE"},
		{"[a\nexportname = x\n", "config:1: neither [SECTION] nor KEY = VALUE"},
		{"[generic]\n\n[a]\nreadonly = true\n", "config:3: section [a] has no exportname"},
		{"[a]\n", "config:1: section [a] has no exportname"},
		{"[a]\nexportname =\n", "config:2: exportname is empty"},
		{"[a]\nexportname = /swap/%s\n", "config:2: exportname = /swap/%s: %s (one file"},
		{"[a]\nexportname = x\n[a]\nexportname = y\n",
		 "config:3: section [a] is here a sec"},
		{"port = 1\n", "config:1: port is outside of a section"},
		{"[generic]\noldstyle = true\n[a/*]\nexportname = x\nport = 2000\n",
		 "config:3: section [a/*] has a port, where nobody could say"},
		{"[a]\nexportname = x\nper_client = swap\nsize = 1M\nkeep = boot\n",
		 "config:1: section [a] has keep = boot, which needs per_client and a name"},
		{"[a/*]\nkeep = x\n", "config:2: keep = x: must be always or boot"},
		{"[a]\nport = x\n", "config:2: port = x: must be a port"},
		{"[generic]\nport = 65536\n", "config:2: port = 65536: must be a port"},
		{"[generic]\nmax_threads = 65\n",
		 "max_threads = 65: must be a number from 0 to 64"},
		{"[generic]\nworkers = 17\n", "workers = 17: must be a number from 0 to 16"},
		{"[a]\nexportname = x\nfilesize = 1T\n", "config:3: filesize = 1T: must be a size"},
		{"[a]\nexportname = x\nper_client = disk\n",
		 "config:3: per_client = disk: must be swap or cow"},
		{"[a]\nexportname = x\nper_client = swap\n",
		 "config:1: section [a] has no size of 64k or more"},
		{"[a]\nexportname = x\nper_client = swap\nsize = 1M\nexclusive = false\n",
		 "config:1: section [a] has exclusive = false"},
		{"[a]\nexportname = x\nper_client = swap\nsize = 1M\nreadonly = true\n",
		 "config:1: section [a] has readonly = true"},
		{"[a]\nexportname = x\nquota = 1G\n", "config:1: section [a] has quota, expire"},
		{"[a]\nper_client = swap\nsize = 1M\n",
		 "config:1: section [a] has no exportname = DIRECTORY"},
		{"[a]\nexportname = x\nper_client = cow\n",
		 "config:1: section [a] has no cowdir = DIRECTORY"},
		{"[a]\nexportname = x\ncowdir = y\n",
		 "config:1: section [a] has a cowdir, which needs per_client = cow"},
		{"[a]\nexportname = x\nper_client = cow\ncowdir = y\nquota = 1G\n",
		 "config:1: section [a] has a quota, which needs size"},
		{"[a]\nexportname = x\nper_client = cow\ncowdir = y\ndirect = true\n",
		 "config:1: section [a] has direct = true"},
		{"[a]\nexportname = x\nper_client = cow\ncowdir = y\nsparse = true\n",
		 "config:1: section [a] has sparse = true"},
		{"[a]\nexportname = x\ncopyonwrite = true\n", "use per_client = cow and cowdir"},
		{"[a]\nexportname = x\nexclusive = maybe\n",
		 "config:3: exclusive = maybe: must be true or false"},
		{"[a]\nexportname = x\nhold = 1w\n", "config:3: hold = 1w: must be a time"},
		{"[a]\nexportname = x\nhold = 30000d\n", "config:3: hold = 30000d: must be a time"},
		{"[a]\nexportname = x\nmaxconnections = -1\n",
		 "config:3: maxconnections = -1: must"},
		{"[a]\nexportname = x\ncopyonwrite = true\n", "config:3: copyonwrite is not impl"},
		{"[a]\nexportname = x\ntemporary = true\n",
		 "config:3: temporary is not implemented"},
		{"[a]\nexportname = x\nauthfile = /etc/allow\n",
		 "config:3: authfile: /etc/allow: cannot read: No such file or directory"},
		{"[a]\nexportname = x\nprerun = mkswap %s\n",
		 "config:3: prerun is not implemented"},
		{"[a]\nexportname = x\nmultifile = true\n",
		 "config:3: multifile is not implemented"},
		{"[a]\nexportname = x\ntlsonly = true\n", "config:3: tlsonly is not implemented"},
		{"[generic]\ncertfile = /x.pem\n", "config:2: certfile is not implemented"},
		{"[generic]\nunixsock =\n",
		 "config:2: unixsock = : must be a file name of 1 to 107 bytes"},
		{"[generic]\nincludedir = /nonexistent\n", "/nonexistent: cannot read includedir"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config config = {0};

		assert_true(read_text(rows[i].text, &config) < 0);
		if (!strstr(messages, rows[i].message))
			fail_msg("%s -> %s", rows[i].text, messages);
		assert_int_equal(config.export_count, 0);
	}
}

static void every_mistake_is_named_at_once(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(read_text("[generic]\nx = 1\ny = 2\n[a]\nreadonly = maybe\n", &config),
			 -EINVAL);
	assert_non_null(strstr(messages, "config:2: "));
	assert_non_null(strstr(messages, "config:3: "));
	assert_non_null(strstr(messages, "config:5: "));
}

static void included_files_add_exports(void **state)
{
	struct config config;
	char text[300];

	(void)state;
	snprintf(text, sizeof(text), "%s/conf.d", directory);
	assert_int_equal(mkdir(text, 0700), 0);
	write_file("conf.d/20-b.conf", "[b]\nexportname = b.img\n");
	write_file("conf.d/10-a.conf", "[a]\nexportname = a.img\n");
	write_file("conf.d/30-c.conf~", "[c]\nnonsense = c.img\n");
	snprintf(text, sizeof(text), "[generic]\nincludedir = %s/conf.d\n", directory);
	assert_int_equal(read_text(text, &config), 0);
	assert_int_equal(config.export_count, 2);
	assert_string_equal(config.exports[0].set.name, "a");
	assert_string_equal(config.exports[1].set.name, "b");
	config_free(&config);

	write_file("conf.d/20-b.conf", "[generic]\nport = 1\n[a]\nexportname = b.img\n");
	assert_int_equal(read_text(text, &config), -EINVAL);
	assert_non_null(strstr(messages, "20-b.conf:1: [generic] belongs in the main file"));
	assert_non_null(strstr(messages, "20-b.conf:3: section [a] is here a second time"));
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(an_empty_file_is_no_config),
		cmocka_unit_test(long_names_are_kept_and_long_lines_refused),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(every_mistake_is_named_at_once),
		cmocka_unit_test(included_files_add_exports),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
