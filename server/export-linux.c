// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What only Linux has for an export: reading what is cached without ever waiting
 * for a disk (RWF_NOWAIT; tmpfs and some others do not have it), and holes and zeroes without
 * writing them, for files and, since Linux 4.9, block devices (fallocate(2); a device wants whole
 * logical blocks and answers EINVAL otherwise).
 */
#include "server/export.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

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
