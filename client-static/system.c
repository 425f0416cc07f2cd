/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small files of /proc and /sys, read and written whole. */
#include "client-static/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *system_root = "";

static int open_below_root(const char *path, int flags)
{
	char full[PATH_MAX];
	int fd;

	if (snprintf(full, sizeof(full), "%s%s", system_root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

int system_read(const char *path, char *ret, size_t size)
{
	int fd = open_below_root(path, O_RDONLY);
	ssize_t length;
	int err = 0;

	if (fd < 0)
		return fd;
	length = read(fd, ret, size);
	if (length < 0)
		err = -errno;
	else if ((size_t)length == size)
		err = -EMSGSIZE;
	close(fd);
	if (err)
		return err;
	while (length > 0 && ret[length - 1] == '\n')
		length--;
	ret[length] = '\0';
	return 0;
}

int system_read_number(const char *path, uint64_t *ret)
{
	char text[64];
	uint64_t number = 0;
	const char *c = text;
	int err = system_read(path, text, sizeof(text));

	if (err)
		return err;
	for (; *c >= '0' && *c <= '9'; c++) {
		if (number > (UINT64_MAX - 9) / 10)
			return -ERANGE;
		number = number * 10 + (uint64_t)(*c - '0');
	}
	if (c == text || *c)
		return -EINVAL;
	*ret = number;
	return 0;
}

int system_write(const char *path, const char *text)
{
	size_t length = strlen(text);
	int fd = open_below_root(path, O_WRONLY | O_TRUNC);
	int err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, text, length) != (ssize_t)length)
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

int system_leave_file(const char *path, const char *text)
{
	char folder[PATH_MAX];
	int fd, err = 0;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		if (snprintf(folder, sizeof(folder), "%s%.*s", system_root, (int)(slash - path),
			     path) >= (int)sizeof(folder))
			return -ENAMETOOLONG;
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	fd = open_below_root(path, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -EIO;
	close(fd);
	return err;
}

int system_memory_kib(const char *label, uint64_t *ret)
{
	char text[4096];
	const char *row = text;
	size_t length = strlen(label);
	int err = system_read("/proc/meminfo", text, sizeof(text));

	if (err)
		return err;
	while (strncmp(row, label, length) || row[length] != ':') {
		row = strchr(row, '\n');
		if (!row)
			return -EPROTO;
		row++;
	}
	*ret = strtoull(row + length + 1, NULL, 10);
	return 0;
}
