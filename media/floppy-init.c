/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main() of the client on the floppy, where it is /init and the supervisors of the two devices, and
 * nobody can type a command: in place of client-static/main.c, so that the commands are not linked.
 */
#include "client-static/boot.h"
#include "client-static/supervise.h"

#include <string.h>
#include <unistd.h>

#include "common/log.h"

int main(int argc, char **argv)
{
	log_init("nbd-client");
	if (getpid() == 1)
		init_main(argv);
	if (argc == 3 && !strcmp(argv[0], SUPERVISOR_NAME))
		return supervise_main(argv);
	die(EXIT_PERMANENT, "this client is only /init of a floppy");
}
