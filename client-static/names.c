/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of devices: every spelling becomes a number, and a number gets its
 * /dev/nbN, the name that the kernel's own documentation uses. It is a block
 * node, not a link, so that /proc/swaps and /proc/mounts show it.
 */
#include "client-static/client.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	INDEX_MAX = (1 << 20) - 1, /* MINORBITS of the kernel, with max_part=0 */
	NODE_MODE = 0660,
};

/* The number after the letters of a device name, or NULL. */
static const char *index_text(const char *text)
{
	static const char *const prefixes[] = {"nbd/", "nbd", "nb"};

	if (!strncmp(text, "/dev/", strlen("/dev/")))
		text += strlen("/dev/");
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		if (!strncmp(text, prefixes[i], strlen(prefixes[i])))
			return text + strlen(prefixes[i]);
	}
	return NULL;
}

int names_parse(const char *text, uint32_t *ret_index, struct failure *why)
{
	const char *digits = index_text(text);
	uint32_t index = 0;
	size_t length;

	if (!digits)
		goto err_name;
	length = strspn(digits, "0123456789");
	if (length > 0 && digits[length] == 'p')
		return failure_set(why, EXIT_PERMANENT, EINVAL,
				   "%.100s: is a partition; name the device, /dev/nb%.*s", text,
				   (int)(length < 8 ? length : 8), digits);
	if (length == 0 || digits[length] || (*digits == '0' && length > 1) || length > 7)
		goto err_name;
	for (; *digits; digits++)
		index = index * 10 + (uint32_t)(*digits - '0');
	if (index > INDEX_MAX)
		goto err_name;
	*ret_index = index;
	return 0;

err_name:
	return failure_set(why, EXIT_PERMANENT, EINVAL,
			   "%.100s: is not an NBD device: write /dev/nbN, N a number", text);
}

static int device_number(uint32_t index, dev_t *ret)
{
	char path[64], text[32], *end;
	unsigned long major_number, minor_number;
	int err;

	snprintf(path, sizeof(path), "/sys/block/nbd%u/dev", index);
	err = system_read(path, text, sizeof(text));
	if (err)
		return err;
	major_number = strtoul(text, &end, 10);
	if (*end != ':')
		return -EPROTO;
	minor_number = strtoul(end + 1, &end, 10);
	if (*end)
		return -EPROTO;
	*ret = makedev(major_number, minor_number);
	return 0;
}

/* 1 when path is right already, 0 when it may be made, -EEXIST when it is something else. */
static int look_at_node(const char *path, dev_t number)
{
	struct stat node;

	if (stat(path, &node) == 0 && S_ISBLK(node.st_mode) && node.st_rdev == number)
		return 1;
	if (lstat(path, &node) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISBLK(node.st_mode) && !S_ISLNK(node.st_mode))
		return -EEXIST;
	return unlink(path) < 0 ? -errno : 0;
}

/* The owner and mode that udev or devtmpfs gave to /dev/nbdN. */
static int copy_owner(uint32_t index, const char *path)
{
	char model[PATH_MAX];
	struct stat node;

	snprintf(model, sizeof(model), "%s/dev/nbd%u", system_root, index);
	if (stat(model, &node) < 0)
		return 0;
	if (chown(path, node.st_uid, node.st_gid) < 0)
		return -errno;
	return chmod(path, node.st_mode & 07777) < 0 ? -errno : 0;
}

static int make_node(uint32_t index, const char *path)
{
	dev_t number;
	int err = device_number(index, &number);

	if (err)
		return err;
	err = look_at_node(path, number);
	if (err)
		return err < 0 ? err : 0;
	if (mknod(path, S_IFBLK | NODE_MODE, number) < 0)
		return -errno;
	return copy_owner(index, path);
}

int names_make(uint32_t index, struct failure *why)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/dev/nb%u", system_root, index);
	err = make_node(index, path);
	if (err)
		return failure_set(why, EXIT_PERMANENT, -err, "%s: cannot make the device node: %s",
				   path, strerror(-err));
	return 0;
}
