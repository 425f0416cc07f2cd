/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an attached device to the process that keeps it: the recipe goes to a
 * file in the memory of /run, the program to another, and the new process runs
 * from there, so that neither is ever read from the devices that it keeps.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

int launch_memory_file(const char *name, unsigned int flags)
{
	int fd = (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC | flags);

	if (fd < 0 && errno == EINVAL && flags)
		fd = (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A copy of this program that is no page of a disk, ready to execute. */
static int copy_program(void)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = launch_memory_file("nbd-client", MFD_EXEC), err;
	ssize_t n = 0;

	if (from < 0 || to < 0) {
		err = from < 0 ? -errno : to;
		goto err_close;
	}
	do
		n = sendfile(to, from, NULL, 1 << 20);
	while (n > 0);
	err = n < 0 ? -errno : 0;
	if (err)
		goto err_close;
	close(from);
	return to;

err_close:
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return err;
}

/* What the new process inherits. */
struct inheritance {
	int state_fd, program_fd;
	char index_text[24], state_text[16];
};

static int keep_over_exec(int fd)
{
	return fd >= 0 && fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

static int prepare(const struct supervision *recipe, struct inheritance *ret, struct failure *why)
{
	int err;

	ret->state_fd = state_create(recipe, why);
	if (ret->state_fd < 0)
		return ret->state_fd;
	ret->program_fd = copy_program();
	if (ret->program_fd < 0) {
		err = failure_set(why, EXIT_PERMANENT, -ret->program_fd,
				  "cannot copy the program to memory: %s",
				  strerror(-ret->program_fd));
		goto err_close;
	}
	snprintf(ret->index_text, sizeof(ret->index_text), "/dev/nb%u", recipe->job.device_index);
	snprintf(ret->state_text, sizeof(ret->state_text), "%d", ret->state_fd);
	return 0;

err_close:
	close(ret->state_fd);
	return err;
}

/* Becomes the supervisor; returns only when it cannot. */
static int become(const struct supervision *recipe, const struct inheritance *inheritance)
{
	char *argv[] = {(char *)SUPERVISOR_NAME, (char *)inheritance->index_text,
			(char *)inheritance->state_text, NULL};
	char *environment[] = {NULL};
	int err = keep_over_exec(inheritance->state_fd);

	if (!err)
		err = keep_over_exec(recipe->netlink.fd);
	if (!err)
		err = keep_over_exec(recipe->events.fd);
	for (uint32_t i = 0; !err && i < recipe->link_count; i++)
		err = keep_over_exec(recipe->fds[i]);
	if (err)
		return err;
	syscall(SYS_execveat, inheritance->program_fd, "", argv, environment, AT_EMPTY_PATH);
	return -errno;
}

static int not_started(int err, struct failure *why)
{
	return failure_set(why, EXIT_PERMANENT, -err, "cannot start the supervisor: %s",
			   strerror(-err));
}

/* The new process says that it is locked down by a byte on its standard output. */
static int await_ready(int fd, struct failure *why)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	return failure_set(why, EXIT_PERMANENT, ECHILD, "the supervisor ended before it was ready");
}

_Noreturn static void run_child(const struct supervision *recipe,
				const struct inheritance *inheritance, int ready_fd)
{
	setsid();
	if (dup2(ready_fd, STDOUT_FILENO) >= 0)
		become(recipe, inheritance);
	_exit(EXIT_PERMANENT);
}

static int start_process(const struct supervision *recipe, const struct inheritance *inheritance,
			 struct failure *why)
{
	int ready[2], err;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return not_started(-errno, why);
	pid = fork();
	if (pid == 0)
		run_child(recipe, inheritance, ready[1]);
	err = pid < 0 ? not_started(-errno, why) : 0;
	close(ready[1]);
	if (!err)
		err = await_ready(ready[0], why);
	close(ready[0]);
	if (err && pid > 0)
		waitpid(pid, NULL, 0);
	return err;
}

int launch_supervisor(struct supervision *recipe, struct failure *why)
{
	struct inheritance inheritance;
	int err = attach_listen(&recipe->events, why);

	if (err)
		return err;
	err = prepare(recipe, &inheritance, why);
	if (err)
		goto out;
	if (recipe->job.supervision == SUPERVISED_IN_FOREGROUND)
		err = not_started(become(recipe, &inheritance), why);
	else
		err = start_process(recipe, &inheritance, why);
	close(inheritance.program_fd);
	close(inheritance.state_fd);
out:
	close(recipe->events.fd);
	return err;
}
