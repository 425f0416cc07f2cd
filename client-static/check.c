/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -check and -disconnect: what the kernel says about a device, and its end.
 * The driver shows /sys/block/nbdN/pid while a device is attached.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

enum {
	CHECK_ATTACHED = 0,
	CHECK_NOT_ATTACHED = 1,
	CHECK_ERROR = 2,
};

enum { END_MS = 1000, END_POLL_MS = 10 };

int check_attached(uint32_t index, uint64_t *ret_pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/nbd%u/pid", index);
	return system_read_number(path, ret_pid);
}

static bool has_sysfs(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/sys/block", system_root);
	return access(path, F_OK) == 0;
}

int check_run(uint32_t index)
{
	struct supervision state;
	uint64_t pid;
	char line[32];
	int err = check_attached(index, &pid);

	if (err == -ENOENT && has_sysfs())
		return CHECK_NOT_ATTACHED;
	if (err) {
		log_line("/dev/nb%u: read /sys/block/nbd%u/pid: %s", index, index, strerror(-err));
		return CHECK_ERROR;
	}
	if (state_read(index, &state) == 0 && state_is_alive(&state))
		pid = state.pid;
	snprintf(line, sizeof(line), "%llu\n", (unsigned long long)pid);
	return write(STDOUT_FILENO, line, strlen(line)) < 0 ? CHECK_ERROR : CHECK_ATTACHED;
}

static int disconnect(uint32_t index, struct failure *why)
{
	struct netlink netlink;
	int err;

	err = attach_open(&netlink, why);
	if (err == -ENOENT)
		return detach_by_ioctl(index, why);
	if (err)
		return err;
	err = attach_disconnect(&netlink, index, why);
	close(netlink.fd);
	return err;
}

/* A process that attached by ioctl is still to leave the driver; who has it open keeps it. */
static void await_end(uint32_t index)
{
	static const struct timespec pause = {.tv_nsec = END_POLL_MS * 1000 * 1000};
	uint64_t pid;

	for (int ms = 0; ms < END_MS && check_attached(index, &pid) == 0; ms += END_POLL_MS)
		nanosleep(&pause, NULL);
}

int disconnect_run(uint32_t index)
{
	struct failure why;
	uint64_t pid;

	if (has_sysfs() && check_attached(index, &pid) == -ENOENT) {
		log_line("/dev/nb%u: is not attached", index);
		return 0;
	}
	if (disconnect(index, &why)) {
		log_line("/dev/nb%u: %s", index, why.text);
		return why.exit_code;
	}
	await_end(index);
	state_forget(index);
	log_line("/dev/nb%u: detached", index);
	return 0;
}
