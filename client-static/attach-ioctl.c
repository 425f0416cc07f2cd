/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel gets the device in the way of before Linux 4.10: ioctls of
 * include/uapi/linux/nbd.h, and a process of ours that stays inside NBD_DO_IT as
 * long as the device is attached (nbd_ioctl() in drivers/block/nbd.c). For kernels
 * without the netlink family of the driver alone: nothing holds I/O while there is
 * no connection, and that process is one more which memory pressure can stop.
 */
#include "client-static/client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	START_MAX_MS = 5000, /* until the driver shows the device as attached */
	LOOK_MS = 10,
};

static int open_device(uint32_t index, struct failure *why)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/nbd%u", index);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd >= 0 ? fd
		       : failure_set(why, EXIT_PERMANENT, errno, "open %s: %s", path,
				     strerror(errno));
}

static int set(int fd, unsigned long request, const char *name, unsigned long value,
	       struct failure *why)
{
	return ioctl(fd, request, value) < 0
		       ? failure_set(why, EXIT_PERMANENT, errno, "%s: %s", name, strerror(errno))
		       : 0;
}

static int configure(int fd, const struct attach_device *device, struct failure *why)
{
	int err = set(fd, NBD_SET_BLKSIZE, "NBD_SET_BLKSIZE", device->block_size_bytes, why);

	if (!err)
		err = set(fd, NBD_SET_SIZE_BLOCKS, "NBD_SET_SIZE_BLOCKS",
			  device->size_bytes / device->block_size_bytes, why);
	if (!err)
		err = set(fd, NBD_SET_FLAGS, "NBD_SET_FLAGS", device->server_flags, why);
	if (!err && device->io_timeout_s)
		err = set(fd, NBD_SET_TIMEOUT, "NBD_SET_TIMEOUT", device->io_timeout_s, why);
	for (size_t i = 0; !err && i < device->fd_count; i++)
		err = set(fd, NBD_SET_SOCK, "NBD_SET_SOCK", (unsigned long)device->fds[i], why);
	return err;
}

/* Inside the driver until the device is detached or its connection lost. */
_Noreturn static void stay(int fd)
{
	setsid();
	mlockall(MCL_CURRENT | MCL_FUTURE);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	ioctl(fd, NBD_DO_IT);
	ioctl(fd, NBD_CLEAR_QUE);
	ioctl(fd, NBD_CLEAR_SOCK);
	_exit(0);
}

/* The driver has no event for it: sysfs is looked at until it shows the device, or the process
 * ends. */
static int await_attached(uint32_t index, pid_t pid, struct failure *why)
{
	const struct timespec delay = {.tv_nsec = LOOK_MS * 1000000L};
	uint64_t found;

	for (int ms = 0; ms < START_MAX_MS; ms += LOOK_MS) {
		if (!check_attached(index, &found))
			return 0;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return failure_set(why, EXIT_TEMPORARY, EIO,
					   "the driver gave the device up at once");
		nanosleep(&delay, NULL);
	}
	kill(pid, SIGKILL);
	return failure_set(why, EXIT_TEMPORARY, ETIMEDOUT, "the driver did not begin within %d s",
			   START_MAX_MS / 1000);
}

int attach_by_ioctl(const struct attach_device *device, struct failure *why)
{
	int fd = open_device(device->index, why), err;
	pid_t pid;

	if (fd < 0)
		return fd;
	err = configure(fd, device, why);
	if (err)
		goto err_clear;
	pid = fork();
	if (pid == 0)
		stay(fd);
	err = pid < 0 ? failure_set(why, EXIT_TEMPORARY, errno, "fork: %s", strerror(errno))
		      : await_attached(device->index, pid, why);
	if (!err) {
		close(fd);
		return 0;
	}
err_clear:
	ioctl(fd, NBD_CLEAR_SOCK);
	close(fd);
	return err;
}

int detach_by_ioctl(uint32_t index, struct failure *why)
{
	int fd = open_device(index, why), err;

	if (fd < 0)
		return fd;
	err = set(fd, NBD_DISCONNECT, "NBD_DISCONNECT", 0, why);
	ioctl(fd, NBD_CLEAR_SOCK);
	close(fd);
	return err;
}
