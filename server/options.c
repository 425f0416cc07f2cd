// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line. One table holds each option, its help and what it does;
 * nbd-server(1) lists the same options.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "server/server.h"

enum {
	OPTION_PORT = 256,
	OPTION_IO,
	OPTION_WORKERS,
	OPTION_UNIX,
	OPTION_CHECK,
	OPTION_MACHINES,
	OPTION_RESET,
	OPTION_UNCONFINED,
	OPTION_STATUS,
	OPTION_JSON,
	OPTION_STATUS_SOCKET
};

static const struct option_help {
	const char *name;
	int letter; /* 256 and up: no short form */
	const char *argument;
	const char *text;
} helps[] = {
	{"config-file", 'C', "FILE", "read the exports from FILE (nbd-server(5))"},
	{"port", OPTION_PORT, "PORT", "listen on PORT; 0 is any free port"},
	{"unix", OPTION_UNIX, "FILE", "listen on the unix socket FILE, not on TCP"},
	{"read-only", 'r', NULL, "export FILE read-only"},
	{"authorize-file", 'l', "FILE", "let only the addresses in FILE see the exported file"},
	{"max-connections", 'M', "COUNT", "serve at most COUNT connections at once"},
	{"pid-file", 'p', "FILE", "write the process ID to FILE"},
	{"io", OPTION_IO, "MODE", "read from disks by auto, io_uring or epoll (threads)"},
	{"workers", OPTION_WORKERS, "COUNT", "serve clients on COUNT threads (one for each CPU)"},
	{"nofork", 'n', NULL, "stay in the foreground"},
	{"dont-fork", 'd', NULL, "the same"},
	{"inetd", 'i', NULL, "serve one client on standard input"},
	{"output-config", 'o', "NAME", "print the command line as a section NAME, and exit"},
	{"check", OPTION_CHECK, "FILE", "say whether the configuration FILE is right, and exit"},
	{"machines", OPTION_MACHINES, NULL, "list what machines have in per_client, and exit"},
	{"reset", OPTION_RESET, "NAME", "remove what the machine NAME has, and exit"},
	{"unconfined", OPTION_UNCONFINED, NULL,
	 "keep system calls and files that it can do without"},
	{"status", OPTION_STATUS, NULL, "say what a running server does, and exit"},
	{"json", OPTION_JSON, NULL, "with --status: as a JSON object"},
	{"status-socket", OPTION_STATUS_SOCKET, "FILE", "the unix socket that --status asks"},
	{"copy-on-write", 'c', NULL, "refused: not implemented"},
	{"multi-file", 'm', NULL, "refused: not implemented"},
	{"version", 'V', NULL, "print the version, and exit"},
	{"help", 'h', NULL, "print this, and exit"},
};

enum { OPTION_COUNT = sizeof(helps) / sizeof(helps[0]) };

_Noreturn static void usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn static void usage(const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	die(EXIT_USAGE, "%s (--help lists the options)", text);
}

_Noreturn static void print_help(void)
{
	printf("Usage: nbd-server [OPTIONS] [IP@|IP:]PORT FILE [SIZE[kKmMgG]]\n"
	       "       nbd-server [OPTIONS] -C CONFIG\n"
	       "Serves files and block devices as network block devices.\n\n");
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option_help *help = &helps[i];
		char form[64];

		snprintf(form, sizeof(form), "%s%s%s", help->name, help->argument ? " " : "",
			 help->argument ? help->argument : "");
		if (help->letter < OPTION_PORT)
			printf("  -%c, --%-22s %s\n", help->letter, form, help->text);
		else
			printf("      --%-22s %s\n", form, help->text);
	}
	exit(fflush(stdout) ? 1 : 0);
}

_Noreturn static void print_version(void)
{
	printf("nbd-server (Swapsafe) " VERSION "\n");
	exit(fflush(stdout) ? 1 : 0);
}

static void make_getopt_tables(struct option *longs, char *shorts)
{
	*shorts++ = ':';
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option_help *help = &helps[i];

		longs[i] = (struct option){help->name, help->argument ? 1 : 0, NULL, help->letter};
		if (help->letter >= OPTION_PORT)
			continue;
		*shorts++ = (char)help->letter;
		if (help->argument)
			*shorts++ = ':';
	}
	longs[OPTION_COUNT] = (struct option){0};
	*shorts = '\0';
}

static unsigned int parse_count(const char *text)
{
	uint64_t count;

	if (size_parse(text, &count) < 0 || !count || count > 1000000)
		usage("-M %s: must be a number from 1 to 1000000", text);
	return (unsigned int)count;
}

static unsigned int parse_workers(const char *text)
{
	uint64_t count;

	if (size_parse(text, &count) < 0 || !count || count > WORKERS_MAX)
		usage("--workers %s: must be a number from 1 to %d", text, WORKERS_MAX);
	return (unsigned int)count;
}

static enum io parse_io(const char *text)
{
	static const char *const names[] = {"auto", "io_uring", "epoll"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(text, names[i]))
			return (enum io)i;
	}
	usage("--io %s: must be auto, io_uring or epoll", text);
}

static const char *check_socket(const char *option, const char *value)
{
	if (!*value || strlen(value) > UNIX_PATH_MAX_BYTES)
		usage("%s %s: must be a file name of 1 to %d bytes", option, value,
		      UNIX_PATH_MAX_BYTES);
	return value;
}

static void take_option(struct options *options, int letter, const char *value)
{
	switch (letter) {
	case 'C':
		options->config_path = value;
		break;
	case OPTION_PORT:
		if (port_parse(value, &options->port) < 0)
			usage("--port %s: must be a port (0 to 65535)", value);
		options->port_given = true;
		break;
	case OPTION_CHECK:
		options->config_path = value;
		options->check = true;
		break;
	case OPTION_UNIX:
		options->unix_path = check_socket("--unix", value);
		break;
	case OPTION_UNCONFINED:
		options->unconfined = true;
		break;
	case OPTION_STATUS:
		options->show_status = true;
		break;
	case OPTION_JSON:
		options->as_json = true;
		break;
	case OPTION_STATUS_SOCKET:
		options->status_path = check_socket("--status-socket", value);
		break;
	case OPTION_IO:
		options->io = parse_io(value);
		break;
	case OPTION_WORKERS:
		options->workers = parse_workers(value);
		break;
	case 'r':
		options->readonly = true;
		break;
	case 'M':
		options->max_connections = parse_count(value);
		break;
	case 'p':
		options->pid_path = value;
		break;
	case 'n':
	case 'd':
		options->foreground = true;
		break;
	case 'i':
		options->inetd = true;
		break;
	case 'o':
		options->output_section = value;
		break;
	case OPTION_MACHINES:
		options->list_machines = true;
		break;
	case OPTION_RESET:
		options->reset = value;
		break;
	case 'l':
		options->allow_path = value;
		break;
	case 'c':
		usage("-c is not implemented: use -r, and overlayfs on the client");
	case 'm':
		usage("-m is not implemented: join the files to one");
	case 'V':
		print_version();
	case 'h':
		print_help();
	case ':':
		usage("option %s needs a value", value);
	default:
		usage("unknown option %s", value);
	}
}

static void take_options(int argc, char **argv, struct options *options)
{
	struct option longs[OPTION_COUNT + 1];
	char shorts[2 * OPTION_COUNT + 2];
	int letter;

	make_getopt_tables(longs, shorts);
	opterr = 0;
	for (;;) {
		int at = optind;

		letter = getopt_long(argc, argv, shorts, longs, NULL);
		if (letter == -1)
			return;
		if (letter == ':' || letter == '?')
			take_option(options, letter, argv[at]);
		else
			take_option(options, letter, optarg);
	}
}

/* With --port, --unix or -i, no port is left to be named by position, though "0 FILE" is the old
 * form. */
static bool port_is_positional(const struct options *options, int argc, char **argv)
{
	if (options->inetd)
		return argc > 1 && !strcmp(argv[0], "0");
	return !options->port_given && !options->unix_path;
}

static void take_address(struct options *options, const char *text)
{
	char why[TEXT_MAX];

	if (address_parse(text, &options->listen, why, sizeof(why)) < 0)
		usage("%s: %s", text, why);
	options->listen_given = true;
}

static void take_size(struct options *options, const char *text)
{
	int r = size_parse(text, &options->size_bytes);

	if (r == -ERANGE)
		usage("size %s: is too large", text);
	if (r < 0 || !options->size_bytes)
		usage("size %s: must be a number of bytes, or one with k, M or G", text);
}

static void take_positionals(int argc, char **argv, struct options *options)
{
	if (argc && port_is_positional(options, argc, argv)) {
		if (options->inetd)
			argv++;
		else
			take_address(options, *argv++);
		argc--;
	}
	if (argc) {
		options->file = *argv++;
		argc--;
	}
	if (argc) {
		take_size(options, *argv++);
		argc--;
	}
	if (argc)
		usage("%s: one argument too many", *argv);
}

void options_parse(int argc, char **argv, struct options *ret)
{
	struct options options = {.max_connections = CONNECTIONS_MAX_DEFAULT};

	take_options(argc, argv, &options);
	take_positionals(argc - optind, argv + optind, &options);
	if (options.listen_given && !options.file)
		usage("%s: names a port; which FILE?", argv[optind]);
	if (options.as_json && !options.show_status)
		usage("--json is for --status");
	if (!options.file && !options.config_path && !options.show_status)
		usage("say PORT and FILE, or -C CONFIG");
	if (!options.file && options.allow_path)
		usage("-l is for the form with PORT and FILE; a section has authfile");
	if (!options.file && (options.readonly || options.output_section))
		usage("%s is for the form with PORT and FILE", options.readonly ? "-r" : "-o");
	if (!options.config_path && (options.list_machines || options.reset))
		usage("%s needs -C CONFIG", options.reset ? "--reset" : "--machines");
	*ret = options;
}
