// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd-server: options and configuration, then sockets, privileges, exports, and
 * the loop until it is told to end. Whatever is wrong is said before the first
 * client is accepted.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nbd-proto.h"
#include "server/confine.h"
#include "server/server.h"
#include "server/status.h"

static struct server server;

/* Beyond connections: exports, listeners and the loop's own. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

_Noreturn static void print_section(const struct options *options)
{
	printf("[%s]\n\texportname = %s\n", options->output_section, options->file);
	if (options->size_bytes)
		printf("\tfilesize = %llu\n", (unsigned long long)options->size_bytes);
	if (options->readonly)
		printf("\treadonly = true\n");
	exit(fflush(stdout) ? 1 : 0);
}

static void read_config(const struct options *options, struct config *config)
{
	*config = (struct config){
		.port = NBD_DEFAULT_PORT,
		.storage_threads = STORAGE_THREADS_DEFAULT,
		.allow_list = true,
	};
	if (!options->config_path)
		return;
	if (config_read(options->config_path, config) < 0)
		exit(EXIT_USAGE);
	if (!config->export_count && !options->file)
		die(EXIT_USAGE, "%s: has no section of an export", options->config_path);
}

/* All that can be known without taking a port or a privilege. */
_Noreturn static void check_config(const struct options *options, struct config *config)
{
	server.config = *config;
	if (load_exports(&server, &server.config) < 0)
		exit(EXIT_USAGE);
	printf("%s: right: %zu exports\n", options->config_path, server.exports.count);
	load_close(&server);
	exit(fflush(stdout) ? 1 : 0);
}

_Noreturn static void tend_machines(const struct options *options, const struct config *config)
{
	int r = options->reset ? machines_reset(config, options->reset) : machines_list(config);

	exit(r < 0 ? 1 : 0);
}

/* Of the command line, the configuration, or the unit of systemd. */
_Noreturn static void show_status(const struct options *options, const struct config *config)
{
	const char *path = options->status_path ?: config->status_path ?: STATUS_PATH_DEFAULT;

	exit(status_show(path, options->as_json) < 0 ? 1 : 0);
}

/* One for each CPU that this process may run on, unless somebody says otherwise. */
static unsigned int count_workers(const struct options *options, const struct config *config)
{
	unsigned int count = options->workers ?: config->workers;
	cpu_set_t cpus;

	if (options->inetd)
		return 1;
	if (!count && sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		count = (unsigned int)CPU_COUNT(&cpus);
	if (!count)
		return 1;
	return count < WORKERS_MAX ? count : WORKERS_MAX;
}

static void open_server(const struct options *options, const struct config *config)
{
	int r;

	server.worker_count = count_workers(options, config);
	r = server_open(&server);
	if (r < 0)
		die(1, "cannot start: %s", strerror(-r));
}

static void start_server(const struct options *options, const struct config *config)
{
	int r;

	server.io = options->io;
	r = server_start(&server, config->storage_threads);
	if (r < 0 && r == server.ring_error)
		die(1, "--io io_uring: %s; --io epoll does without", strerror(-r));
	if (r < 0)
		die(1, "cannot start: %s", strerror(-r));
	if (server.ring_error < 0)
		log_line("io_uring: %s: the storage threads read", strerror(-server.ring_error));
}

/* Where the command line and the configuration want it, the command line first. */
static void open_listeners(const struct options *options, const struct config *config)
{
	struct listen_address all = {"", options->port_given ? options->port : config->port};
	const char *unix_path = options->unix_path ?: config->unix_path;
	bool unix_only = options->unix_path || !config->dual_listen;

	if (unix_path)
		listen_open_unix(&server, unix_path);
	if (unix_path && unix_only)
		return;
	if (options->listen_given) {
		listen_open(&server, &options->listen, NULL);
		return;
	}
	for (unsigned int i = 0; i < config->listen_count; i++) {
		struct listen_address address = config->listen[i];

		if (options->port_given)
			address.port = options->port;
		listen_open(&server, &address, NULL);
	}
	if (!config->listen_count)
		listen_open(&server, &all, NULL);
}

/* Exports that have a port of their own, on the addresses of the configuration. */
static void open_oldstyle_listeners(const struct config *config)
{
	for (size_t i = 0; i < config->export_count; i++) {
		const struct export_settings *set = &config->exports[i].set;
		struct listen_address all = {"", set->oldstyle_port};

		if (!set->is_oldstyle)
			continue;
		for (unsigned int j = 0; j < config->listen_count; j++) {
			struct listen_address address = config->listen[j];

			address.port = set->oldstyle_port;
			listen_open(&server, &address, set->name);
		}
		if (!config->listen_count)
			listen_open(&server, &all, set->name);
	}
}

/* FILE of the command line is the default export. */
static void open_file(const struct options *options)
{
	struct export_settings set;
	struct export *export;
	char why[TEXT_MAX];

	if (export_settings_init(&set, "", options->file) < 0)
		die(1, "out of memory");
	set.size_bytes = options->size_bytes;
	set.readonly = options->readonly;
	if (options->allow_path &&
	    allow_read(options->allow_path, &set.allow, why, sizeof(why)) < 0)
		die(EXIT_USAGE, "-l %s", why);
	if (export_open(&set, &export, why, sizeof(why)) < 0)
		die(1, "%s: %s", options->file, why);
	export->is_fixed = true;
	if (export_table_add(&server.exports, export) < 0)
		die(1, "out of memory");
}

static void open_exports(const struct options *options)
{
	server.exports.allow_list = server.config.allow_list;
	if (options->file)
		open_file(options);
	if (load_exports(&server, &server.config) < 0)
		exit(1);
}

/* What comes after it may write only where the server writes at its start. */
static void give_up_files(const struct options *options, const struct config *config)
{
	struct confine_paths paths = {
		.export_path = options->readonly ? NULL : options->file,
		.pid_path = options->pid_path,
		.unix_path = options->unix_path ?: config->unix_path,
		.status_path = options->status_path ?: config->status_path,
	};
	int r;

	if (options->unconfined)
		return;
	r = confine_files(config, &paths);
	if (r < 0)
		die(1, "cannot confine itself (--unconfined does not): %s", strerror(-r));
}

static void give_up_calls(const struct options *options)
{
	int r = options->unconfined ? 0 : confine_calls();

	if (r == -EOPNOTSUPP)
		log_line("this kernel has no seccomp filters: every system call is possible");
	else if (r < 0)
		die(1, "cannot confine itself (--unconfined does not): %s", strerror(-r));
}

static void begin_service(const struct options *options, int pid_fd)
{
	if (pid_fd >= 0)
		daemon_write_pid(pid_fd);
	if (options->inetd) {
		server.one_client = true;
		if (connection_open(&server, STDIN_FILENO, "standard input", NULL) < 0)
			die(1, "standard input: not a connection");
	}
	listen_announce(&server);
	daemon_ready();
}

int main(int argc, char **argv)
{
	struct options options;
	struct config config;
	int r, pid_fd = -1, inherited = listen_inherited_count();

	log_init("nbd-server");
	options_parse(argc, argv, &options);
	if (options.output_section)
		print_section(&options);
	read_config(&options, &config);
	if (options.show_status)
		show_status(&options, &config);
	if (options.list_machines || options.reset)
		tend_machines(&options, &config);
	if (options.check)
		check_config(&options, &config);
	raise_descriptor_limit();
	if (options.inetd)
		daemon_log(); /* standard error is the client's socket */
	else if (!options.foreground && !inherited)
		daemon_fork();
	open_server(&options, &config);
	server.connections_max = options.max_connections;
	server.config_path = options.config_path;
	if (inherited)
		listen_inherit(&server, inherited);
	else if (!options.inetd)
		open_listeners(&options, &config);
	if (!inherited && !options.inetd)
		open_oldstyle_listeners(&config);
	if (options.status_path || config.status_path)
		listen_open_status(&server, options.status_path ?: config.status_path);
	if (options.pid_path)
		pid_fd = daemon_open_pid(options.pid_path);
	daemon_drop_privileges(config.user, config.group);
	give_up_files(&options, &config);
	start_server(&options, &config);
	server.config = config;
	open_exports(&options);
	give_up_calls(&options);
	begin_service(&options, pid_fd);
	r = server_run(&server);
	if (r < 0)
		die(1, "ended with %u connections unanswered: %s", server.connection_count,
		    strerror(-r));
	server_close(&server);
	if (options.pid_path)
		unlink(options.pid_path);
	return 0;
}
