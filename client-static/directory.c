/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads directories for the boot stages without opendir(3), which allocates:
 * the binary has no malloc.
 */
#include "client-static/boot.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int directory_each(int dir_fd, int (*entry)(int dir_fd, const char *name, void *data), void *data)
{
	_Alignas(struct dirent) char buffer[2048];
	long n;

	if (lseek(dir_fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, dir_fd, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent *d = (const struct dirent *)(buffer + at);
			int r;

			at += d->d_reclen;
			if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
				continue;
			r = entry(dir_fd, d->d_name, data);
			if (r)
				return r;
		}
	}
	return n < 0 ? -errno : 0;
}
