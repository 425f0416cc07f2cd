// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What only Linux has for an export: reading what is cached without ever waiting
 * for a disk (RWF_NOWAIT; tmpfs does not have it, but never waits either, unless
 * it was swapped out), sending pages of the cache without a copy (splice), and
 * holes and zeroes without writing them, for files and, since Linux 4.9, block
 * devices (fallocate(2); a device wants whole logical blocks and answers EINVAL
 * otherwise).
 */
#include "server/export.h"
#include "server/layer-map.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

int export_read_cached(struct export *export, const struct iovec *iov, int iov_count,
		       uint64_t offset_bytes, uint64_t length_bytes)
{
	ssize_t n;

	if (export->cannot_read_cached)
		return -EAGAIN;
	n = preadv2(export->fd, iov, iov_count, (off_t)offset_bytes, RWF_NOWAIT);
	if (n < 0 && errno == EOPNOTSUPP)
		export->cannot_read_cached = true;
	return n >= 0 && (uint64_t)n == length_bytes ? 0 : -EAGAIN;
}

/* One page as a sample. */
static bool can_splice(const struct export *export)
{
	loff_t offset = 0;
	bool can = false;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	can = splice(export->fd, &offset, fds[1], NULL, 1, SPLICE_F_NONBLOCK) == 1;
	close(fds[0]);
	close(fds[1]);
	return can;
}

static int open_direct(struct export *export, char *why, size_t why_size)
{
	char path[40];
	int flags = fcntl(export->fd, F_GETFL), error;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", export->fd);
	export->direct_fd = open(path, (flags & (O_ACCMODE | O_DSYNC)) | O_DIRECT | O_CLOEXEC);
	if (export->direct_fd >= 0)
		return 0;
	error = errno;
	snprintf(why, why_size, "cannot be opened past the page cache (direct = true): %s",
		 strerror(error));
	return -error;
}

int export_probe(struct export *export, char *why, size_t why_size)
{
	struct statfs fs;
	struct stat st;

	export->is_plain = true;
	/* The node of a device lies on a devtmpfs, its data elsewhere. */
	export->in_memory = fstat(export->fd, &st) == 0 && S_ISREG(st.st_mode) &&
			    fstatfs(export->fd, &fs) == 0 &&
			    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
	if (export->set.direct) {
		export->cannot_read_cached = true;
		return open_direct(export, why, why_size);
	}
	export->can_splice = can_splice(export);
	return 0;
}

int export_splice(struct export *export, int pipe_fd, uint64_t offset_bytes, uint64_t *length_bytes)
{
	uint64_t wanted_bytes = *length_bytes;
	loff_t offset = (loff_t)offset_bytes;

	*length_bytes = 0;
	while (*length_bytes < wanted_bytes) {
		ssize_t n = splice(export->fd, &offset, pipe_fd, NULL, wanted_bytes - *length_bytes,
				   SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && *length_bytes)
			return 0; /* the pipe is full */
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*length_bytes += (uint64_t)n;
	}
	return 0;
}

static int allocate(int fd, int mode, uint64_t offset_bytes, uint64_t length_bytes)
{
	while (fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset_bytes, (off_t)length_bytes) <
	       0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int export_punch(int fd, uint64_t offset_bytes, uint64_t length_bytes)
{
	return allocate(fd, FALLOC_FL_PUNCH_HOLE, offset_bytes, length_bytes);
}

int export_zero_range(int fd, uint64_t offset_bytes, uint64_t length_bytes)
{
	return allocate(fd, FALLOC_FL_ZERO_RANGE, offset_bytes, length_bytes);
}

int export_touch(int fd)
{
	return futimens(fd, NULL) < 0 ? -errno : 0;
}

int export_lock(int fd, bool wait)
{
	while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int layer_boot_id(char ret[BOOT_ID_BYTES])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, BOOT_ID_BYTES - 1);
	close(fd);
	if (n != BOOT_ID_BYTES - 1)
		return -EIO;
	ret[n] = '\0';
	return 0;
}
