/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * confine.c: what the server gives up for good, so that a client that finds a hole in it
 * finds little behind that. Every step is one that the kernel may not have; what it lacks
 * is left out.
 */
#ifndef SERVER_CONFINE_H
#define SERVER_CONFINE_H

#include <stdbool.h>

struct config;
struct export_settings;

/*
 * Before any thread is started, and after all sockets are open: no new privileges, of
 * root's capabilities those for files alone, and with Landlock no file is executed, made,
 * changed or removed but where config and the other paths (NULL: none) need it. -errno.
 */
struct confine_paths {
	const char *export_path; /* of the command line, served writable */
	const char *pid_path;
	const char *unix_path, *status_path; /* of sockets, which are removed at the end */
};

int confine_files(const struct config *config, const struct confine_paths *paths);

/* Whether what set asks to write to is where confine_files() left it possible. */
bool confine_covers(const struct export_settings *set);

/*
 * When all threads run: no system call but those that serving and reloading need, in any
 * of them. Others fail with ENOSYS. -errno.
 */
int confine_calls(void);

#endif
