/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd-client. As process 1 it is /init of the initramfs (init.c), and the last
 * program of a machine (release.c); other names make it the script of the DHCP
 * client, the supervisor of a device, and what guards swap until the end.
 * Otherwise it is a command: options, then what they ask for.
 */
#include "client-static/boot.h"
#include "client-static/supervise.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static int print_version(void)
{
	static const char text[] = "nbd-client " VERSION " (Swapsafe)\n";

	return write(STDOUT_FILENO, text, strlen(text)) < 0 ? EXIT_PERMANENT : 0;
}

static int run_boot(const char *stage)
{
	if (!strcmp(stage, "claim"))
		return initramfs_run(INITRAMFS_CLAIM, NULL);
	if (!strcmp(stage, "release"))
		return initramfs_run(INITRAMFS_RELEASE, NULL);
	return initramfs_run(INITRAMFS_MOUNT, stage);
}

static int run_command(const struct command *command)
{
	switch (command->action) {
	case ACTION_LIST:
		return list_run(&command->job.target);
	case ACTION_CHECK:
		return check_run(command->job.device_index);
	case ACTION_DISCONNECT:
		return disconnect_run(command->job.device_index);
	case ACTION_STATUS:
		return status_run(command->as_json);
	case ACTION_DOCTOR:
		return doctor_run(command->as_json);
	case ACTION_EXPLAIN:
		return explain_run(command->explain.line, command->explain.root_path,
				   command->explain.next_server);
	case ACTION_BOOT:
		return run_boot(command->boot_stage);
	case ACTION_HELP:
		options_help(STDOUT_FILENO);
		return 0;
	case ACTION_VERSION:
		return print_version();
	default:
		return attach_run(&command->job);
	}
}

/* By which of its links the program was called. */
static bool is_named(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(slash ? slash + 1 : path, name);
}

/*
 * Started without one of them, a socket would become it, and lines of the log go to the
 * server. They stay over exec: the programs that are started need them no less.
 */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

int main(int argc, char **argv)
{
	static struct command command;
	struct failure why;

	log_init("nbd-client");
	open_standard_files();
	if (getpid() == 1 && is_named(argv[0], "shutdown"))
		initramfs_shutdown(argc, argv);
	if (getpid() == 1)
		init_main(argv);
	if (is_named(argv[0], SWAP_KEEP_NAME))
		return swap_keep_main();
	if (argc == 3 && !strcmp(argv[0], SUPERVISOR_NAME))
		return supervise_main(argv);
	if (argc > 0 && is_named(argv[0], "udhcpc-event"))
		return dhcp_event_main(argc, argv);
	if (arguments_parse(argc, argv, &command, &why))
		die(why.exit_code, "%s", why.text);
	if (*command.unknown_options)
		log_line("/etc/nbdtab: %s: not known and passed over; for your own use begin with "
			 "\"_\"",
			 command.unknown_options);
	return run_command(&command);
}
