/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the person at the console gets when a boot stage fails: a countdown to
 * the next attempt, and a busybox shell for who presses Enter. PID 1 waits; the
 * shell is a child, so that its end never ends us.
 */
#include "client-static/boot.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int busybox_fd = -1;

void rescue_init(void)
{
	busybox_fd = open("/bin/busybox", O_PATH | O_CLOEXEC);
}

/* Reaps whatever ended, which PID 1 must, until pid did. Returns its exit status. */
static int wait_for(pid_t pid)
{
	int status = 0;
	pid_t ended;

	do
		ended = waitpid(-1, &status, 0);
	while (ended != pid && (ended > 0 || errno == EINTR));
	return ended == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int rescue_busybox(char *const argv[])
{
	pid_t pid;

	if (busybox_fd < 0)
		return -ENOENT;
	pid = fork();
	if (pid == 0) {
		fexecve(busybox_fd, argv, environ);
		_exit(127);
	}
	return pid < 0 ? -errno : wait_for(pid);
}

/*
 * /dev/console cannot be a controlling terminal; the device behind it can, and
 * without one Ctrl-C does nothing. The last name of "active" is the console that
 * /dev/console stands for.
 */
static void take_terminal(void)
{
	char text[128] = "", path[160], *name;
	int fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
		text[strcspn(text, "\n")] = '\0';
		name = strrchr(text, ' ');
		snprintf(path, sizeof(path), "/dev/%s", name ? name + 1 : text);
		fd = open(path, O_RDWR);
	}
	setsid();
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 1) < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
}

void rescue_shell(void)
{
	char *argv[] = {"sh", NULL};
	char *envp[] = {"PS1=(rescue) # ", "PATH=/sbin:/bin", "HOME=/", "TERM=linux", NULL};
	pid_t pid;

	if (busybox_fd < 0) {
		log_line("no shell in this image");
		return;
	}
	log_line("this is a shell of the boot image; type exit to go on with the boot");
	pid = fork();
	if (pid == 0) {
		take_terminal();
		fexecve(busybox_fd, argv, envp);
		_exit(127);
	}
	if (pid > 0)
		wait_for(pid);
	else
		log_line("shell: %s", strerror(errno));
}

/* Waits one second. True when Enter was pressed; an end of file is no console. */
static bool enter_within_second(bool *has_console)
{
	struct pollfd console = {.fd = *has_console ? STDIN_FILENO : -1, .events = POLLIN};
	char typed[64];
	ssize_t n;

	if (poll(&console, 1, 1000) <= 0)
		return false;
	n = read(STDIN_FILENO, typed, sizeof(typed));
	if (n <= 0)
		*has_console = false;
	return n > 0 && memchr(typed, '\n', (size_t)n);
}

void rescue_wait(const char *what, int delay_s)
{
	bool has_console = busybox_fd >= 0;

	tcflush(STDIN_FILENO, TCIFLUSH);
	for (int left_s = delay_s; left_s > 0; left_s--) {
		dprintf(STDERR_FILENO, "\rinit: %s in %d s%s ", what, left_s,
			has_console ? "; press Enter for a shell" : "");
		if (enter_within_second(&has_console)) {
			dprintf(STDERR_FILENO, "\n");
			rescue_shell();
			return;
		}
	}
	dprintf(STDERR_FILENO, "\n");
}
