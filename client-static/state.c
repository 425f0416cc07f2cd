/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What /run says of a device: the recipe and the state of its supervisor, in a
 * file that the supervisor maps and that others read. It is in memory like the
 * supervisor itself, so that writing to it never waits for a disk.
 */
#include "client-static/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
	PATH_BYTES = 256,
};

static void state_path(uint32_t index, char ret[PATH_BYTES])
{
	snprintf(ret, PATH_BYTES, "%s" STATE_FOLDER "/nbd%u", system_root, index);
}

/*
 * The file of the device in /run, where --status finds it; a file without a
 * name when /run is not memory, since the supervisor must not write to a disk.
 */
static int create_file(uint32_t index)
{
	char path[PATH_BYTES];
	struct statfs filesystem;
	int fd;

	snprintf(path, sizeof(path), "%s/run", system_root);
	if (statfs(path, &filesystem) < 0 ||
	    (filesystem.f_type != (long)TMPFS_MAGIC && filesystem.f_type != (long)RAMFS_MAGIC))
		return launch_memory_file("nbd-client-state", 0);
	snprintf(path, sizeof(path), "%s" STATE_FOLDER, system_root);
	mkdir(path, 0755);
	state_path(index, path);
	/* Never the file of an older supervisor, which has it mapped. */
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	return fd < 0 ? -errno : fd;
}

int state_create(const struct supervision *recipe, struct failure *why)
{
	int fd = create_file(recipe->job.device_index), error;

	if (fd < 0)
		return failure_set(why, EXIT_PERMANENT, -fd, STATE_FOLDER ": %s", strerror(-fd));
	if (write(fd, recipe, sizeof(*recipe)) == (ssize_t)sizeof(*recipe))
		return fd;
	error = errno ? errno : EIO;
	close(fd);
	return failure_set(why, EXIT_PERMANENT, error, STATE_FOLDER ": %s", strerror(error));
}

int state_read(uint32_t index, struct supervision *ret)
{
	char path[PATH_BYTES];
	ssize_t n;
	int fd;

	state_path(index, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read(fd, ret, sizeof(*ret));
	close(fd);
	if (n != (ssize_t)sizeof(*ret) || ret->size_bytes != sizeof(*ret) ||
	    strncmp(ret->version, VERSION, sizeof(ret->version)))
		return -ENOENT;
	return 0;
}

bool state_is_alive(const struct supervision *state)
{
	char path[64], wanted[64], command[128] = "";
	int length = snprintf(wanted, sizeof(wanted), SUPERVISOR_NAME "%c/dev/nb%u", '\0',
			      state->job.device_index);

	snprintf(path, sizeof(path), "/proc/%u/cmdline", state->pid);
	return state->pid && system_read(path, command, sizeof(command)) == 0 &&
	       !memcmp(command, wanted, (size_t)length + 1);
}

void state_forget(uint32_t index)
{
	char path[PATH_BYTES];

	state_path(index, path);
	unlink(path);
}
