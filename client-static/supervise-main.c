/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process of the supervisor, from its start to the loop of supervise.c: takes
 * the recipe that launch.c left, locks itself down, says that it is ready, and lets
 * go of whatever it does not need.
 */
#include "client-static/supervise.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

static bool is_inherited(const struct supervision *s, int fd)
{
	if (fd == s->netlink.fd || fd == s->events.fd)
		return true;
	for (uint32_t i = 0; i < s->link_count; i++) {
		if (fd == s->fds[i])
			return true;
	}
	return false;
}

/* Descriptors of whoever started the command: a root, a terminal, a pipe that nobody reads. */
static void close_others(const struct supervision *s)
{
	struct rlimit limit = {.rlim_cur = 1024};

	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = STDERR_FILENO + 1; fd < (int)limit.rlim_cur && fd < 4096; fd++) {
		if (!is_inherited(s, fd))
			close(fd);
	}
}

/* The kernel's log takes lines without waiting for anybody, and shows them on the console. */
static int open_log(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : fd;
}

static void swallow(const char *line)
{
	(void)line;
}

static void turn_to_log(int log_fd)
{
	if (log_fd < 0)
		log_to(swallow);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (log_fd < 0 || dup2(log_fd, fd) < 0)
			close(fd);
	}
}

static struct supervision *map_recipe(const char *fd_text)
{
	int fd = atoi(fd_text);
	struct supervision *s = MAP_FAILED;
	struct stat file;

	if (fstat(fd, &file) == 0 && file.st_size == (off_t)sizeof(*s))
		s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED || s->size_bytes != sizeof(*s) || s->link_count > CONNECTIONS_MAX ||
	    s->addresses.count > ADDRESSES_MAX || s->addresses.count == 0)
		die(EXIT_PERMANENT, "%s: is started by nbd-client, not by hand", SUPERVISOR_NAME);
	return s;
}

int supervise_main(char **argv)
{
	struct supervision *s = map_recipe(argv[2]);
	bool in_foreground = s->job.supervision == SUPERVISED_IN_FOREGROUND;
	int log_fd = open_log();

	s->pid = (uint32_t)getpid();
	lockdown_enter(*s->job.target.unix_path);
	if (!in_foreground && write(STDOUT_FILENO, "", 1) != 1)
		return EXIT_PERMANENT;
	turn_to_log(log_fd);
	close_others(s);
	return supervise_run(s);
}
