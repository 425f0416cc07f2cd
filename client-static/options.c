/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options and what each does to a command. One table drives the command line
 * (arguments.c), nbdtab, the help text and the test that compares it with the
 * manual.
 */
#include "client-static/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	HELP_COLUMN = 28,
};

__attribute__((format(printf, 2, 3))) static int refuse(struct failure *why, const char *format,
							...)
{
	va_list args;

	why->exit_code = EXIT_PERMANENT;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return -EINVAL;
}

int options_number(const char *text, bool units, uint64_t most, uint64_t *ret)
{
	static const char letters[] = "kmgt";
	uint64_t number = 0;
	const char *c = text, *unit;

	for (; *c >= '0' && *c <= '9'; c++) {
		if (number > (UINT64_MAX - 9) / 10)
			return -ERANGE;
		number = number * 10 + (uint64_t)(*c - '0');
	}
	if (c == text)
		return -EINVAL;
	unit = *c && units ? strchr(letters, *c | 0x20) : NULL;
	for (long power = unit ? unit - letters + 1 : 0; power > 0; power--) {
		if (number > UINT64_MAX / 1024)
			return -ERANGE;
		number *= 1024;
	}
	if (unit)
		c++;
	if (*c)
		return -EINVAL;
	if (number > most)
		return -ERANGE;
	*ret = number;
	return 0;
}

static int copy_text(char *ret, size_t size, const char *value, const char *what,
		     struct failure *why)
{
	if (strlen(value) >= size)
		return refuse(why, "%s: longer than %zu characters", what, size - 1);
	strcpy(ret, value);
	return 0;
}

static int set_name(struct command *command, const char *value, struct failure *why)
{
	char *name = command->job.target.export_name;

	return copy_text(name, TARGET_EXPORT_BYTES, value, "-name", why);
}

static int set_unix(struct command *command, const char *value, struct failure *why)
{
	char *path = command->job.target.unix_path;

	return *value ? copy_text(path, TARGET_UNIX_BYTES, value, "-unix", why)
		      : refuse(why, "-unix: the path is empty");
}

static int set_block_size(struct command *command, const char *value, struct failure *why)
{
	uint64_t bytes;

	if (options_number(value, true, 4096, &bytes) || bytes < 512 || (bytes & (bytes - 1)))
		return refuse(why, "-block-size %s: must be 512, 1024, 2048 or 4096", value);
	command->job.block_size_bytes = (uint32_t)bytes;
	return 0;
}

static int set_size(struct command *command, const char *value, struct failure *why)
{
	if (options_number(value, true, INT64_MAX, &command->job.size_bytes) ||
	    !command->job.size_bytes)
		return refuse(why, "-size %s: must be a number of bytes, k, M, G or T may follow",
			      value);
	return 0;
}

static int set_read_only(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->job.is_read_only = true;
	return 0;
}

static int set_connections(struct command *command, const char *value, struct failure *why)
{
	uint64_t count;

	if (options_number(value, false, CONNECTIONS_MAX, &count) || !count)
		return refuse(why, "-connections %s: must be from 1 to %d", value, CONNECTIONS_MAX);
	command->job.connections = (uint32_t)count;
	return 0;
}

static int set_swap(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->job.is_swap = true;
	return 0;
}

static int set_reserve(struct command *command, const char *value, struct failure *why)
{
	if (reserve_parse_mode(value, &command->job.reserve))
		return refuse(why, "-reserve %s: must be auto or keep", value);
	return 0;
}

static int set_io_timeout(struct command *command, const char *value, struct failure *why)
{
	uint64_t most = attach_dead_timeout_max_s();

	if (options_number(value, false, most, &command->job.io_timeout_s))
		return refuse(why, "-timeout %s: must be seconds, from 0 (never) to %llu", value,
			      (unsigned long long)most);
	return 0;
}

static int set_dead_timeout(struct command *command, const char *value, struct failure *why)
{
	uint64_t most = attach_dead_timeout_max_s();

	if (options_number(value, false, most, &command->job.dead_timeout_s))
		return refuse(why, "-dead-timeout %s: must be seconds, from 0 to %llu", value,
			      (unsigned long long)most);
	command->job.has_dead_timeout = true;
	return 0;
}

static int set_tcp_timeout(struct command *command, const char *value, struct failure *why)
{
	uint64_t seconds;

	if (options_number(value, false, TCP_TIMEOUT_MAX_S, &seconds) ||
	    seconds < TCP_TIMEOUT_MIN_S)
		return refuse(why, "-tcp-timeout %s: must be seconds, from %d to %d", value,
			      TCP_TIMEOUT_MIN_S, TCP_TIMEOUT_MAX_S);
	command->job.tcp_timeout_s = (uint32_t)seconds;
	return 0;
}

static int set_by_ioctl(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->job.by_ioctl = true;
	return 0;
}

static int set_foreground(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->job.supervision = SUPERVISED_IN_FOREGROUND;
	return 0;
}

static int set_unsupervised(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->job.supervision = UNSUPERVISED;
	return 0;
}

static int set_identifier(struct command *command, const char *value, struct failure *why)
{
	command->job.identifier = command->identifier;
	return copy_text(command->identifier, sizeof(command->identifier), value, "-identifier",
			 why);
}

static int set_no_opt_go(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->job.no_opt_go = true;
	return 0;
}

static int set_no_negotiation(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->job.no_negotiation = true;
	return 0;
}

static int accept_only(struct command *command, const char *value, struct failure *why)
{
	(void)command, (void)value, (void)why;
	return 0;
}

static int set_action(struct command *command, enum action action, struct failure *why)
{
	if (command->action != ACTION_ATTACH && command->action != action)
		return refuse(why,
			      "-list, -check, -disconnect, -status, -doctor, -explain and -boot "
			      "do not go together");
	command->action = action;
	return 0;
}

static int set_list(struct command *command, const char *value, struct failure *why)
{
	(void)value;
	return set_action(command, ACTION_LIST, why);
}

static int set_check(struct command *command, const char *value, struct failure *why)
{
	int err = names_parse(value, &command->job.device_index, why);

	return err ? err : set_action(command, ACTION_CHECK, why);
}

static int set_disconnect(struct command *command, const char *value, struct failure *why)
{
	int err = names_parse(value, &command->job.device_index, why);

	return err ? err : set_action(command, ACTION_DISCONNECT, why);
}

static int set_status(struct command *command, const char *value, struct failure *why)
{
	(void)value;
	return set_action(command, ACTION_STATUS, why);
}

static int set_explain(struct command *command, const char *value, struct failure *why)
{
	command->explain.line = value;
	return set_action(command, ACTION_EXPLAIN, why);
}

static int set_boot(struct command *command, const char *value, struct failure *why)
{
	if (strcmp(value, "claim") && strcmp(value, "release") && *value != '/')
		return refuse(why, "-boot %s: wants claim, release or a directory, as /sysroot",
			      value);
	command->boot_stage = value;
	return set_action(command, ACTION_BOOT, why);
}

static int set_doctor(struct command *command, const char *value, struct failure *why)
{
	(void)value;
	return set_action(command, ACTION_DOCTOR, why);
}

static int set_json(struct command *command, const char *value, struct failure *why)
{
	(void)value, (void)why;
	command->as_json = true;
	return 0;
}

static int set_version(struct command *command, const char *value, struct failure *why)
{
	(void)value;
	return set_action(command, ACTION_VERSION, why);
}

static int set_help(struct command *command, const char *value, struct failure *why)
{
	(void)value;
	return set_action(command, ACTION_HELP, why);
}

static const char no_tls[] = "not supported: TLS cannot carry swap safely; use a network you trust";

/* In the order of the manual. A row without a function is refused; its help says what to use. */
const struct option_row option_table[] = {
	{"name", 'N', "EXPORT", set_name, "export to use (default: the server's default export)"},
	{"unix", 'u', "PATH", set_unix, "connect to a Unix socket, not to HOST"},
	{"block-size", 'b', "BYTES", set_block_size,
	 "512 to 4096 (default: 512 or the server's minimum)"},
	{"size", 'B', "BYTES", set_size, "use only this much of the export"},
	{"readonly", 'R', NULL, set_read_only, "make the device read-only"},
	{"connections", 'C', "N", set_connections, "connections to open, if the server allows it"},
	{"swap", 's', NULL, set_swap, "the device will hold swap: size the memory reserve"},
	{"reserve", 0, "MODE", set_reserve,
	 "for swap: auto (default) sizes reserves and buffers, keep does not"},
	{"timeout", 't', "SECONDS", set_io_timeout, "give up a slow request (default: 0, never)"},
	{"dead-timeout", 'T', "SECONDS", set_dead_timeout,
	 "hold I/O this long without a server (default: 10 years)"},
	{"tcp-timeout", 0, "SECONDS", set_tcp_timeout,
	 "take a server that is silent so long for lost (default: 60)"},
	{"persist", 'p', NULL, accept_only, "accepted: a lost connection is always made again"},
	{"nofork", 'n', NULL, set_foreground, "do not return: be the process that reconnects"},
	{"unsupervised", 0, NULL, set_unsupervised,
	 "no process stays: a lost connection stays lost"},
	{"netlink", 0, NULL, accept_only, "accepted: netlink is what is used"},
	{"nonetlink", 'L', NULL, set_by_ioctl, "attach by ioctl: never swap-safe, for old kernels"},
	{"systemd-mark", 'm', NULL, accept_only, "accepted: the process that stays always has it"},
	{"identifier", 'i', "TEXT", set_identifier, "shown in /sys/block/nbdN/backend"},
	{"no-optgo", 'g', NULL, set_no_opt_go, "negotiate as before 2017 (NBD_OPT_EXPORT_NAME)"},
	{"preinit", 'P', NULL, set_no_negotiation, "the peer serves at once; needs -size"},
	{"sdp", 'S', NULL, accept_only, "ignored: the sockets direct protocol is gone"},
	{"list", 'l', NULL, set_list, "print the names of the server's exports"},
	{"check", 'c', "DEVICE", set_check, "exit 0 and print a PID if attached, 1 if not"},
	{"disconnect", 'd', "DEVICE", set_disconnect, "detach the device"},
	{"status", 0, NULL, set_status, "print what is known of every device"},
	{"doctor", 0, NULL, set_doctor, "tell whether this machine may swap over the network"},
	{"json", 0, NULL, set_json, "with -status and -doctor: as JSON"},
	{"explain", 0, "LINE", set_explain, "tell what a boot line means to /init, see nbdboot(7)"},
	{"boot", 0, "STAGE", set_boot,
	 "be what /init is, in another initramfs: claim, a directory, release"},
	{"version", 'V', NULL, set_version, "print the version"},
	{"help", 'h', NULL, set_help, "print this"},
	{"enable-tls", 'x', NULL, NULL, no_tls},
	{"certfile", 'F', "FILE", NULL, no_tls},
	{"keyfile", 'K', "FILE", NULL, no_tls},
	{"cacertfile", 'A', "FILE", NULL, no_tls},
	{"tlshostname", 'H', "NAME", NULL, no_tls},
	{"priority", 'y', "TEXT", NULL, no_tls},
	{0},
};

static void print(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0) {
		/* nobody is left to be told */
	}
}

static void print_row(int fd, const struct option_row *row)
{
	char letter[8] = "    ", option[64], line[256];

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	snprintf(option, sizeof(option), "-%s %s", row->name, row->argument ? row->argument : "");
	snprintf(line, sizeof(line), "  %s%-*s %s\n", letter, HELP_COLUMN - 6, option, row->help);
	print(fd, line);
}

void options_help(int fd)
{
	print(fd,
	      "Usage: nbd-client [OPTIONS] HOST [PORT] DEVICE\n"
	      "       nbd-client [OPTIONS] nbd://HOST[:PORT]/EXPORT DEVICE\n"
	      "       nbd-client [OPTIONS] -unix PATH DEVICE\n"
	      "       nbd-client [OPTIONS] nbdN      as /etc/nbdtab says\n"
	      "       nbd-client -list HOST [PORT]\n"
	      "       nbd-client -check DEVICE\n"
	      "       nbd-client -disconnect DEVICE\n"
	      "       nbd-client -status [-json]\n"
	      "       nbd-client -doctor [-json]\n"
	      "       nbd-client -explain LINE [ROOT-PATH [NEXT-SERVER]]\n"
	      "       nbd-client -boot STAGE\n"
	      "Attaches an export of an NBD server as /dev/nbN. DEVICE is /dev/nbN, /dev/nbdN,\n"
	      "nbN or nbdN. Options have one dash or two:\n");
	for (const struct option_row *row = option_table; row->name; row++)
		print_row(fd, row);
	print(fd, "Exit codes: 0 done, 100 trying again cannot help, 111 it may.\n");
}
