/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process that stays: launched when a device is attached, locked down, then
 * a loop that gives the kernel a new connection whenever one is lost.
 *
 *   launch    the command or /init: recipe, copy of the program, exec
 *   lockdown  the new process: nothing of it may need the devices that it keeps
 *   supervise the loop, until the device is detached
 *
 * From the end of lockdown on it allocates nothing, opens nothing but sockets
 * and resolves no name.
 */
#ifndef CLIENT_STATIC_SUPERVISE_H
#define CLIENT_STATIC_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "client-static/client.h"

/* systemd and other inits spare a process whose name begins with '@' when they end all others. */
#define SUPERVISOR_NAME "@nbd-client"

#define STATE_FOLDER "/run/nbd-client"

enum supervise_state {
	SUPERVISE_CONNECTED,
	SUPERVISE_LOST,	    /* the kernel holds I/O */
	SUPERVISE_DETACHED, /* the supervisor has ended */
};

/*
 * What a supervisor works from and tells: a mapping shared by the supervisor
 * and /run/nbd-client/nbdN, which --status and a supervisor that takes over
 * read. The recipe is written before the supervisor starts, and never again.
 */
struct supervision {
	char version[24];    /* of the program that wrote it, "" while incomplete */
	uint32_t size_bytes; /* of this structure */

	struct attach_job job; /* its identifier is in identifier, below */
	char identifier[ATTACH_IDENTIFIER_BYTES];
	struct address_list addresses;
	struct export_info export; /* as the device was attached */
	uint32_t block_size_bytes; /* of the device */
	uint32_t buffer_bytes;	   /* of its sockets, 0: what TCP gives them */
	uint32_t address;	   /* of addresses, in use or tried last */
	bool by_driver;		   /* it connects again; the supervisor only watches */
	uint32_t link_count;
	int fds[CONNECTIONS_MAX]; /* of the links, inherited by the supervisor; -1: none */
	struct netlink netlink, events;

	uint32_t pid;
	uint32_t state;	   /* enum supervise_state */
	uint64_t since_ms; /* CLOCK_BOOTTIME: of state */
	uint32_t reconnects;
	char last_error[256]; /* "" when there was none */
};

/* launch.c */

/*
 * Starts the supervisor of a device that is attached, with *recipe but for its
 * events, and returns when it is locked down; in the foreground it becomes the
 * supervisor, and returns only when it cannot. The sockets stay the caller's to
 * close. -errno when there is no supervisor now.
 */
int launch_supervisor(struct supervision *recipe, struct failure *why);

/* A file in memory without a name, with flags of memfd_create(2): its fd, or -errno. */
int launch_memory_file(const char *name, unsigned int flags);

/* state.c */

/*
 * Writes *recipe to a new file of the device, or to one without a name when
 * /run is not memory; its fd, or -errno.
 */
int state_create(const struct supervision *recipe, struct failure *why);

/* Copies what /run says of the device; -ENOENT when it was not attached by this program. */
int state_read(uint32_t index, struct supervision *ret);

/* True while the supervisor of *state lives. */
bool state_is_alive(const struct supervision *state);

/* Forgets a device that was detached. */
void state_forget(uint32_t index);

/* status.c */

/* Prints what is known of every device, as lines or as JSON, on stdout; 0 or an exit code. */
int status_run(bool as_json);

/* doctor.c */

/*
 * Prints on stdout what of this machine makes it swap-safe or not, a line for
 * each check with what mends it, or a JSON object. 0, or EXIT_PERMANENT when a
 * check failed.
 */
int doctor_run(bool as_json);

/* lockdown.c */

/*
 * Makes this process one that memory pressure, shutdown and the OOM killer leave
 * alone. What cannot be had is a line in the log, and no failure. keep_root when
 * the server is a Unix socket, whose path must stay in reach.
 */
void lockdown_enter(bool keep_root);

/* supervise.c */

/* Main of the process that launch.c starts: argv is SUPERVISOR_NAME, device, fd of the recipe. */
int supervise_main(char **argv);

/* Keeps the links of *s; 0 when the device was detached. For supervise_main() and tests. */
int supervise_run(struct supervision *s);

#endif
