// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The process: background, PID file, privileges. The parent of the background
 * process waits until the server is ready, so that whoever started it may connect
 * at once and sees its exit code when it could not start.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "common/log.h"
#include "server/server.h"

static int ready_fd = -1;

/* Ends as the child does: 0 when it reports that it is ready. */
_Noreturn static void wait_for(pid_t child, int fd)
{
	char ready;
	int status;

	if (read(fd, &ready, 1) == 1)
		_exit(0);
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void daemon_fork(void)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		die(1, "cannot start in the background: %s", strerror(errno));
	child = fork();
	if (child < 0)
		die(1, "cannot start in the background: %s", strerror(errno));
	if (child) {
		close(fds[1]);
		wait_for(child, fds[0]);
	}
	close(fds[0]);
	ready_fd = fds[1];
	setsid();
}

static void send_to_syslog(const char *line)
{
	syslog(LOG_NOTICE, "%s", line);
}

void daemon_log(void)
{
	openlog("nbd-server", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	log_init(""); /* syslog names the program */
	log_to(send_to_syslog);
}

void daemon_ready(void)
{
	int null;

	if (ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		die(1, "/dev/null: %s", strerror(errno));
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	daemon_log();
	if (write(ready_fd, "", 1) != 1)
		die(1, "the process that started this one is gone");
	close(ready_fd);
}

int daemon_open_pid(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		die(1, "%s: cannot write the process ID: %s", path, strerror(errno));
	return fd;
}

void daemon_write_pid(int fd)
{
	if (dprintf(fd, "%d\n", (int)getpid()) < 0)
		die(1, "cannot write the process ID: %s", strerror(errno));
	close(fd);
}

static gid_t find_group(const char *name)
{
	struct group *group = getgrnam(name);

	if (group)
		return group->gr_gid;
	die(1, "group = %s: no such group", name);
}

static struct passwd *find_user(const char *name)
{
	struct passwd *user = getpwnam(name);

	if (user)
		return user;
	die(1, "user = %s: no such user", name);
}

void daemon_drop_privileges(const char *user_name, const char *group_name)
{
	struct passwd *user = user_name ? find_user(user_name) : NULL;
	gid_t gid = group_name ? find_group(group_name) : user ? user->pw_gid : getegid();

	if (geteuid() != 0) {
		if (user && user->pw_uid != geteuid())
			die(1, "user = %s: only root can change to it", user_name);
		return;
	}
	if (!user && !group_name)
		return;
	if ((user ? initgroups(user_name, gid) : setgroups(1, &gid)) < 0 || setgid(gid) < 0)
		die(1, "group = %s: %s", group_name ? group_name : user_name, strerror(errno));
	if (user && setuid(user->pw_uid) < 0)
		die(1, "user = %s: %s", user_name, strerror(errno));
}
