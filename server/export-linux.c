// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What only Linux has for an export: holes and zeroes without writing them, for
 * files and, since Linux 4.9, block devices (fallocate(2); a device wants whole
 * logical blocks and answers EINVAL otherwise).
 */
#include "server/export.h"

#include <errno.h>
#include <fcntl.h>

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
